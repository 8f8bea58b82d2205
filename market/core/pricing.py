r"""Duals become prices; prices and awards become published numbers.

With area prices :math:`\lambda`, local need prices :math:`\mu` and element rents :math:`\nu`, the
flow on element q is worth :math:`\sigma_q = \nu^+_q - \nu^-_q + \sum_s s\,\mu_{qs}`, and one kWh of
UP at place p, whose sending end sees :math:`g_p` kWh per kWh received, is worth

.. math:: \pi_{pt} = g_p \bigl(\lambda_{a(p)t} - \sum_q H_{qp}\, \sigma_{qt}\bigr).

An action is thereby paid once for all its effects. See ``docs/algorithms/pricing.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from market.core.clearing import Clearing
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import relief_group_of

SNAP_TICKS: Final = 1e-6
PATH_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Unrounded prices of one clearing; all (…, T)."""

    area_jpy_per_kwh: FloatArray
    relief_jpy_per_kwh: FloatArray
    """Per relief group (element and sign), (G, T)."""
    rent_up_jpy_per_kwh: FloatArray
    rent_down_jpy_per_kwh: FloatArray
    place_jpy_per_kwh: FloatArray
    """Value of UP at the receiving end, (P, T)."""
    local_jpy_per_kwh: FloatArray
    """What each local need pays, (D, T)."""
    balance_jpy_per_kwh: FloatArray
    """What each balance need pays per kWh of its own direction, (E, T)."""
    link_jpy_per_kwh: FloatArray
    """Price at the ``to`` end less price at the ``from`` end, (K, T)."""
    transfer_jpy_per_kwh: FloatArray
    path_rent_jpy_per_gb: FloatArray
    """Scarcity rent above the tariff, (paths, T)."""


def prices(clearing: Clearing) -> Prices:
    """Return the prices a clearing's duals imply. Shapes and units: :class:`Prices`."""
    current, snapshot = clearing.programme, clearing.snapshot
    h, count = snapshot.interval_h, snapshot.interval_count
    elements = (len(snapshot.elements.ids), count)
    area = _full(clearing, "balance", (len(snapshot.network.area_ids), count)) / h
    relief = -_full(clearing, "relief", (len(current.relief_element), count)) / h
    rent_up = -_full(clearing, "headroom_up", elements) / h
    rent_down = -_full(clearing, "headroom_down", elements) / h
    worth = rent_up - rent_down
    np.add.at(worth, current.relief_element, current.relief_sign[:, None] * relief)
    sent = area[snapshot.place_area] - current.sensitivity.place.T @ worth
    network = snapshot.network
    needs, balances = snapshot.local_needs, snapshot.balance_needs
    served = clearing.x_kw[current.grid["balance"]].reshape(-1, count)
    balance = balances.sign[:, None] * area[balances.where]
    return Prices(
        area_jpy_per_kwh=area,
        relief_jpy_per_kwh=relief,
        rent_up_jpy_per_kwh=rent_up,
        rent_down_jpy_per_kwh=rent_down,
        place_jpy_per_kwh=snapshot.sent_per_received_ratio[:, None] * sent,
        local_jpy_per_kwh=np.minimum(relief[relief_group_of(current)], needs.cap_jpy_per_kwh),
        balance_jpy_per_kwh=np.where(
            served > 0, balance, np.minimum(balance, balances.cap_jpy_per_kwh)
        ),
        link_jpy_per_kwh=(
            area[network.bus_area[network.link_to]]
            - area[network.bus_area[network.link_from]]
            - current.sensitivity.link.T @ worth
        ),
        transfer_jpy_per_kwh=area[snapshot.transfer_to] - area[snapshot.transfer_from],
        path_rent_jpy_per_gb=-_full(clearing, "carried", (len(snapshot.path_ids), count)),
    )


def _full(clearing: Clearing, name: str, shape: tuple[int, int]) -> FloatArray:
    """Return a family's duals on its whole grid; rows left out are worth nothing."""
    full = np.zeros(shape[0] * shape[1])
    full[clearing.programme.rows[name].keys] = clearing.dual_jpy_per_kw[name]
    return full.reshape(shape)


def path_price_jpy_per_gb(clearing: Clearing, found: Prices) -> FloatArray:
    """Return tariff plus scarcity rent as published, (paths, T), in JPY/GB."""
    tariff = clearing.snapshot.tariff_jpy_per_gb[:, None]
    return np.asarray(np.round(tariff + found.path_rent_jpy_per_gb, PATH_DIGITS))


def rounded(values: FloatArray, tick: float) -> FloatArray:
    """Return the nearest multiples of a tick."""
    return _multiples(np.rint(values / tick), tick)


def rounded_down(values: FloatArray, tick: float) -> FloatArray:
    """Return the multiples at or below; what lies within a millionth of a tick counts as on it."""
    return _multiples(np.floor(values / tick + SNAP_TICKS), tick)


def rounded_up(values: FloatArray, tick: float) -> FloatArray:
    """Return the multiples at or above, likewise."""
    return _multiples(np.ceil(values / tick - SNAP_TICKS), tick)


def _multiples(counts: FloatArray, tick: float) -> FloatArray:
    """Return counts·tick without the last-digit noise of binary fractions."""
    return np.asarray(np.round(counts * tick, 9) + 0.0)


def share_ticks(
    quantity_kw: FloatArray, most_kw: FloatArray, group: IntArray, tick_kw: float
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
        spare = np.rint(quantity_kw[rows].sum(axis=0) / tick_kw) - whole[rows].sum(axis=0)
        turn = np.cumsum(lost[rows], axis=0)
        whole[rows] += lost[rows] & (turn <= spare)
    return _multiples(whole, tick_kw)
