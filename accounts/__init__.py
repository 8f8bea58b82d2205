"""Parties and money: the floor. Exists without electricity."""
