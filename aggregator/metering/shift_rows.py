"""Hold both ends of an auction's shifts against each other, and count what they agree on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from aggregator.core.shifts import Checked, End, ShiftRules, Work, effects_kw, shift_check
from aggregator.metering.counting import HOURS_PER_INTERVAL, Row
from aggregator.metering.orders import SHIFT_LEGS
from aggregator.metering.placements import LoggedWork, logs_latest
from market.clearing.models import ClearingRun, Leg, RunState
from market.registry.models import Resource
from market.trading.models import Auction
from market.trading.sealing import contents_open

ONE = Decimal(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckRow:
    """What the check of one shift found in one half hour, by the award at the place it leaves."""

    award_id: UUID
    t: int
    start_at: datetime
    checked: Checked
    effect_kw: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ends:
    """Facts of all shifts of an auction: ratios, labels, logs, effects on elements."""

    resources: Mapping[UUID, Resource]
    ratios: Mapping[tuple[UUID, str], Decimal]
    logs: Mapping[tuple[UUID, int], Sequence[LoggedWork]]
    sensitivity: Mapping[str, Mapping[str, float]]


def shifts_checked(
    rows: Sequence[Row], *, auction: Auction, rules: ShiftRules, as_of: datetime
) -> tuple[list[Row], list[CheckRow]]:
    """Check every shift among the rows of one auction.

    Parameters
    ----------
    rows
        As the meters alone count them; both ends of each shift and half hour that they hold.

    Returns
    -------
    tuple
        The rows, with less delivered where the ends do not agree, and the checks in order of
        award and half hour.
    """
    mine = [
        row for row in rows if row.order.leg in SHIFT_LEGS and row.order.auction_id == auction.id
    ]
    if not mine:
        return list(rows), []
    ends = _ends(auction, mine, as_of)
    groups: dict[tuple[UUID | None, int], list[Row]] = defaultdict(list)
    for row in mine:
        groups[row.order.bid_id, row.order.t].append(row)
    counted: dict[tuple[UUID, int], Decimal] = {}
    checks: list[CheckRow] = []
    for group in groups.values():
        left = [row for row in group if row.order.leg == Leg.SHIFT_OUT]
        arrived = [row for row in group if row.order.leg == Leg.SHIFT_IN]
        for row in left:
            check = _checked(row, arrived, ends, rules)
            checks.append(check)
            for award, kwh in check.checked.delivered_kwh.items():
                counted[UUID(award), row.order.t] = kwh
        if not left:
            # what arrives without having left is load like any other
            counted.update({(row.order.award_id, row.order.t): Decimal(0) for row in arrived})
    changed = [
        row.counted(counted[row.order.award_id, row.order.t])
        if row.order.instruction_id is None and (row.order.award_id, row.order.t) in counted
        else row
        for row in rows
    ]
    return changed, sorted(checks, key=lambda check: (check.award_id, check.t))


def _checked(left: Row, arrived: Sequence[Row], ends: _Ends, rules: ShiftRules) -> CheckRow:
    rows = [left, *arrived]
    checked = shift_check(_end(left, ends), [_end(row, ends) for row in arrived], rules=rules)
    return CheckRow(
        award_id=left.order.award_id,
        t=left.order.t,
        start_at=left.order.start_at,
        checked=checked,
        effect_kw={
            "ordered": _effects(rows, [row.ordered_kwh for row in rows], ends),
            "counted": _effects(
                rows, [checked.delivered_kwh[str(row.order.award_id)] for row in rows], ends
            ),
        },
    )


def _end(row: Row, ends: _Ends) -> End:
    order = row.order
    resource = ends.resources[order.resource_id]
    ratio = ONE
    if order.leg == Leg.SHIFT_IN and order.bid_id is not None:
        ratio = ends.ratios.get((order.bid_id, resource.code), ONE)
    filed = ends.logs.get((order.award_id, order.t))
    log = None
    if filed is not None:
        allowed = set(resource.site.labels)
        log = tuple(
            Work(
                label=work.label,
                # kWh at a destination are told in kWh at the place the work left
                quantity=work.quantity / ratio if work.is_energy else work.quantity,
                is_allowed=order.leg == Leg.SHIFT_OUT or not work.label or work.label in allowed,
            )
            for work in filed
        )
    return End(award=str(order.award_id), delivered_kwh=row.delivered_kwh, ratio=ratio, log=log)


def _effects(rows: Sequence[Row], moved_kwh: Sequence[Decimal], ends: _Ends) -> dict[str, str]:
    """Return what both ends do to each element, net: kW as plain decimals."""
    effects = effects_kw(
        (
            ends.sensitivity.get(ends.resources[row.order.resource_id].site.code, {}),
            (1 if row.order.leg == Leg.SHIFT_OUT else -1) * kwh / HOURS_PER_INTERVAL,
            ONE / (ONE - ends.resources[row.order.resource_id].site.loss_ratio),
        )
        for row, kwh in zip(rows, moved_kwh, strict=True)
    )
    return {name: f"{kw:.1f}" for name, kw in effects.items()}


def _ends(auction: Auction, rows: Sequence[Row], as_of: datetime) -> _Ends:
    resources = {
        resource.id: resource
        for resource in Resource.objects.select_related("site").filter(
            id__in={row.order.resource_id for row in rows}
        )
    }
    bids = {row.order.bid_id for row in rows if row.order.bid_id is not None}
    return _Ends(
        resources=resources,
        ratios=_ratios(bids),
        logs=logs_latest(award_ids={row.order.award_id for row in rows}, as_of=as_of),
        sensitivity=sensitivities_published(auction),
    )


def _ratios(bid_ids: Collection[UUID]) -> dict[tuple[UUID, str], Decimal]:
    """Return the kW at each destination per kW at the place the work leaves, as was offered."""
    return {
        (bid_id, destination["resource"]): Decimal(destination["ratio"])
        for bid_id, content in contents_open(bid_ids).items()
        for destination in content.get("destinations", ())
    }


def sensitivities_published(auction: Auction) -> dict[str, dict[str, float]]:
    """Return what a kW sent at each place does to each element, as the result published it."""
    run = ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED).first()
    if run is None or run.result is None:
        return {}
    document = json.loads(bytes(run.result))
    return {
        place["id"]: dict(place.get("sensitivity_kw_per_kw", {}))
        for place in document.get("places", ())
    }
