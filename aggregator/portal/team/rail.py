"""What this package adds to the left rail."""

from __future__ import annotations

from accounts.parties.sight import Sight
from aggregator.portal.ways import Way


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to a person."""
    del sight
    return []
