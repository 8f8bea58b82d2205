"""Pages about money: statements, payments, disputes."""
