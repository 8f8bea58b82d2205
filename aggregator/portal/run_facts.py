"""What a published run says, read once: its rows never change, so a process keeps the latest few.

What is kept is public with the result, or is summed before anybody sees it: who may see which
site or award is decided where a page is made, each time.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import numpy as np
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import FloatField, Max
from django.db.models.functions import Abs, Cast

from market.clearing.models import (
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    PriceKind,
)
from market.core.timegrid import INTERVALS_PER_DAY
from market.trading.models import Direction

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
RUNS_KEPT = 8


class Kept(Generic[K, V]):
    """Values that never change, read when they are first asked for; the latest used stay.

    Parameters
    ----------
    read
        Reads the value of a key; of two threads that ask at once each may read it.
    most
        How many stay.
    """

    def __init__(self, read: Callable[[K], V], *, most: int = RUNS_KEPT) -> None:
        self._read = read
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, V] = OrderedDict()

    def of(self, key: K) -> V:
        """Return the value of a key."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = self._read(key)
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def forget(self) -> None:
        """Drop everything, for tests and measurements."""
        with self._lock:
            self._kept.clear()


@dataclass(frozen=True, kw_only=True)
class NeedPrice:
    """What one half hour of a need came to."""

    price_jpy_per_kwh: Decimal
    served_kw: Decimal | None
    unserved_kw: Decimal | None


def _need_prices(run_id: UUID) -> dict[UUID, dict[int, NeedPrice]]:
    found: dict[UUID, dict[int, NeedPrice]] = {}
    rows = ClearingPrice.objects.filter(run_id=run_id, kind=PriceKind.NEED)
    for need_id, t, price, served_kw, unserved_kw in rows.values_list(
        "need_id", "t", "price_jpy_per_kwh", "served_kw", "unserved_kw"
    ):
        found.setdefault(need_id, {})[t] = NeedPrice(
            price_jpy_per_kwh=price, served_kw=served_kw, unserved_kw=unserved_kw
        )
    return found


def _flows(run_id: UUID) -> dict[UUID, tuple[Sequence[float], Sequence[float]]]:
    """Return for each element |flow| before and after at t = 0…47 [kW]."""
    rows = (
        ElementFlow.objects.filter(run_id=run_id)
        .order_by()
        .values("congestion_point_id")
        .annotate(
            at=ArrayAgg("t"),
            before=ArrayAgg(Cast(Abs("before_kw"), FloatField())),
            after=ArrayAgg(Cast(Abs("after_kw"), FloatField())),
        )
        .values_list("congestion_point_id", "at", "before", "after")
    )
    found: dict[UUID, tuple[Sequence[float], Sequence[float]]] = {}
    for point_id, at, before, after in rows:
        before_kw, after_kw = [0.0] * INTERVALS_PER_DAY, [0.0] * INTERVALS_PER_DAY
        for t, one, other in zip(at, before, after, strict=True):
            before_kw[t], after_kw[t] = one, other
        found[point_id] = (before_kw, after_kw)
    return found


def _dearest(run_id: UUID) -> dict[UUID, Decimal]:
    """Return the highest price of the day at each site."""
    rows = ClearingPrice.objects.filter(run_id=run_id, kind=PriceKind.PLACE)
    return dict(rows.order_by().values_list("site_id").annotate(top=Max("price_jpy_per_kwh")))


@dataclass(frozen=True, kw_only=True)
class Injected:
    """Change of injection by awards, summed by mechanism and site.

    Attributes
    ----------
    mechanisms, sites, areas
        Of each row.
    change_kw
        Shape (N, 48), at the sending end; positive is more supply or less load.
    """

    mechanisms: Sequence[str]
    sites: Sequence[str]
    areas: Sequence[str]
    change_kw: np.ndarray[Any, np.dtype[np.float64]]


def _injected(run_id: UUID) -> Injected:
    rows = AwardInterval.objects.filter(award__run_id=run_id, quantity_kw__gt=0).values_list(
        "award__bid__mechanism",
        "award__resource__site__code",
        "award__resource__site__area_id",
        "award__resource__site__loss_ratio",
        "award__direction",
        "t",
        "quantity_kw",
    )
    place: dict[tuple[str, str, str], int] = {}
    at, half_hours, changes = [], [], []
    for mechanism, site, area_id, loss_ratio, direction, t, kw in rows:
        at.append(place.setdefault((mechanism, site, area_id), len(place)))
        half_hours.append(t)
        sign = 1.0 if direction == Direction.UP else -1.0
        changes.append(sign * float(kw) / (1.0 - float(loss_ratio)))
    change_kw = np.zeros((len(place), INTERVALS_PER_DAY))
    np.add.at(change_kw, (at, half_hours), changes)
    return Injected(
        mechanisms=[mechanism for mechanism, _, _ in place],
        sites=[site for _, site, _ in place],
        areas=[area_id for _, _, area_id in place],
        change_kw=change_kw,
    )


def _sensitivities(run_id: UUID) -> Mapping[str, Mapping[str, float]]:
    """Return for each element kW of flow per kW injected at each place, as published."""
    packed = ClearingRun.objects.filter(id=run_id).values_list("result", flat=True).first()
    found: dict[str, dict[str, float]] = {}
    for row in (json.loads(bytes(packed)) if packed else {}).get("places", []):
        for element, value in row.get("sensitivity_kw_per_kw", {}).items():
            found.setdefault(element, {})[row["id"]] = float(value)
    return found


need_prices = Kept(_need_prices)
flows = Kept(_flows)
dearest = Kept(_dearest)
injected = Kept(_injected)
sensitivities = Kept(_sensitivities)
