"""Count what was delivered on each order: meters, answers and excuses in, rows out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Protocol
from uuid import UUID

from accounts.core.errors import Refused
from aggregator.core.delivery import Cause, Delivered, Direction, Ordered, deliver
from aggregator.metering.excuses import Excuse
from aggregator.metering.models import Stage
from aggregator.metering.orders import Place
from aggregator.metering.selectors import LatestReading, OrderedInterval

HOURS_PER_INTERVAL = Decimal("0.5")
QUANTUM_KWH = Decimal("0.001")
ZERO = Decimal(0)
DECLINED = frozenset({Cause.OPTED_OUT.value, Cause.REPLACED.value})


class ReadingsNotFinal(Refused):
    """A final verification must wait: a half hour has a value that is not 確定 yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of the meters that orders are held against.

    `baselines_kwh` and `readings` are per resource and half hour; `needed` is the stage below
    which a reading may not be counted. With `is_patient` such a reading is none yet: what was
    verified waits for the one that may be counted.
    """

    baselines_kwh: Mapping[Place, Decimal | None]
    readings: Mapping[Place, LatestReading]
    excuses: Sequence[Excuse]
    needed: Stage
    as_of: datetime
    is_patient: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What counts on one order in one half hour; ordered = delivered + shortfall."""

    order: OrderedInterval
    ordered_kwh: Decimal
    delivered_kwh: Decimal
    shortfall_kwh: Decimal
    over_kwh: Decimal
    baseline_kwh: Decimal | None
    metered_kwh: Decimal | None
    reading_revision: int | None
    reading_stage: int | None
    cause: str
    is_excused: bool
    covered_kwh: Decimal = ZERO

    def counted(self, delivered_kwh: Decimal) -> Row:
        """Return the row with less delivered, the rest being shortfall."""
        return replace(
            self,
            delivered_kwh=delivered_kwh,
            shortfall_kwh=self.ordered_kwh - delivered_kwh,
        )


class Staged(Protocol):
    """A reading of any length, as far as its stage is looked at."""

    @property
    def start_at(self) -> datetime:
        """When its interval starts."""

    @property
    def stage(self) -> int:
        """How final it is."""


def stage_check(resource_id: UUID, reading: Staged, needed: Stage) -> None:
    """Refuse a reading that may not be counted yet.

    Raises
    ------
    ReadingsNotFinal
        If it is below the stage needed.
    """
    if reading.stage < needed:
        raise ReadingsNotFinal(
            field="start_at",
            value=reading.start_at.isoformat(),
            rule=f"the reading of resource {resource_id} is {needed.label}",
        )


def rows_counted(orders: Iterable[OrderedInterval], facts: Facts) -> list[Row]:
    """Count every order, resource by resource and half hour by half hour.

    What a site declined or the desk took back counts as not delivered and does not take part
    in sharing what the meter shows. Stand-ins take part in it under their instruction; of what
    they deliver, no more covers a lost award than it ordered.

    Raises
    ------
    ReadingsNotFinal
        If a reading is below the stage needed.
    """
    by_place: dict[Place, list[OrderedInterval]] = defaultdict(list)
    for order in orders:
        by_place[order.resource_id, order.t].append(order)
    rows: list[Row] = []
    for place in sorted(by_place):
        rows += _place_rows(by_place[place], place, facts)
    return _covered(rows)


def _place_rows(orders: Sequence[OrderedInterval], place: Place, facts: Facts) -> list[Row]:
    reading = facts.readings.get(place)
    if reading is not None:
        stage_check(place[0], reading, facts.needed)
    baseline_kwh = facts.baselines_kwh.get(place)
    metered_kwh = None if reading is None else reading.usable_kwh
    shared = {
        row.award: row
        for row in deliver(
            [
                Ordered(
                    award=_key(order),
                    direction=Direction(order.direction),
                    ordered_kwh=order.quantity_kw * HOURS_PER_INTERVAL,
                )
                for order in orders
                if not order.void
            ],
            baseline_kwh=baseline_kwh,
            metered_kwh=metered_kwh,
        )
    }
    return [_row(order, shared.get(_key(order)), baseline_kwh, reading, facts) for order in orders]


def _key(order: OrderedInterval) -> str:
    """Name an order among those of one meter; a stand-in sorts after the awards."""
    return str(order.award_id) if order.instruction_id is None else f"~{order.instruction_id}"


def _row(
    order: OrderedInterval,
    shared: Delivered | None,
    baseline_kwh: Decimal | None,
    reading: LatestReading | None,
    facts: Facts,
) -> Row:
    ordered_kwh = order.quantity_kw * HOURS_PER_INTERVAL
    delivered_kwh = ZERO if shared is None else shared.delivered_kwh
    is_excused = order.is_excused or any(
        excuse.covers(start_at=order.start_at, resource_id=order.resource_id, site_id=order.site_id)
        for excuse in facts.excuses
    )
    metered_kwh = None if reading is None else reading.usable_kwh
    return Row(
        order=order,
        ordered_kwh=ordered_kwh,
        delivered_kwh=delivered_kwh,
        shortfall_kwh=ordered_kwh - delivered_kwh,
        over_kwh=ZERO if shared is None else shared.over_kwh,
        baseline_kwh=baseline_kwh,
        metered_kwh=metered_kwh,
        reading_revision=None if reading is None else reading.revision,
        reading_stage=None if reading is None else reading.stage,
        cause=_cause(order, is_excused=is_excused, is_metered=metered_kwh is not None),
        is_excused=is_excused,
    )


def _cause(order: OrderedInterval, *, is_excused: bool, is_metered: bool) -> str:
    if order.void in DECLINED:
        return order.void
    if is_excused:
        return Cause.EXCUSED.value
    if not is_metered:
        return Cause.NOT_METERED.value
    return (Cause.NONE if order.instruction_id is None else Cause.STOOD_IN).value


def _covered(rows: Sequence[Row]) -> list[Row]:
    """Say what stand-ins make up for: together no more than the lost award ordered."""
    left_kwh: dict[tuple[UUID, int], Decimal] = {}
    covers: dict[tuple[UUID | None, int], Decimal] = {}
    stand_ins = [row for row in rows if row.order.instruction_id is not None]
    for row in sorted(stand_ins, key=lambda row: (row.order.t, str(row.order.instruction_id))):
        order = row.order
        made_up_kwh = (row.delivered_kwh * order.cover_ratio).quantize(QUANTUM_KWH, ROUND_DOWN)
        at = (order.award_id, order.t)
        limit_kwh = left_kwh.get(at, order.lost_quantity_kw * HOURS_PER_INTERVAL)
        covers[order.instruction_id, order.t] = covered_kwh = min(made_up_kwh, limit_kwh)
        left_kwh[at] = limit_kwh - covered_kwh
    return [
        replace(row, covered_kwh=covers[row.order.instruction_id, row.order.t])
        if row.order.instruction_id is not None
        else row
        for row in rows
    ]
