"""Count an auction's delivery set by set: what its meters' orders have in common at once.

:func:`~aggregator.metering.outcomes.outcome_of` says what counts, order by order; a property test
holds the two equal. Resources with shifts, stand-ins, capacity held ready or an instruction taken
back go that way here, too: what they count depends on more than their own meter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection

from aggregator.core import baselines as core
from aggregator.core.baseline_variants import Facts, Variant, baseline_of
from aggregator.core.baselines_bulk import Asked, baselines_in_bulk
from aggregator.core.baselines_sameday import BeforeAndAfter, JustBefore
from aggregator.core.loads import Bools, Ints
from aggregator.dispatch.services import OTHER_END
from aggregator.metering.assignments import assigned_methods
from aggregator.metering.baselines import FoundBaseline, from_stored
from aggregator.metering.binary import integers, rows_out
from aggregator.metering.bulk_counting import OrderedAward, Shown, columns_counted
from aggregator.metering.bulk_loads import Source, source_read
from aggregator.metering.calendar import day_start, holidays_between
from aggregator.metering.columns import Columns, columns_of, merged
from aggregator.metering.counting import ReadingsNotFinal
from aggregator.metering.delivery_rules import delivery_rules
from aggregator.metering.excuses import excuses_within
from aggregator.metering.found import FoundColumns, found_columns
from aggregator.metering.models import Stage, VerificationStage
from aggregator.metering.orders import SHIFT_LEGS
from aggregator.metering.outcomes import NothingPublished, Outcome, outcome_of
from aggregator.metering.rules import BaselineRules, baseline_rules_from_mapping
from aggregator.metering.schedules import schedules_on
from aggregator.metering.selectors import baselines_latest, called_beside
from market.clearing.models import Award, RunState
from market.trading.models import Auction

OVERHANG_DAYS = 1
HALF_HOUR = timedelta(minutes=30)
OF_DAY = """
trading_auction u
JOIN clearing_award a ON a.auction_id = u.id
JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
"""
PUBLISHED = """
u.delivery_on = %(day)s AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
"""
OF_LOOKED = """
looked l
JOIN trading_auction u ON u.delivery_on = l.delivery_on
 AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
JOIN clearing_award a ON a.auction_id = u.id
JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
"""


def bound_sql(wanted: str) -> str:
    """Return the query for what else than its own meter decides what counts on a resource.

    By look, of a relation `looked (n, auction_id, delivery_on)`; `wanted` is a join to what is
    asked for, in which ``{resource}`` names the resource.
    """
    of_award = f"{OF_LOOKED} {wanted.format(resource='a.resource_id')}"
    return f"""
    SELECT l.n, a.resource_id FROM {of_award} WHERE a.leg = ANY(%(legs)s)
    UNION
    SELECT l.n, d.resource_id FROM {OF_LOOKED}
    JOIN dispatch_dispatchinstruction d ON d.award_id = a.id AND d.version > 1
    {wanted.format(resource="d.resource_id")}
    UNION
    SELECT l.n, a.resource_id FROM {of_award}
    JOIN dispatch_dispatchinstruction d
      ON d.award_id = a.id AND d.version = 1 AND d.state = 'CANCELLED'
     AND d.reason NOT LIKE %(other_end)s
    UNION
    SELECT l.n, a.resource_id FROM {of_award}
    JOIN clearing_capacityinterval i ON i.award_id = a.id AND i.quantity_kw > 0
    WHERE a.auction_id = l.auction_id
    """  # noqa: S608 - constants of our own


BOUND_SQL = f"""
WITH looked (n, auction_id, delivery_on) AS (SELECT 0, %(auction)s::uuid, %(day)s::date)
{bound_sql("")}
"""
AWARDS_SQL = f"""
SELECT a.id, a.auction_id, a.resource_id, r.site_id, convert_to(r.kind, 'UTF8'),
       a.direction = 'UP',
       CASE WHEN d.state = 'OPTED_OUT' THEN 1::smallint WHEN d.state = 'REPLACED' THEN 2
            WHEN d.state = 'CANCELLED' THEN 1 ELSE 0 END,
       i.slots, i.ordered_wh
