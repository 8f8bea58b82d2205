r"""What everything is worth at a result's duals: places, resources, paths, computing, capacity.

With area prices :math:`\lambda` and the worth :math:`\sigma_q` of flow on element q (rents,
prices of relief, costs of carrying and what calls of capacity would cost), one kWh of UP sent
from a place is worth :math:`\lambda - \sum_q H_q \sigma_q`. An envelope adds its price to all that
is received at its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from market.core.audit.block import Market
from market.core.audit.book import CALLED_ROWS, Book, Entries
from market.core.audit.grid import Grid, Response
from market.core.audit.ledger import Array, ids, table

CAPACITY_PRICED_H: Final = 0.5
"""Capacity is priced per kW and this many hours."""
SIGNS: Final = ("1", "-1")
CALLS: Final = ("UP", "DOWN")


@dataclass(frozen=True, kw_only=True)
class Duals:
    """Prices of shared rows; all (…, T) in JPY/kWh if not said otherwise.

    Axes: A areas, Q elements, R resources, K paths, U trunks, C compute offers, W products,
    V envelopes.
    """

    area: Array
    relief: Array
    """(2, Q, T): of the positive and of the negative flow."""
    rent_up: Array
    rent_down: Array
    flow: Array
    """Of elements on which carrying costs something, zero for others, (Q, T)."""
    sold_up: Array
    sold_down: Array
    path_jpy_per_gb: Array
    trunk_jpy_per_gb: Array
    compute: Array
    reserve_jpy_per_kw: Array
    """Per kW and 30 minutes, (W, A, T)."""
    envelope: Array
    call: Array
    """Of flows under a call of capacity, (A, 2 directions, Q, 2 sides, T)."""

    @property
    def call_rent(self) -> Array:
        """Return the rents of all calls together on both sides of each element, (2, Q, T)."""
        return np.asarray(np.moveaxis(self.call.sum(axis=(0, 1)), 1, 0))

    @property
    def worth(self) -> Array:
        """Return what one kWh of flow costs on each element, (Q, T)."""
        up, down = self.call_rent
        rent = self.rent_up - self.rent_down + self.flow + (up - down)
        return np.asarray(rent + self.relief[0] - self.relief[1])


def duals_of(market: Market, grid: Grid, raw: Mapping[str, Any]) -> Duals:
    """Read the duals of a result; what is left out is zero.

    Raises
    ------
    ValueError
        If a dual belongs to nothing in the snapshot.
    """
    snapshot, count, found = market.snapshot, market.count, raw["duals"]
    elements = ids(snapshot["elements"])

    def read(name: str, names: list[str]) -> Array:
        return table(f"raw.duals.{name}", found[name], names, count)

    relief = found["relief_jpy_per_kwh"]
    reserve = found["reserve_jpy_per_kw"]
    products = list(market.products)
    if set(relief) != set(SIGNS):
        raise ValueError(f"raw.duals.relief_jpy_per_kwh: {', '.join(SIGNS)}, not {list(relief)}")
    if not set(reserve) <= set(products):
        raise ValueError(f"raw.duals.reserve_jpy_per_kw: unknown {set(reserve) - set(products)}")
    return Duals(
        area=read("area_jpy_per_kwh", grid.area_ids),
        relief=np.stack(
            [table(f"raw.duals.relief.{sign}", relief[sign], elements, count) for sign in SIGNS]
        ),
        rent_up=read("rent_up_jpy_per_kwh", elements),
        rent_down=read("rent_down_jpy_per_kwh", elements),
        flow=read("flow_jpy_per_kwh", elements),
        sold_up=read("sold_up_jpy_per_kwh", list(market.resources)),
        sold_down=read("sold_down_jpy_per_kwh", list(market.resources)),
        path_jpy_per_gb=read("path_jpy_per_gb", list(market.paths)),
        trunk_jpy_per_gb=read("trunk_jpy_per_gb", ids(snapshot["trunks"])),
        compute=read("compute_jpy_per_kwh", list(market.compute_offers)),
        reserve_jpy_per_kw=np.array(
            [
                table(f"raw.duals.reserve.{name}", reserve.get(name, {}), grid.area_ids, count)
                for name in products
            ]
        ).reshape(len(products), len(grid.area_ids), count),
        envelope=read("envelope_jpy_per_kwh", ids(snapshot["envelopes"])),
        call=_calls(market, grid, raw["joint"].get(CALLED_ROWS, {})),
    )


def _calls(market: Market, grid: Grid, found: Mapping[str, float]) -> Array:
    """Read prices of flows under a call; keys are area|direction|element|side|half hour."""
    elements = {name: row for row, name in enumerate(ids(market.snapshot["elements"]))}
    shape = (len(grid.area_ids), len(CALLS), len(elements), len(CALLS), market.count)
    if not found:
        return np.broadcast_to(np.zeros(1), shape)
    half_hours = {str(t): t for t in range(market.count)}
    prices = np.zeros(shape)
    for key, value in found.items():
        front, _, t = key.rpartition("|")
        front, _, side = front.rpartition("|")
        # Names of areas and elements may have bars of their own.
        places = [
            (area, call, elements[front.removeprefix(f"{name}|{direction}|")])
            for area, name in enumerate(grid.area_ids)
            for call, direction in enumerate(CALLS)
            if front.startswith(f"{name}|{direction}|")
            and front.removeprefix(f"{name}|{direction}|") in elements
        ]
        if len(places) != 1 or side not in CALLS or t not in half_hours:
            raise ValueError(f"raw.joint.{CALLED_ROWS}: unknown {key}")
        prices[(*places[0], CALLS.index(side), half_hours[t])] = value
    return prices


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What everything is worth; (…, T) in JPY/kWh if not said otherwise."""

    duals: Duals
    bus: Array
    place: Array
    """UP at the receiving end of each place, (P, T)."""
    resource: Array
    """The same at each resource, (R, T)."""
    reserve_jpy_per_kw: Array
    """A kW of each product held at each resource over 30 minutes, (W, R, T)."""
    path_jpy_per_gb: Array
    """Tariff, rent of the path and of the trunks it is part of, (K, T)."""
    sensitivity_kw_per_kw: Array
    """Of the elements asked for, per kW sent from each place, (Q, P)."""
    is_priced: NDArray[np.bool_] = field(repr=False)
    """Elements somebody needs relief on, or whose flow is worth something, (Q,)."""


