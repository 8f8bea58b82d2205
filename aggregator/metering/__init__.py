"""Meters, half-hour readings, baselines and what was delivered."""
