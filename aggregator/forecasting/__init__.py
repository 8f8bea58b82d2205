"""Prices, supply and demand as they were known, and the importers of official files."""
