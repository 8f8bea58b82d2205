"""Translations to the standards; each protocol stands alone."""