FROM {OF_DAY}
JOIN registry_resource r ON r.id = a.resource_id
JOIN LATERAL (
    SELECT array_agg(t) AS slots, array_agg((quantity_kw * 500)::bigint) AS ordered_wh
    FROM clearing_awardinterval WHERE award_id = a.id AND quantity_kw > 0
) AS i ON i.slots IS NOT NULL
LEFT JOIN dispatch_dispatchinstruction d ON d.award_id = a.id AND d.version = 1
WHERE {PUBLISHED}
ORDER BY a.resource_id, a.id
"""  # noqa: S608


def outcome_in_bulk(
    auction: Auction,
    *,
    stage: str,
    as_of: datetime,
    source: Source | None = None,
    use_locked: bool = True,
    is_patient: bool = False,
) -> Outcome:
    """Count what a whole auction ordered, writing nothing; see :func:`outcome_of`.

    Parameters
    ----------
    source
        Readings of its resources and their look-back as they were known at `as_of`, where they
        were fetched for several auctions together.

    Raises
    ------
    NothingPublished
        If it awarded nothing.
    ReadingsNotFinal
        If the stage is FINAL and a reading is not to be paid on yet, unless it is patient.
    """
    bound = _bound(auction)
    awards = _awards(auction, bound)
    variants = _variants(auction, {award.resource_id: award.kind for award in awards})
    if by_minute := {id_ for id_, of in variants.items() if isinstance(of.rules, JustBefore)}:
        bound |= by_minute
        awards = [award for award in awards if award.resource_id not in by_minute]
        variants = {id_: of for id_, of in variants.items() if id_ not in by_minute}
    if bound or not awards:
        try:
            outcome = outcome_of(
                auction, stage=stage, as_of=as_of, use_locked=use_locked, is_patient=is_patient,
                resource_ids=bound,
            )  # fmt: skip
        except NothingPublished:
            if not awards:
                raise
            outcome = Outcome(auction=auction, stage=stage, as_of=as_of)
    else:
        outcome = Outcome(auction=auction, stage=stage, as_of=as_of)
    if not awards:
        return outcome
    if source is None:
        source = _source(variants, (auction.delivery_on, auction.delivery_on), as_of)
    found = _baselines(auction, awards, variants, source, use_locked=use_locked)
    needed = Stage.PRELIMINARY
    if stage == VerificationStage.FINAL:
        needed = delivery_rules(auction.ruleset.rules).pay_stage
    counted = _counted(auction, awards, found, source, needed, is_patient=is_patient)
    rows = columns_of(outcome.rows, day_at=counted.day_at)
    return replace(outcome, rows=(), columns=merged([rows, counted]), found_columns=found)


def source_of_auctions(auctions: Sequence[Auction], *, as_of: datetime) -> Source:
    """Fetch at once what several auctions stand on."""
    variants: dict[UUID, Variant] = {}
    kinds: dict[UUID, dict[UUID, str]] = {}
    for auction_id, id_, kind in (
        Award.objects.filter(auction__in=auctions, run__state=RunState.PUBLISHED)
        .values_list("auction_id", "resource_id", "resource__kind")
        .distinct()
    ):
        kinds.setdefault(auction_id, {})[id_] = kind
    for auction in auctions:
        for id_, variant in _variants(auction, kinds.get(auction.id, {})).items():
            known = variants.get(id_)
            if known is None or variant.reach_days > known.reach_days or _looks_beside(variant):
                variants[id_] = variant
    days = [auction.delivery_on for auction in auctions]
    return _source(variants, (min(days), max(days)), as_of)


def _source(variants: Mapping[UUID, Variant], days: tuple[date, date], as_of: datetime) -> Source:
    return source_read(
        resource_ids=variants.keys(),
        reach_days={
            id_: variant.reach_days
            for id_, variant in variants.items()
            if variant.reach_days or _looks_beside(variant)
        },
        days=days,
        overhang_days=OVERHANG_DAYS if any(map(_looks_beside, variants.values())) else 0,
        as_of=as_of,
    )


def _looks_beside(variant: Variant) -> bool:
    return isinstance(variant.rules, BeforeAndAfter)


def _bound(auction: Auction) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(BOUND_SQL, _parameters(auction))
        return {resource_id for _, resource_id in cursor}


def _parameters(auction: Auction) -> dict[str, Any]:
    return {
        "day": auction.delivery_on,
        "auction": auction.id,
        "legs": list(SHIFT_LEGS),
        "other_end": f"%{OTHER_END}%",
    }


def _awards(auction: Auction, bound: Collection[UUID]) -> list[OrderedAward]:
    """Return what was ordered on the day of resources that the auction asked something of.

    Without those that are bound to more than their own meter, or measured by the minute.
    """
    found = []
    for row in rows_out(AWARDS_SQL, _parameters(auction)):
        id_, of_auction, resource_id, site_id = (UUID(bytes=bytes(f or b"")) for f in row[:4])
        if resource_id not in bound:
            found.append(
                OrderedAward(
                    id=id_,
                    auction_id=of_auction,
                    resource_id=resource_id,
                    site_id=site_id,
                    kind=bytes(row[4] or b"").decode(),
                    is_up=bytes(row[5] or b"") == b"\x01",
                    void=int.from_bytes(row[6] or b"", "big"),
                    slots=integers(row[7], 2).astype(np.int64),
                    ordered_wh=integers(row[8], 8),
                )
            )
    mine = {award.resource_id for award in found if award.auction_id == auction.id}
    return [award for award in found if award.resource_id in mine]


def _variants(auction: Auction, kinds: Mapping[UUID, str]) -> dict[UUID, Variant]:
    terms = _terms(auction)
    assigned = assigned_methods(resource_ids=kinds.keys(), on=auction.delivery_on)
    return {id_: assigned.get(id_) or terms.variant_of_kind(kind) for id_, kind in kinds.items()}


def _terms(auction: Auction) -> BaselineRules:
    return baseline_rules_from_mapping(auction.ruleset.rules.get("baseline", {}))


def _baselines(
    auction: Auction,
    awards: Sequence[OrderedAward],
    variants: Mapping[UUID, Variant],
    source: Source,
    *,
    use_locked: bool,
) -> FoundColumns:
    """Find the baselines of a day by method; a locked one stands as it was stored."""
    ids = sorted(variants)
    events = np.zeros((len(ids), core.INTERVAL_COUNT), dtype=np.bool_)
    place = {id_: n for n, id_ in enumerate(ids)}
    for award in awards:
        events[place[award.resource_id], award.slots] = True
    found = found_columns(ids)
    stored = baselines_latest(resource_ids=ids, delivery_on=auction.delivery_on)
    for id_, row in stored.items():
        if row.is_locked and use_locked:
            found.is_locked[place[id_]] = True
            found.put(place[id_], from_stored(row))
    by_variant: dict[Variant, list[int]] = {}
    for n, id_ in enumerate(ids):
        if not found.is_locked[n]:
            by_variant.setdefault(variants[id_], []).append(n)
    for variant, places in by_variant.items():
        _found(auction.delivery_on, variant, places, events, found, source)
    return found


def _found(
    day: date,
    variant: Variant,
    places: Sequence[int],
    events: Bools,
    found: FoundColumns,
    source: Source,
) -> None:
    """Find the baselines of the resources of one method: at once, and the rest one by one."""
    loads, at = source.loads, source.loads.offset(day)
    ids = [found.resource_ids[n] for n in places]
    rows = np.array([source.row_of[id_] for id_ in ids], dtype=np.int64)
    reach = variant.reach_days
    free = holidays_between(day - timedelta(days=reach), day)
    called = source.called[rows, max(at - reach, 0) : at][:, ::-1]
    busy: Mapping[UUID, set[int]] = {}
    if _looks_beside(variant):
        busy = called_beside(resource_ids=ids, delivery_on=day, as_of=source.as_of)
    asked = Asked(
        day=day,
        rows=rows,
        event=events[places],
        called=called,
        busy=_mask(ids, busy) if busy else None,
        holidays=free,
    )
    together = baselines_in_bulk(variant, loads, asked)
    found.put_all(places, variant, together, day)
    alone = [n for n in range(len(places)) if not together.is_found[n]]
    if not alone:
        return
    plans = schedules_on(resource_ids=[ids[n] for n in alone], delivery_on=day)
    for n in alone:
        facts = Facts(
            load_kwh=loads.days_kwh(int(rows[n]), at - reach - 1, at + 1 + OVERHANG_DAYS),
            day=day,
            event=set(np.flatnonzero(events[places[n]]).tolist()),
            called_on={day - timedelta(days=1 + int(k)) for k in np.flatnonzero(called[n])},
            holidays=free,
            plan_kwh=plans.get(ids[n], ()),
            busy=busy.get(ids[n], ()),
        )
        try:
            baseline, reason = baseline_of(variant, facts), ""
        except core.BaselineNotComputable as refused:
            baseline, reason = None, str(refused)[:200]
        found.put(
            places[n],
            FoundBaseline(
                method=str(variant.method), variant=variant.name, baseline=baseline, reason=reason
            ),
        )


def _mask(ids: Sequence[UUID], busy: Mapping[UUID, set[int]]) -> Bools:
    """Return the half hours called on the day before, the day and the day after."""
    mask = np.zeros((len(ids), 3 * core.INTERVAL_COUNT), dtype=np.bool_)
    for n, id_ in enumerate(ids):
        mask[n, [core.INTERVAL_COUNT + slot for slot in busy.get(id_, ())]] = True
    return mask


def _counted(
    auction: Auction,
    awards: Sequence[OrderedAward],
    found: FoundColumns,
    source: Source,
    needed: Stage,
    *,
    is_patient: bool,
) -> Columns:
    """Count the orders of all meters at once; return the auction's own."""
    place = {id_: n for n, id_ in enumerate(found.resource_ids)}
    sizes = [len(award.slots) for award in awards]
    award = np.repeat(np.arange(len(awards)), sizes)
    t = np.concatenate([award.slots for award in awards])
    resource = np.array([place[award.resource_id] for award in awards])[award]
    loads, at = source.loads, source.loads.offset(auction.delivery_on)
    row = np.array([source.row_of[id_] for id_ in found.resource_ids])[resource]
    stage = loads.stage[row, at, t].astype(np.int64)
    is_read = stage > 0
    is_early = is_read & (stage < needed)
    if is_patient:
        is_read &= ~is_early
    elif is_early.any():
        _refuse_early(auction, found, resource, t, is_early, needed)
    is_metered = is_read & loads.known[row, at, t]
    is_based = found.is_based[resource]
    counted = columns_counted(
        day_at=day_start(auction.delivery_on),
        awards=awards,
        award=award,
        t=t,
        resource=resource,
        shown=Shown(
            baseline_wh=np.where(is_based, found.values_wh[resource, t], 0),
            metered_wh=np.where(is_metered, loads.values_wh[row, at, t], 0),
            revision=np.where(is_read, loads.revision[row, at, t], 0).astype(np.int64),
            stage=np.where(is_read, stage, 0),
            is_based=is_based,
            is_metered=is_metered,
            is_read=is_read,
        ),
        excuses=excuses_within(
            starts_at=day_start(auction.delivery_on),
            ends_at=day_start(auction.delivery_on, days=1),
            as_of=source.as_of,
        ),
    )
    mine = np.array([award.auction_id == auction.id for award in awards])[award]
    return counted if mine.all() else counted.taken(np.flatnonzero(mine))


def _refuse_early(
    auction: Auction, found: FoundColumns, resource: Ints, t: Ints, is_early: Bools, needed: Stage
) -> None:
    first = min(zip(resource[is_early].tolist(), t[is_early].tolist(), strict=True))
    start_at = day_start(auction.delivery_on) + first[1] * HALF_HOUR
    raise ReadingsNotFinal(
        field="start_at",
        value=start_at.isoformat(),
        rule=f"the reading of resource {found.resource_ids[first[0]]} is {needed.label}",
    )
