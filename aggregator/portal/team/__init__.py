"""Pages of an organisation's people, keys and settings."""
