"""What past prices would have paid for a block, a store, deferred or moved work.

The bid's best action at the prices of each day, by the very columns the clearing makes of it
(:mod:`market.core.response`); steps have their own arithmetic in :mod:`.meaning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from accounts.core.errors import Refused
from aggregator.core.value_of_compute import CostStep
from aggregator.portal.dc import selectors
from aggregator.portal.dc.desk import BidDesk
from aggregator.portal.dc.meaning import HALF_HOURS, Effect, H, PastDay, cost_jpy_per_h
from market.core.offers.terms import Terms
from market.core.response import Response, responses
from market.core.timegrid import INTERVAL_H
from market.registry.models import OpticalPath, Resource, Site
from market.trading.contents import content_canonical
from market.trading.models import BidForm
from market.trading.snapshot_rows import bid_row, resource_row

CENT = Decimal("0.01")
TENTH = Decimal("0.1")


@dataclass(frozen=True, kw_only=True)
class _Envelope:
    """What a bid is besides its content."""

    form: str
    mechanism: str
    resource: Resource | None
    site: Site | None = None


def answers_of(desk: BidDesk, content: Mapping[str, Any]) -> list[tuple[date, Response]]:
    """Return what the bid would have done on each of the latest published days.

    Empty without prices, or while no bid can be made of what is typed.
    """
    if not desk.prices:
        return []
    try:
        read = content_canonical(desk.form_name, content, field="bid")
        there = selectors.resources_coded(
            [row["resource"] for row in read.get("destinations", ())], desk.organisation
        )
        series = {desk.resource.code: desk.prices}
        for row in there:
            series[row.code] = selectors.prices_before(row.site, desk.auction.delivery_on)
        days = [day for day in desk.prices if all(day in one for one in series.values())]
        codes = {row["path"] for row in read.get("destinations", ())}
        terms = Terms(
            interval_count=HALF_HOURS,
            interval_h=INTERVAL_H,
            resources={row.code: resource_row(row) for row in (desk.resource, *there)},
            paths={row.code: _path(row) for row in selectors.paths_named(codes)},
        )
        envelope = _Envelope(form=desk.form_name, mechanism=desk.mechanism, resource=desk.resource)
        prices = [
            {name: np.array([float(jpy) for jpy in one[day]]) for name, one in series.items()}
            for day in days
        ]
        return list(
            zip(days, responses(bid_row(desk.name, envelope, read), terms, prices), strict=True)
        )
    except Refused:
        return []  # the judge of the page says what is wrong, at its field


def _path(path: OpticalPath) -> dict[str, Any]:
    return {
        "id": path.code,
        "from_place": path.from_site.code,
        "to_place": path.to_site.code,
        "price_jpy_per_gb": float(path.price_jpy_per_gb),
        "latency_ms": float(path.latency_ms),
    }


def days_of(
    answers: Sequence[tuple[date, Response]],
    floors: Sequence[CostStep],
    *,
    form: str,
    content: Mapping[str, Any],
) -> list[PastDay]:
    """Return what each day would have paid, and what it would have cost [JPY].

    What a block or waiting work asks per kWh is replaced by the cost floor where one is known;
    what else the bid asks for (starts, wear, moves) is taken as its cost.
    """
    found = []
    is_down = content.get("direction") == "DOWN"
    for day, answer in answers:
        cost = _exact(answer.cost_jpy)
        sold = [_tenth(kw) for kw in answer.sold_kw]
        kwh = H * sum(sold, Decimal(0))
        if is_down:
            cost, kwh = Decimal(0), H * sum((_tenth(kw) for kw in answer.bought_kw), Decimal(0))
        elif floors and form in (BidForm.BLOCK, BidForm.DEFERRAL):
            asked = Decimal(content["ask_jpy_per_kwh"]) * kwh
            cost += sum((H * cost_jpy_per_h(floors, kw) for kw in sold), Decimal(0)) - asked
        received = _exact(float(answer.received_jpy.sum()))
        found.append(PastDay(day=day, received_jpy=received, cost_jpy=cost, sold_kwh=kwh))
    return found


def effect_at(answer: Response) -> Effect:
    """Return the change of load at the bid's own resource that an answer means."""
    return Effect(kw=[_tenth(b - s) for s, b in zip(answer.sold_kw, answer.bought_kw, strict=True)])


def sold_at_jpy_per_kwh(answers: Sequence[tuple[date, Response]]) -> Decimal | None:
    """Return the mean price at which energy was sold; None if none was."""
    kwh = sum(float(answer.sold_kw.sum()) for _, answer in answers) * INTERVAL_H
    if kwh <= 0:
        return None
    jpy = sum(float(answer.received_jpy[answer.sold_kw > 0].sum()) for _, answer in answers)
    return _exact(jpy / kwh)


def _exact(jpy: float) -> Decimal:
    return Decimal(jpy).quantize(CENT)


def _tenth(kw: float) -> Decimal:
    return Decimal(kw).quantize(TENTH)
