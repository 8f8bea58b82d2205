"""Every price of a published result as a file, written once and kept by its process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from accounts.core.csvtext import Cell, csv_bytes
from aggregator.portal.run_facts import Kept
from market.clearing import published
from market.clearing.models import ClearingRun

PRICES: Final = "prices"
HEADER: Final = ("auction", "delivery_on", "of", "code", "koma", "price_jpy_per_kwh")
# Published prices never change, but sites may move to another bus, under which they stand here.
SITES_SQL: Final = """
SELECT md5(coalesce(string_agg(concat_ws('|', id, bus_code, area_id, loss_ratio), ';'
                               ORDER BY id), ''))
FROM registry_site
"""


@dataclass(frozen=True, kw_only=True)
class SheetKey:
    """What the file is written of."""

    run_id: UUID
    sites_md5: str


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A file, and the tag by which a visitor knows that it has it already."""

    body: bytes
    etag: str


def price_sheet(run: ClearingRun) -> Sheet:
    """Return the prices of areas and connection points of a published run as CSV."""
    with connection.cursor() as cursor:
        cursor.execute(SITES_SQL)
        (sites_md5,) = cursor.fetchone()
    return KEPT.of(SheetKey(run_id=run.id, sites_md5=sites_md5))


def _written(key: SheetKey) -> Sheet:
    runs = ClearingRun.objects.select_related("auction").defer("result", "certificate")
    run = runs.get(id=key.run_id)
    head = (run.auction.code, run.auction.delivery_on)
    rows: list[tuple[Cell, ...]] = []
    for row in published.area_prices(run):
        rows += [
            (*head, "area", row["area_id"], t + 1, price) for t, price in enumerate(row["price"])
        ]
    for row in published.place_prices(run):
        code = row["site__bus_code"]
        rows += [(*head, "place", code, t + 1, price) for t, price in enumerate(row["price"])]
    body = csv_bytes(rows, header=HEADER)
    return Sheet(body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')


KEPT: Final[Kept[SheetKey, Sheet]] = Kept(_written)
