"""Assess the capacity an auction reserved: what was there, what responded, who said so before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import connection

from aggregator.core.assessment import (
    AssessmentRules,
    LoadState,
    Reserved,
    StoreState,
    assess_available,
    assess_response,
    load_available_kw,
    required_kw,
    store_available_kw,
    stored_kwh_after,
)
from aggregator.core.delivery import Direction
from aggregator.metering.counting import HOURS_PER_INTERVAL, Facts, stage_check
from aggregator.metering.fine_selectors import fine_values
from aggregator.metering.held import Held
from aggregator.metering.models import CapacityActivation
from aggregator.metering.orders import Place
from aggregator.metering.selectors import OrderedInterval
from market.registry.models import STORAGE_KINDS, Resource
from market.registry.selectors import product_terms_of
from market.trading.models import Auction, Bid, BidForm, BidState
from market.trading.sealing import contents_open

HALF_HOUR = timedelta(minutes=30)
MINUTES = 30
ZERO = Decimal(0)
SIGNS = {Direction.UP: 1, Direction.DOWN: -1}


@dataclass(frozen=True, kw_only=True, slots=True)
class AssessmentRow:
    """What the assessment of one award found in one half hour."""

    held: Held
    available_kw: Decimal | None
    shortfall_kw: Decimal
    is_declared: bool
    is_excused: bool
    instructed_kwh: Decimal | None
    responded_kwh: Decimal | None
    is_responsive: bool | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known beside the meters: the resources, calls, words, stores, energy ordered."""

    resources: Mapping[UUID, Resource]
    calls: Mapping[tuple[UUID, int], Decimal]
    declared: Collection[Place]
    stored_kwh: Mapping[UUID, Sequence[Decimal | None]]
    sustained_h: Mapping[str, Decimal]
    ordered_up_kw: Mapping[Place, Decimal]
    meter_ids: Mapping[UUID, int]
    rules: AssessmentRules


def capacity_assessed(
    held: Sequence[Held],
    *,
    auction: Auction,
    facts: Facts,
    orders: Collection[OrderedInterval],
    meter_ids: Mapping[UUID, int],
    rules: AssessmentRules,
) -> list[AssessmentRow]:
    """Assess every half hour of what an auction reserved.

    Parameters
    ----------
    held
        What to assess; all products of a resource in the half hours it names, those of other
        auctions among them.
    facts
        Meters and baselines of those resources: of stores, of the whole day.
    orders
        Energy ordered of the same resources.

    Raises
    ------
    ReadingsNotFinal
        If a reading that counts is below the stage needed: of what is held, of the day of a
        store that is followed, or of the short intervals of a response.
    """
    if not held:
        return []
    for place in sorted({(row.resource_id, row.t) for row in held}):
        reading = facts.readings.get(place)
        if reading is not None:
            stage_check(place[0], reading, facts.needed)
    known = _known(held, auction=auction, facts=facts, orders=orders,
                   meter_ids=meter_ids, rules=rules)  # fmt: skip
    by_place: dict[Place, list[Held]] = defaultdict(list)
    for row in held:
        by_place[row.resource_id, row.t].append(row)
    rows: list[AssessmentRow] = []
    for place in sorted(by_place):
        rows += _place_rows(place, by_place[place], facts, known)
    mine = [row for row in rows if row.held.auction_id == auction.id]
    return sorted(mine, key=lambda row: (row.held.award_id, row.held.t))


def activations_latest(
    *, award_ids: Collection[UUID], as_of: datetime
) -> dict[tuple[UUID, int], Decimal]:
    """Return the calls that stand, as known then; one taken back (0 kW) is none."""
    rows = CapacityActivation.objects.filter(award_id__in=award_ids, noted_at__lte=as_of)
    latest = {
        (award_id, t): kw
        for award_id, t, kw in rows.order_by("revision").values_list(
            "award_id", "t", "instructed_kw"
        )
    }
    return {key: kw for key, kw in latest.items() if kw > 0}


