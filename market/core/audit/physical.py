"""What bids, trade and service do to the grid, read from the unrounded numbers of a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.audit.book import Book
from market.core.audit.grid import Grid
from market.core.audit.ledger import Array, ids, of_length, table

NEEDS: Final[Mapping[str, str]] = {
    "LOCAL": "local_needs",
    "BALANCE": "balance_needs",
    "PLACE": "place_needs",
    "CAPACITY": "capacity_needs",
}
"""Kind of need → its list in the snapshot."""
PRICE_OF_NEED: Final[Mapping[str, str]] = {
    kind: "price_jpy_per_kw" if kind == "CAPACITY" else "price_jpy_per_kwh" for kind in NEEDS
}
"""Kind of need → the name of its published price."""


@dataclass(frozen=True, kw_only=True)
class Physical:
    """What bids, trade and service do to the grid, before any price; (…, T)."""

    sent_kw: Array
    """Change of injection of each place at the sending end, (P, T)."""
    received_kw: Array
    """The same at the receiving end, loads served at the place deducted, (P, T)."""
    link_kw: Array
    transfer_kw: Array
    excess_kw: Array
    shortage_kw: Array
    over_kw: Array
    served_kw: Mapping[str, list[list[Array]]]
    """By kind of need: per need its steps' series."""

    def total_kw(self, kind: str) -> Array:
        """Return what each need of a kind is served, (needs, T)."""
        count = self.sent_kw.shape[1]
        sums = [np.sum(steps, axis=0) for steps in self.served_kw[kind]]
        return np.array(sums, dtype=np.float64).reshape(-1, count)


def physical_of(book: Book, grid: Grid, raw: Mapping[str, Any]) -> Physical:
    """Read what happens on the grid.

    Raises
    ------
    ValueError
        If a series belongs to nothing in the snapshot or has another length.
    """
    market, snapshot, count = book.market, book.market.snapshot, book.market.count
    served = {kind: _served(kind, raw, snapshot[name], count) for kind, name in NEEDS.items()}
    legs, resources = book.legs, list(market.resources.values())
    size = (len(resources), count)
    change_kw = legs.entries(legs.is_energy & legs.is_up).summed(book.x, size)
    change_kw -= legs.entries(legs.is_energy & ~legs.is_up).summed(book.x, size)
    numbers = {name: number for number, name in enumerate(market.places)}
    received_kw = np.zeros((len(numbers), count))
    np.add.at(received_kw, [numbers[item["place"]] for item in resources], change_kw)
    for need, steps in zip(snapshot["place_needs"], served["PLACE"], strict=True):
        received_kw[numbers[need["place"]]] -= np.sum(steps, axis=0)

    def read(name: str, names: list[str]) -> Array:
        return table(f"raw.{name}", raw[name], names, count)

    return Physical(
        sent_kw=grid.sent_ratio[:, None] * received_kw,
        received_kw=received_kw,
        link_kw=read("link_kw", ids(snapshot["network"]["links"])),
        transfer_kw=read("transfer_kw", ids(snapshot["transfers"])),
        excess_kw=read("excess_kw", grid.area_ids),
        shortage_kw=read("shortage_kw", grid.area_ids),
        over_kw=read("over_kw", ids(snapshot["envelopes"])),
        served_kw=served,
    )


def _served(
    kind: str, raw: Mapping[str, Any], needs: list[dict[str, Any]], count: int
) -> list[list[Array]]:
    found = raw["served_kw"][kind]
    strangers = sorted(set(found) - set(ids(needs)))
    if strangers:
        raise ValueError(f"raw.served_kw.{kind}: unknown {', '.join(strangers)}")
    served = []
    for need in needs:
        rows = found.get(need["id"])
        if rows is None:
            rows = [np.zeros(count)] * len(need["steps"])
        if len(rows) != len(need["steps"]):
            raise ValueError(f"raw.served_kw.{kind}.{need['id']}: one series per step")
        served.append([of_length(row, count) for row in rows])
    return served