def priced_elements(market: Market, duals: Duals) -> NDArray[np.bool_]:
    """Return which elements have a need, a cost of carrying or a price anywhere, (Q,)."""
    needed = {need["element"] for need in market.snapshot["local_needs"]}
    return np.array(
        [
            element["id"] in needed or element["flow_cost_jpy_per_kwh"] > 0
            for element in market.snapshot["elements"]
        ],
        dtype=np.bool_,
    ) | duals.worth.any(axis=1)


def prices_of(market: Market, grid: Grid, response: Response, duals: Duals) -> Prices:
    """Return what everything is worth at the given duals."""
    worth = duals.worth
    bus = grid.bus_price_jpy_per_kwh(response, duals.area, worth)
    place = grid.place_price_jpy_per_kwh(bus, worth)
    numbers = {name: number for number, name in enumerate(market.places)}
    envelopes = market.snapshot["envelopes"]
    np.add.at(place, [numbers[item["place"]] for item in envelopes], duals.envelope)
    where = [numbers[item["place"]] for item in market.resources.values()]
    sensitivity = grid.place_sensitivity(response)
    return Prices(
        duals=duals,
        bus=bus,
        place=place,
        resource=place[where],
        reserve_jpy_per_kw=_reserve(market, grid, sensitivity, duals)[:, where],
        path_jpy_per_gb=_path_jpy_per_gb(market, duals),
        sensitivity_kw_per_kw=sensitivity,
        is_priced=priced_elements(market, duals),
    )


def _reserve(market: Market, grid: Grid, sensitivity: Array, duals: Duals) -> Array:
    """Return the price of each product at each place, less what a call would load, (W, P, T)."""
    found = duals.reserve_jpy_per_kw[:, grid.place_area].copy()
    for number, product in enumerate(market.products.values()):
        call = CALLS.index(product["direction"])
        sign = 1.0 if product["direction"] == "UP" else -1.0
        side = duals.call[:, call, :, 0] - duals.call[:, call, :, 1]
        for area in np.flatnonzero(side.any(axis=(1, 2))):
            mine = grid.place_area == area
            load = sign * CAPACITY_PRICED_H * (sensitivity[:, mine].T @ side[area])
            found[number, mine] -= load
    return np.asarray(grid.sent_ratio[:, None] * found)


def _path_jpy_per_gb(market: Market, duals: Duals) -> Array:
    tariff = np.array([path["price_jpy_per_gb"] for path in market.paths.values()])
    price = tariff.reshape(-1, 1) + duals.path_jpy_per_gb
    numbers = {name: number for number, name in enumerate(market.paths)}
    for row, trunk in enumerate(market.snapshot["trunks"]):
        price[[numbers[name] for name in trunk["paths"]]] += duals.trunk_jpy_per_gb[row]
    return np.asarray(price)


@dataclass(frozen=True, kw_only=True)
class Income:
    """What the columns of a book bring in per unit, by source; (n,) each, in JPY."""

    energy: Array
    capacity: Array
    computing: Array
    """Paid for computing bought, negative; received for computing sold, positive."""
    traffic: Array
    """Owed for paths, at tariff and rents."""
    limits: Array
    """Rent of what the resource can do in all, which no one pays."""

    @property
    def gain(self) -> Array:
        """Return what one more unit brings in."""
        return self.energy + self.capacity + self.computing - self.traffic - self.limits


def income_of(book: Book, prices: Prices) -> Income:
    """Return what each column of a book brings in per unit."""
    legs, n, h = book.legs, book.size, book.market.h
    up, energy = legs.is_up, legs.is_energy
    duals, resources = prices.duals, len(book.market.resources)
    rented = legs.entries(up).priced(duals.sold_up, n)
    rented = rented + legs.entries(~up).priced(duals.sold_down, n)
    held = ~energy
    capacity = Entries(
        legs.column[held],
        legs.product[held] * resources + legs.resource[held],
        legs.t[held],
        legs.kw_per_unit[held],
    )
    sold = legs.entries(energy & up).priced(prices.resource, n)
    bought = legs.entries(energy & ~up).priced(prices.resource, n)
    by_product = prices.reserve_jpy_per_kw.reshape(-1, book.market.count)
    return Income(
        energy=h * (sold - bought),
        capacity=h / CAPACITY_PRICED_H * capacity.priced(by_product, n),
        computing=-h * book.compute.priced(duals.compute, n),
        traffic=book.traffic.priced(prices.path_jpy_per_gb, n),
        limits=h * rented,
    )
