"""How numbers are printed: exact decimals as text, because a reader's float is not exact."""

from __future__ import annotations

from decimal import Decimal


def exact(value: Decimal) -> str:
    """Return all stored digits, never an exponent."""
    return f"{value:f}"


def exact_or_none(value: Decimal | None) -> str | None:
    """Return all stored digits, or None where there is no number."""
    return None if value is None else exact(value)
