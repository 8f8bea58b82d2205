r"""Duals become prices; prices and awards become published numbers.

With area prices :math:`\lambda`, local need prices :math:`\mu` and element rents :math:`\nu`, the
flow on element q is worth :math:`\sigma_q = \nu^+_q - \nu^-_q + \sum_s s\,\mu_{qs}`, and one kWh of
UP at place p, whose sending end sees :math:`g_p` kWh per kWh received, is worth

.. math:: \pi_{pt} = g_p \bigl(\lambda_{a(p)t} - \sum_q H_{qp}\, \sigma_{qt}\bigr)
          + \varepsilon_{pt},

where :math:`\varepsilon` is the price of the envelope of a flexible connection, if the place has
one; :math:`\sigma` also has what carrying costs, and what a call of capacity would load.

An action is thereby paid once for all its effects. See ``docs/algorithms/pricing.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from market.core import reserves
from market.core.clearing import Clearing
from market.core.needs import Needs
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import relief_group_of
from market.core.units import CAPACITY_PRICED_H

SNAP_TICKS: Final = 1e-6
PATH_DIGITS: Final = 6
MONEY_DIGITS: Final = 9


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Unrounded prices of one clearing; all (…, T)."""

    area_jpy_per_kwh: FloatArray
    relief_jpy_per_kwh: FloatArray
    """Per relief group (element and sign), (G, T)."""
    rent_up_jpy_per_kwh: FloatArray
    rent_down_jpy_per_kwh: FloatArray
    flow_jpy_per_kwh: FloatArray
    """What carrying one more kWh costs where it costs something, (Q, T)."""
    call_jpy_per_kwh: FloatArray
    """Worth of flow while an area's capacity is called, (A, 2 directions, Q, T)."""
    call_rent_jpy_per_kwh: FloatArray
    """What calls of capacity would pay for headroom up and down, (2, Q, T)."""
    envelope_jpy_per_kwh: FloatArray
    place_jpy_per_kwh: FloatArray
    """Value of UP at the receiving end, (P, T)."""
    local_jpy_per_kwh: FloatArray
    """What each local need pays, (D, T)."""
    balance_jpy_per_kwh: FloatArray
    """What each balance need pays per kWh of its own direction, (E, T)."""
    load_jpy_per_kwh: FloatArray
    """What each load at a place pays, (L, T)."""
    capacity_jpy_per_kw: FloatArray
    """What each capacity need pays per kW and 30 minutes, (C, T)."""
    reserve_jpy_per_kw: FloatArray
    """Price of each product in each area, per kW and 30 minutes, (W, A, T)."""
    reserved_jpy_per_kw: FloatArray
    """The same at each place and the receiving end, (W, P, T)."""
    compute_jpy_per_kwh: FloatArray
    """Price of computing at each compute offer, (O, T)."""
    link_jpy_per_kwh: FloatArray
    """Price at the ``to`` end less price at the ``from`` end, (K, T)."""
    transfer_jpy_per_kwh: FloatArray
    path_rent_jpy_per_gb: FloatArray
    """Scarcity rent above the tariff, (paths, T)."""
    trunk_rent_jpy_per_gb: FloatArray


def prices(clearing: Clearing) -> Prices:
    """Return the prices a clearing's duals imply. Shapes and units: :class:`Prices`."""
    current, snapshot = clearing.programme, clearing.snapshot
    h, count = snapshot.interval_h, snapshot.interval_count
    elements, areas = len(snapshot.elements.ids), len(snapshot.network.area_ids)
    area = _full(clearing, "balance", areas) / h
    relief = -_full(clearing, "relief", len(current.relief_element)) / h
    rent_up = -_full(clearing, "headroom_up", elements) / h
    rent_down = -_full(clearing, "headroom_down", elements) / h
    flow = -_full(clearing, "flow", elements) / h
    envelope = -_full(clearing, "envelope", len(snapshot.envelopes.ids)) / h
    called = current.rows["deliver_flow"].keys
    call_price = -clearing.dual_jpy_per_kw["deliver_flow"] / h
    call = reserves.call_worth_jpy_per_kwh(snapshot, called, call_price)
    call_rent, at = np.zeros((2, elements, count)), reserves.flow_keys(snapshot, called)
    np.add.at(call_rent, (at.side, at.element, at.t), call_price)
    worth = rent_up - rent_down + flow + call.sum(axis=(0, 1))
    np.add.at(worth, current.relief_element, current.relief_sign[:, None] * relief)
    sent = area[snapshot.place_area] - current.sensitivity.place.T @ worth
    place = snapshot.sent_per_received_ratio[:, None] * sent
    np.add.at(place, snapshot.envelopes.place, envelope)
    network, balances = snapshot.network, snapshot.balance_needs
    products = len(snapshot.products.ids)
    reserve = -_full(clearing, "reserve", products * areas) * CAPACITY_PRICED_H / h
    by_area = reserve.reshape(products, areas, count)
    offers = len(current.forms["COMPUTE_OFFER"].ids)
    return Prices(
        area_jpy_per_kwh=area,
        relief_jpy_per_kwh=relief,
        rent_up_jpy_per_kwh=rent_up,
        rent_down_jpy_per_kwh=rent_down,
        flow_jpy_per_kwh=flow,
        call_jpy_per_kwh=call,
        call_rent_jpy_per_kwh=call_rent,
        envelope_jpy_per_kwh=envelope,
        place_jpy_per_kwh=place,
        local_jpy_per_kwh=_paid(
            clearing, "local", snapshot.local_needs, relief[relief_group_of(current)]
        ),
        balance_jpy_per_kwh=_paid(
            clearing, "balance", balances, balances.sign[:, None] * area[balances.where]
        ),
        load_jpy_per_kwh=_paid(
            clearing, "place", snapshot.place_needs, place[snapshot.place_needs.where]
        ),
        capacity_jpy_per_kw=_paid(
            clearing, "capacity", snapshot.capacity_needs, reserve[snapshot.capacity_needs.where]
        ),
        reserve_jpy_per_kw=by_area,
        reserved_jpy_per_kw=reserves.capacity_price_jpy_per_kw(
            snapshot,
            reserve_jpy_per_kw=by_area,
            call_worth_jpy_per_kwh=call,
            place_kw_per_kw=current.sensitivity.place,
        ),
        compute_jpy_per_kwh=-_full(clearing, "compute", offers) / h,
        link_jpy_per_kwh=(
            area[network.bus_area[network.link_to]]
            - area[network.bus_area[network.link_from]]
            - current.sensitivity.link.T @ worth
        ),
        transfer_jpy_per_kwh=area[snapshot.transfer_to] - area[snapshot.transfer_from],
        path_rent_jpy_per_gb=-_full(clearing, "carried", len(snapshot.path_ids)),
        trunk_rent_jpy_per_gb=-_full(clearing, "trunk", len(snapshot.trunks.ids)),
    )