def _place_rows(
    place: Place, held: Sequence[Held], facts: Facts, known: _Known
) -> list[AssessmentRow]:
    called = any((row.award_id, row.t) in known.calls for row in held)
    available: dict[Direction, Decimal | None] = {}
    told: dict[str, Any] = {}
    for direction in {row.direction for row in held}:
        last_h = max(
            known.sustained_h.get(row.product, HOURS_PER_INTERVAL)
            for row in held
            if row.direction is direction
        )
        available[direction], told[direction.value] = _available(
            place, direction, facts, known, called=called, last_h=last_h
        )
    assessed = {
        row.award: row
        for row in assess_available(
            [
                Reserved(
                    award=str(row.award_id),
                    product=row.product,
                    direction=row.direction,
                    reserved_kw=row.reserved_kw,
                )
                for row in held
            ],
            available,
            composites=known.rules.composites,
        )
    }
    called_kw = _called(held, known)
    rows = []
    for row in held:
        found = assessed[str(row.award_id)]
        is_metered = available[row.direction] is not None
        response = _response(row, held, facts, known, called_kw)
        rows.append(
            AssessmentRow(
                held=row,
                available_kw=found.available_kw if is_metered else None,
                shortfall_kw=found.shortfall_kw,
                is_declared=place in known.declared,
                is_excused=any(
                    excuse.covers(
                        start_at=row.start_at, resource_id=row.resource_id, site_id=row.site_id
                    )
                    for excuse in facts.excuses
                ),
                evidence={**told[row.direction.value], **response.pop("evidence")},
                **response,
            )
        )
    return rows


def _available(
    place: Place,
    direction: Direction,
    facts: Facts,
    known: _Known,
    *,
    called: bool,
    last_h: Decimal,
) -> tuple[Decimal | None, dict[str, Any]]:
    """Return what a resource could give, and what that was found from.

    Without a call the meter itself says what was there to be given; after a call it is the
    baseline, less what was ordered otherwise.
    """
    resource = known.resources[place[0]]
    reading = facts.readings.get(place)
    metered_kwh = None if reading is None else reading.usable_kwh
    baseline_kwh = facts.baselines_kwh.get(place)
    used_kwh = metered_kwh
    if called and metered_kwh is not None:
        ordered_kwh = known.ordered_up_kw.get(place, ZERO) * HOURS_PER_INTERVAL
        used_kwh = None if baseline_kwh is None else baseline_kwh - ordered_kwh
    told = {"used_kwh": _plain(used_kwh), "called": called}
    if used_kwh is None:
        return None, told
    used_kw = used_kwh / HOURS_PER_INTERVAL
    storage = getattr(resource, "storage", None)
    if resource.kind not in STORAGE_KINDS or storage is None:
        state = LoadState(
            used_kw=used_kw,
            min_kw=ZERO,
            limit_up_kw=resource.limit_up_kw,
            limit_down_kw=resource.limit_down_kw,
            contract_kw=max(resource.site.contract_kw, abs(used_kw)),
        )
        return load_available_kw(state, direction), told | {
            "limit_up_kw": _plain(state.limit_up_kw),
            "limit_down_kw": _plain(state.limit_down_kw),
            "contract_kw": _plain(state.contract_kw),
        }
    followed = known.stored_kwh.get(resource.id)
    stored_kwh = None if followed is None else followed[place[1]]
    if followed is not None and stored_kwh is None:
        # the store was told, but its meter has a gap: nobody can tell what it held
        return None, told
    store = StoreState(
        output_kw=-used_kw,
        discharge_kw=min(storage.discharge_kw, resource.limit_up_kw),
        charge_kw=min(storage.charge_kw, resource.limit_down_kw),
        stored_kwh=stored_kwh,
        energy_kwh=storage.energy_kwh,
        reserve_kwh=storage.reserve_kwh,
        discharge_efficiency_ratio=storage.discharge_efficiency_ratio,
        charge_efficiency_ratio=storage.charge_efficiency_ratio,
    )
    return store_available_kw(store, direction, last_h=last_h), told | {
        "stored_kwh": _plain(stored_kwh),
        "sustained_h": _plain(last_h),
    }


