"""From awards and deliveries to exact lines, and from lines to posted money."""
