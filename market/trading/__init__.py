"""Auctions, needs and bids, up to the gate."""
