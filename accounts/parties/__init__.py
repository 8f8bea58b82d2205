"""Organisations, people, machines and what each may do."""
