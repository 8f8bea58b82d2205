"""The one seam between a bid's envelope and its content.

Everything that writes or reads an offer's prices and quantities goes through here, so
that sealing (content encrypted until the gate) changes this module and no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg import sql

from market.trading.models import BidContent


def contents_seal(contents: Iterable[tuple[UUID, bytes]]) -> None:
    """Store the canonical bytes of new bids' offers, inside the caller's transaction."""
    table = sql.Identifier(BidContent._meta.db_table)  # noqa: SLF001 - Django's documented way
    statement = sql.SQL("COPY {} (bid_id, content) FROM STDIN").format(table)
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for bid_id, canonical in contents:
            copy.write_row((bid_id, canonical.decode()))


def contents_open(bid_ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Read offers back; callers see to it that they may (after the gate, or the owner)."""
    return dict(
        BidContent.objects.filter(bid_id__in=list(bid_ids)).values_list("bid_id", "content")
    )
