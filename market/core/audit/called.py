"""Capacity held in each area, and the flows of a full call of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.core.audit.block import IntArray
from market.core.audit.book import Book
from market.core.audit.grid import Grid
from market.core.audit.ledger import Array
from market.core.audit.prices import CALLS


@dataclass(frozen=True)
class Held:
    """Entries of the legs that hold capacity; (k,) each."""

    product: IntArray
    place: IntArray
    area: IntArray
    call: IntArray
    """Position of its direction in :data:`market.core.audit.prices.CALLS`."""
    t: IntArray
    sent_kw: Array


def held_of(book: Book, grid: Grid) -> Held:
    """Return all capacity held, in kW at the sending end."""
    legs, market = book.legs, book.market
    numbers = {name: number for number, name in enumerate(market.places)}
    places = np.array(
        [numbers[item["place"]] for item in market.resources.values()], dtype=np.int64
    )
    chosen = ~legs.is_energy
    place = places[legs.resource[chosen]]
    received_kw = legs.kw_per_unit[chosen] * book.x[legs.column[chosen]]
    return Held(
        product=legs.product[chosen],
        place=place,
        area=grid.place_area[place],
        call=np.where(legs.is_up[chosen], CALLS.index("UP"), CALLS.index("DOWN")),
        t=legs.t[chosen],
        sent_kw=grid.sent_ratio[place] * received_kw,
    )


def held_kw(held: Held, shape: tuple[int, int, int]) -> Array:
    """Return what is held of each product in each area, (W, A, T)."""
    total_kw = np.zeros(shape)
    np.add.at(total_kw, (held.product, held.area, held.t), held.sent_kw)
    return total_kw


def calls_of(held: Held, shape: tuple[int, int]) -> dict[tuple[int, int], Array]:
    """Return the injections (P, T) of a full call, by area and direction that hold anything."""
    calls = {}
    for area, call in sorted(set(zip(held.area.tolist(), held.call.tolist(), strict=True))):
        mine = (held.area == area) & (held.call == call)
        sign = 1.0 if CALLS[call] == "UP" else -1.0
        sent_kw = np.zeros(shape)
        np.add.at(sent_kw, (held.place[mine], held.t[mine]), sign * held.sent_kw[mine])
        calls[area, call] = sent_kw
    return calls
