"""From the frozen book to awards and prices."""
