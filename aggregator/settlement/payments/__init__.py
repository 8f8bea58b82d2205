"""Payments: bank accounts, batches for the bank, its results, money that comes in."""