def _paid(clearing: Clearing, part: str, needs: Needs, price: FloatArray) -> FloatArray:
    """Return what needs pay: the price, or where they take nothing at most their highest cap."""
    served_kw = needs.total(clearing.part_kw(part))
    return np.asarray(np.where(served_kw > 0, price, np.minimum(price, needs.top_cap_jpy_per_kwh)))


def _full(clearing: Clearing, name: str, entities: int) -> FloatArray:
    """Return a family's duals on its whole grid, (entities, T); rows left out are worth nothing."""
    count = clearing.snapshot.interval_count
    full = np.zeros(entities * count)
    full[clearing.programme.rows[name].keys] = clearing.dual_jpy_per_kw[name]
    return full.reshape(entities, count)


def path_price_jpy_per_gb(clearing: Clearing, found: Prices) -> FloatArray:
    """Return tariff, own rent and rents of trunks as published, (paths, T), in JPY/GB."""
    snapshot = clearing.snapshot
    rent = np.round(found.path_rent_jpy_per_gb, PATH_DIGITS)
    np.add.at(
        rent,
        snapshot.trunks.path,
        np.round(found.trunk_rent_jpy_per_gb, PATH_DIGITS)[snapshot.trunks.path_trunk],
    )
    return np.asarray(np.round(snapshot.tariff_jpy_per_gb[:, None] + rent, MONEY_DIGITS))


def rounded(values: FloatArray, tick: float) -> FloatArray:
    """Return the nearest multiples of a tick; what lies half-way, give or take, goes up."""
    return _multiples(_nearest(values / tick), tick)


def rounded_down(values: FloatArray, tick: float) -> FloatArray:
    """Return the multiples at or below; what lies within a millionth of a tick counts as on it."""
    return _multiples(np.floor(values / tick + SNAP_TICKS), tick)


def rounded_up(values: FloatArray, tick: float) -> FloatArray:
    """Return the multiples at or above, likewise."""
    return _multiples(np.ceil(values / tick - SNAP_TICKS), tick)


def _nearest(counts: FloatArray) -> FloatArray:
    """Return whole numbers; just below a half counts as half, so that noise decides nothing."""
    return np.asarray(np.floor(counts + 0.5 + SNAP_TICKS / 2))


def _multiples(counts: FloatArray, tick: float) -> FloatArray:
    """Return counts·tick without the last-digit noise of binary fractions."""
    return np.asarray(np.round(counts * tick, 9) + 0.0)


def share_ticks(
    quantity_kw: FloatArray,
    most_kw: FloatArray,
    group: IntArray,
    tick_kw: float,
    *,
    never_more: bool = False,
) -> FloatArray:
    """Round quantities so that each group keeps its total, to half a tick.

    Every quantity is rounded down; the ticks this leaves over go, one each, to those that lost a
    part of one, in the order of their ids.

    Parameters
    ----------
    quantity_kw, most_kw
        (B, T) quantities, rows in ascending order of id, and what may be awarded at most. [kW]
    group
        Group of each row, (B,).
    tick_kw
        The tick. [kW]
    never_more
        Whether a group's total is rounded down: where it is one bid's offer.

    Returns
    -------
    FloatArray
        (B, T) multiples of the tick. [kW]
    """
    whole = np.floor(quantity_kw / tick_kw + SNAP_TICKS)
    lost = (quantity_kw / tick_kw - whole > SNAP_TICKS) & (
        (whole + 1) * tick_kw <= most_kw + SNAP_TICKS * tick_kw
    )
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        total = quantity_kw[rows].sum(axis=0) / tick_kw
        spare = np.floor(total + SNAP_TICKS) if never_more else _nearest(total)
        spare = spare - whole[rows].sum(axis=0)
        turn = np.cumsum(lost[rows], axis=0)
        whole[rows] += lost[rows] & (turn <= spare)
    return _multiples(whole, tick_kw)
