"""Bids of a CSV body: the table of :mod:`market.trading.bid_sheets`, refused as the doors do."""

from __future__ import annotations

from typing import Final

from aggregator.api.v1.told import ROWS_REFUSED
from aggregator.api.v1.uploads import Table, columns_expect, refusal_entry, refuse_rows
from market.trading import bid_sheets
from market.trading.bid_sheets import NEEDED, Sheet

COLUMNS: Final = bid_sheets.COLUMNS


def sheet_of(table: Table) -> Sheet:
    """Read rows as bids in the layout of the JSON door; what they say is not checked here.

    Raises
    ------
    Stopped
        If columns are missing or unknown, or rows say what no bid can be made of.
    """
    columns_expect(table, needed=NEEDED, allowed=COLUMNS)
    sheet = bid_sheets.sheet_read(zip(table.rows, table.lines, strict=True))
    wrong = [refusal_entry(refused, code="invalid-bid", line=line) for line, refused in sheet.wrong]
    refuse_rows(wrong, code=ROWS_REFUSED)
    return sheet
