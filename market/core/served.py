"""What every need is served, and what each bid does for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.core.clearing import Clearing
from market.core.legs import Leg
from market.core.offers.terms import FloatArray
from market.core.pricing import Prices
from market.core.units import CAPACITY_PRICED_H, DIRECTION_SIGN


class Served:
    """What every need is served and pays at market prices, in published order; D needs.

    Parameters
    ----------
    clearing, found
        The optimum and its prices.
    needs
        Needs as published.
    """

    def __init__(self, clearing: Clearing, found: Prices, needs: list[dict[str, Any]]) -> None:
        snapshot = clearing.snapshot
        self.clearing, self.found, self.needs = clearing, found, needs
        self.count = snapshot.interval_count
        tables = {
            "LOCAL": snapshot.local_needs,
            "BALANCE": snapshot.balance_needs,
            "PLACE": snapshot.place_needs,
            "CAPACITY": snapshot.capacity_needs,
        }
        self.table = tables
        rows = {kind: {name: n for n, name in enumerate(t.ids)} for kind, t in tables.items()}
        self.resource_row = {name: row for row, name in enumerate(snapshot.resource_ids)}
        self.row = [rows[need["kind"]][need["id"]] for need in needs]
        shape = (len(needs), self.count)
        self.served_kw = np.array([need["served_kw"] for need in needs]).reshape(shape)
        price = [need.get("price_jpy_per_kwh", need.get("price_jpy_per_kw")) for need in needs]
        self.price_jpy = np.array(price, dtype=np.float64).reshape(shape)
        is_capacity = np.array([need["kind"] == "CAPACITY" for need in needs], dtype=bool)
        h = snapshot.interval_h
        self.hours = np.where(is_capacity, h / CAPACITY_PRICED_H, h)
        self.energy_kwh = np.where(is_capacity, 0.0, h * self.served_kw.sum(axis=1))
        self.market_jpy = self.hours * (self.served_kw * self.price_jpy).sum(axis=1)
        self.value_jpy = np.array(
            [self._value_jpy(row) for row in range(len(needs))], dtype=np.float64
        )
        self.group = self._groups()
        self.share = self._shares()

    def _value_jpy(self, row: int) -> float:
        """Return what a need is worth as served, its dearest steps first."""
        table = self.table[self.needs[row]["kind"]]
        left_kw, value = self.served_kw[row].copy(), 0.0
        for step in np.flatnonzero(table.step_need == self.row[row]):
            taken_kw = np.minimum(left_kw, table.need_kw[step])
            left_kw = left_kw - taken_kw
            value += float(taken_kw @ table.cap_jpy_per_kwh[step])
        return value * float(self.hours[row])

    def _groups(self) -> list[tuple[str, int, float]]:
        """Return what each need competes for: an element and sign, an area, or a product."""
        snapshot = self.clearing.snapshot
        groups = []
        for need, row in zip(self.needs, self.row, strict=True):
            table = self.table[need["kind"]]
            where, sign = int(table.where[row]), float(table.sign[row])
            if need["kind"] == "PLACE":
                where = int(snapshot.place_area[where])
            if need["kind"] == "BALANCE" or need["kind"] == "PLACE":
                groups.append(("AREA", where, sign if need["kind"] == "BALANCE" else 1.0))
            else:
                groups.append((need["kind"], where, sign))
        return groups

    def _shares(self) -> FloatArray:
        """Return each need's share of what its group is served, (D, T)."""
        share = np.zeros_like(self.served_kw)
        for group in set(self.group):
            mine = [row for row, found in enumerate(self.group) if found == group]
            total_kw = self.served_kw[mine].sum(axis=0)
            share[mine] = np.divide(
                self.served_kw[mine],
                total_kw,
                out=np.zeros((len(mine), self.count)),
                where=total_kw > 0,
            )
        return share

    def weights_jpy(self, legs: Sequence[Leg]) -> FloatArray:
        """Return what each need's price component pays a bid where that is positive, (D, T)."""
        return self._weights(legs, self._components())

    def surplus_weights_jpy(self, legs: Sequence[Leg]) -> FloatArray:
        """Return what a bid's effect is worth to each need above its price, (D, T)."""
        table_of = (
            (self.table[need["kind"]], row) for need, row in zip(self.needs, self.row, strict=True)
        )
        top = np.array([table.top_cap_jpy_per_kwh[row] for table, row in table_of])
        return self._weights(
            legs, np.maximum(top.reshape(self.price_jpy.shape) - self.price_jpy, 0)
        )

    def _components(self) -> FloatArray:
        """Return each need's own component of the price, (D, T)."""
        found, prices = self.found, np.zeros(self.price_jpy.shape)
        for row, (kind, where, sign) in enumerate(self.group):
            if kind == "LOCAL":
                prices[row] = found.local_jpy_per_kwh[self.row[row]]
            elif kind == "AREA":
                prices[row] = sign * found.area_jpy_per_kwh[where]
            else:
                prices[row] = found.capacity_jpy_per_kw[self.row[row]]
        return np.asarray(np.maximum(prices, 0.0))

    def _weights(self, legs: Sequence[Leg], price: FloatArray) -> FloatArray:
        """Return price × what a bid does for each need, where that is positive, (D, T)."""
        snapshot = self.clearing.snapshot
        sent_kw, held_kw = self._effect(legs)
        flow_kw = self.clearing.programme.sensitivity.place @ sent_kw
        area_kw = np.zeros((len(snapshot.network.area_ids), self.count))
        np.add.at(area_kw, snapshot.place_area, sent_kw)
        weights = np.zeros((len(self.needs), self.count))
        for row, (kind, where, sign) in enumerate(self.group):
            if kind == "LOCAL":
                effect_kw = -sign * flow_kw[where]
            else:
                effect_kw = sign * (area_kw if kind == "AREA" else held_kw)[where]
            worth = self.hours[row] * price[row] * self.share[row]
            weights[row] = worth * np.maximum(effect_kw, 0.0)
        return weights

    def _effect(self, legs: Sequence[Leg]) -> tuple[FloatArray, FloatArray]:
        """Return injections at the sending end, (P, T), and capacity by product and area."""
        snapshot = self.clearing.snapshot
        areas = len(snapshot.network.area_ids)
        sent_kw = np.zeros((len(snapshot.place_ids), self.count))
        held_kw = np.zeros((len(snapshot.products.ids) * areas, self.count))
        for leg in legs:
            place = snapshot.resource_place[self.resource_row[leg.resource]]
            kw = snapshot.sent_per_received_ratio[place] * leg.quantity_kw
            if leg.product is None:
                sent_kw[place] += DIRECTION_SIGN[leg.direction] * kw
            else:
                product = snapshot.products.ids.index(leg.product)
                held_kw[product * areas + snapshot.place_area[place]] += kw
        return sent_kw, held_kw
