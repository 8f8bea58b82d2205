"""Room for version 1 of the API."""
