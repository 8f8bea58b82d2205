"""Bid forms, one module each: what a form says as JSON, as a table and as constraints."""