def _called(held: Sequence[Held], known: _Known) -> dict[Direction, Decimal]:
    """Return what all calls need of one meter in one half hour; one call serves a composite."""
    calls: dict[Direction, list[Reserved]] = defaultdict(list)
    for row in _calls(held, known):
        calls[row.direction].append(row)
    return {
        direction: required_kw(rows, composites=known.rules.composites)
        for direction, rows in calls.items()
    }


def _calls(held: Sequence[Held], known: _Known) -> list[Reserved]:
    return [
        Reserved(
            award=str(row.award_id),
            product=row.product,
            direction=row.direction,
            reserved_kw=instructed_kw,
        )
        for row in held
        if (instructed_kw := known.calls.get((row.award_id, row.t)))
    ]


def _energy_ratio(row: Held, held: Sequence[Held], known: _Known) -> Fraction:
    """Return how much of an award's response is energy of its own.

    The calls of one composite are answered by the same kWh: together they are worth their
    largest, each in proportion to what it called.
    """
    group = next((of for of in known.rules.composites if row.product in of), None)
    if group is None:
        return Fraction(1)
    calls = [
        call
        for call in _calls(held, known)
        if call.product in group and call.direction is row.direction
    ]
    asked_kw = sum((call.reserved_kw for call in calls), ZERO)
    return Fraction(required_kw(calls, composites=known.rules.composites)) / Fraction(asked_kw)


def _response(
    row: Held,
    held: Sequence[Held],
    facts: Facts,
    known: _Known,
    called_kw: Mapping[Direction, Decimal],
) -> dict[str, Any]:
    """Return the columns of assessment II; all null where the award was not called."""
    instructed_kw = known.calls.get((row.award_id, row.t))
    if instructed_kw is None:
        return {
            "instructed_kwh": None, "responded_kwh": None, "is_responsive": None, "evidence": {},
        }  # fmt: skip
    place = (row.resource_id, row.t)
    reading = facts.readings.get(place)
    baseline_kwh = facts.baselines_kwh.get(place)
    if baseline_kwh is not None:
        baseline_kwh -= known.ordered_up_kw.get(place, ZERO) * HOURS_PER_INTERVAL
    points: list[Decimal | None] = [None if reading is None else reading.usable_kwh]
    if row.response_s <= known.rules.fine_response_max_s:
        points = _fine(row, facts, known) or points
    found = assess_response(
        instructed_kw=instructed_kw,
        reserved_kw=row.reserved_kw,
        direction=row.direction,
        baseline_kwh=baseline_kwh,
        metered_kwh=points,
        called_kw=called_kw,
        energy_ratio=_energy_ratio(row, held, known),
        rules=known.rules,
    )
    return {
        "instructed_kwh": instructed_kw * HOURS_PER_INTERVAL,
        "responded_kwh": found.responded_kwh,
        "is_responsive": found.is_responsive,
        "evidence": {
            "points_count": found.points_count,
            "points_failed": list(found.points_failed),
            "baseline_kwh": _plain(baseline_kwh),
        },
    }


