"""Who did what: append-only entries with dotted action names."""