def _fine(row: Held, facts: Facts, known: _Known) -> list[Decimal | None]:
    """Return the finer readings of a half hour in equal parts, or none where it has none."""
    meter_id = known.meter_ids.get(row.resource_id)
    if meter_id is None:
        return []
    values = fine_values(
        meter_id=meter_id,
        start_at=row.start_at,
        end_at=row.start_at + HALF_HOUR,
        as_of=facts.as_of,
    )
    if facts.is_patient:
        values = [value for value in values if value.stage >= facts.needed]
    if not values:
        return []
    for value in values:
        stage_check(row.resource_id, value, facts.needed)
    step_min = values[0].interval_min
    by_part = {
        int((value.start_at - row.start_at) / timedelta(minutes=step_min)): value.energy_kwh
        for value in values
    }
    return [by_part.get(part) for part in range(MINUTES // step_min)]


def _known(
    held: Sequence[Held],
    *,
    auction: Auction,
    facts: Facts,
    orders: Collection[OrderedInterval],
    meter_ids: Mapping[UUID, int],
    rules: AssessmentRules,
) -> _Known:
    ids = {row.resource_id for row in held}
    ordered_up_kw: dict[Place, Decimal] = defaultdict(lambda: ZERO)
    for order in orders:
        if order.resource_id in ids and not order.void:
            sign = SIGNS[Direction(order.direction)]
            ordered_up_kw[order.resource_id, order.t] += sign * order.quantity_kw
    resources = {
        row.id: row for row in Resource.objects.select_related("site", "storage").filter(id__in=ids)
    }
    stores = {id_: row for id_, row in resources.items() if row.kind in STORAGE_KINDS}
    return _Known(
        resources=resources,
        calls=activations_latest(award_ids={row.award_id for row in held}, as_of=facts.as_of),
        declared=_declared(held, rules),
        stored_kwh=_stored(stores, auction, facts),
        sustained_h={
            code: hours for code, (_, hours) in product_terms_of(auction.ruleset).capacity.items()
        },
        ordered_up_kw=ordered_up_kw,
        meter_ids=meter_ids,
        rules=rules,
    )


def _stored(
    stores: Mapping[UUID, Resource], auction: Auction, facts: Facts
) -> dict[UUID, tuple[Decimal | None, ...]]:
    """Follow the stores whose content was told with a bid through the day."""
    bids = dict(
        Bid.objects.filter(
            auction=auction,
            resource_id__in=stores.keys(),
            form=BidForm.STORAGE,
            state=BidState.SUBMITTED,
        )
        .order_by("received_at", "id")
        .values_list("id", "resource_id")
    )
    found = {}
    for bid_id, content in contents_open(bids.keys()).items():
        resource_id = bids[bid_id]
        storage = getattr(stores[resource_id], "storage", None)
        if storage is None or int(content["first_t"]) != 0:
            continue
        readings = [facts.readings.get((resource_id, t)) for t in range(48)]
        for reading in readings:
            if reading is not None:
                stage_check(resource_id, reading, facts.needed)
        found[resource_id] = stored_kwh_after(
            Decimal(content["start_kwh"]),
            [None if reading is None else reading.usable_kwh for reading in readings],
            charge_efficiency_ratio=storage.charge_efficiency_ratio,
            discharge_efficiency_ratio=storage.discharge_efficiency_ratio,
            standing_loss_ratio=storage.standing_loss_ratio,
        )
    return found


DECLARED_SQL = """
SELECT wanted.resource_id, wanted.t
FROM unnest(%s::uuid[], %s::smallint[], %s::timestamptz[]) AS wanted (resource_id, t, start_at)
CROSS JOIN LATERAL (
    SELECT n.is_available FROM dispatch_availabilitynotice n
    WHERE n.resource_id = wanted.resource_id
      AND n.starts_at < wanted.start_at + interval '30 minutes'
      AND n.ends_at > wanted.start_at AND n.noted_at <= wanted.start_at - %s * interval '1 minute'
    ORDER BY n.number DESC LIMIT 1
) AS said
WHERE NOT said.is_available
"""


def _declared(held: Sequence[Held], rules: AssessmentRules) -> set[Place]:
    """Return the half hours that were said to be unavailable long enough before."""
    places = {(row.resource_id, row.t): row.start_at for row in held}
    with connection.cursor() as cursor:
        cursor.execute(
            DECLARED_SQL,
            [
                [resource_id for resource_id, _ in places],
                [t for _, t in places],
                list(places.values()),
                rules.declare_before_min,
            ],
        )
        return set(cursor.fetchall())


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"
