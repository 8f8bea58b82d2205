"""Look a span of days over for gaming, month by month or when asked; keep what is found."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_create, job_finish
from aggregator.core import gaming as core
from aggregator.core.baselines import XOfY, is_holiday
from aggregator.metering.assignments import assigned_methods
from aggregator.metering.calendar import day_start, japanese_day
from aggregator.metering.gaming_facts import (
    Facts,
    days_between,
    delivered_of,
    facts_of,
    flows_relieved,
    is_pivotal,
    plans_of,
    stops_of,
    told_of,
)
from aggregator.metering.models import FINDING_TRANSITIONS, FindingState, GamingFinding
from aggregator.metering.rules import BaselineRules, baseline_rules_from_mapping
from aggregator.metering.schedules import gate_of
from aggregator.metering.shift_rows import sensitivities_published
from market.registry.models import Resource
from market.registry.selectors import ruleset_on
from market.trading.models import Auction

JOB_KIND = "aggregator.metering.gaming_report"
SPAN_MAX_DAYS = 62
TEXT_LENGTH_MAX = 2_000
UP = "UP"
HALF_HOUR = timedelta(minutes=30)

Signs = list[tuple[Resource, core.Sign]]


def gaming_report(
    *,
    from_on: date,
    to_on: date,
    as_of: datetime | None = None,
    resource_ids: Sequence[UUID] | None = None,
) -> list[GamingFinding]:
    """Run every test over the days [from_on, to_on), and store what is new.

    The same facts give the same findings; one that is known, with the same evidence, is not
    stored again, whatever has been decided about it.

    Parameters
    ----------
    from_on, to_on
        Delivery days; thresholds are those of the ruleset in force on the first.
    as_of
        Readings that became available later do not exist; now if left out.
    resource_ids
        Only these; all resources with awards in the span if left out. Shifts between resources
        of one operator are looked at over all of them either way.

    Returns
    -------
    list of GamingFinding
        All that the tests found, known ones included.

    Raises
    ------
    Refused
        If the span is empty, longer than two months or not over.
    """
    now = market_now()
    if not timedelta() < to_on - from_on <= timedelta(days=SPAN_MAX_DAYS):
        raise Refused(field="to_on", value=to_on, rule=f"1 to {SPAN_MAX_DAYS} days")
    if japanese_day(now) < to_on:
        raise Refused(field="to_on", value=to_on, rule="days that are over")
    rules = baseline_rules_from_mapping(ruleset_on(from_on).rules.get("baseline", {}))
    resources = list(
        Resource.objects.filter(
            awards__auction__delivery_on__gte=from_on, awards__auction__delivery_on__lt=to_on
        )
        .distinct()
        .select_related("site")
        .order_by("code")
    )
    known_as_of = as_of or now
    facts = facts_of(resources=resources, from_on=from_on, to_on=to_on, as_of=known_as_of)
    signs: Signs = []
    for entry in facts:
        if resource_ids is None or entry.resource.pk in resource_ids:
            signs += [(entry.resource, sign) for sign in _signs(entry, rules, known_as_of)]
    shifted = _phantoms(facts, rules.gaming, known_as_of)
    signs += [
        (resource, sign)
        for resource, sign in shifted
        if resource_ids is None or resource.pk in resource_ids
    ]
    return _stored(signs, now)


def gaming_report_request(*, from_on: date, to_on: date, due_at: datetime | None = None) -> Job:
    """Create the job that looks a span over, at `due_at` market time; the same span is one job."""
    return job_create(
        kind=JOB_KIND,
        key=f"{from_on}:{to_on}",
        payload={"from_on": from_on.isoformat(), "to_on": to_on.isoformat()},
        due_at=due_at,
    )


def gaming_report_run(*, claim: Claim) -> None:
    """Look over the span a job names; safe to deliver any number of times."""
    with transaction.atomic():
        gaming_report(
            from_on=date.fromisoformat(str(claim.payload["from_on"])),
            to_on=date.fromisoformat(str(claim.payload["to_on"])),
        )
        job_finish(claim=claim)


def gaming_month_request() -> Job:
    """Create the job for the latest month of deliveries that is over; once a month it is new."""
    to_on = japanese_day(market_now()).replace(day=1)
    from_on = (to_on - timedelta(days=1)).replace(day=1)
    return gaming_report_request(from_on=from_on, to_on=to_on)


@transaction.atomic
def gaming_finding_decide(
    *, finding_id: int, state: str, explanation: str, decided_by: str
) -> GamingFinding:
    """Explain a finding, or confirm it; an explained one may still be confirmed.

    Raises
    ------
    NotFound
        If there is no such finding.
    Refused
        If the state cannot follow the present one, or nothing is said.
    """
    finding = GamingFinding.objects.select_for_update().filter(pk=finding_id).first()
    if finding is None:
        raise NotFound(field="finding", value=finding_id, rule="a finding")
    if state not in FINDING_TRANSITIONS[finding.state]:
        raise Refused(field="state", value=state, rule=f"follows {finding.state}")
    if not 1 <= len(explanation.strip()) <= TEXT_LENGTH_MAX or "\0" in explanation:
        raise Refused(field="explanation", value=len(explanation), rule="1 to 2,000 characters")
    finding.state = FindingState(state)
    finding.explanation = explanation
    finding.decided_by = decided_by
    finding.decided_at = market_now()
    finding.save(update_fields=["state", "explanation", "decided_by", "decided_at"])
    entry_append(
        action="metering.gaming.decided",
        subject=finding,
        detail={"state": state, "indicator": finding.indicator, "decided_by": decided_by},
    )
    return finding


def gaming_findings(*, from_on: date, to_on: date) -> QuerySet[GamingFinding]:
    """Return findings that touch the days [from_on, to_on), worst first within an indicator."""
    return (
        GamingFinding.objects.filter(from_on__lt=to_on, to_on__gt=from_on)
        .select_related("resource__site__organisation")
        .order_by("indicator", "-statistic_ratio", "id")
    )


def _signs(facts: Facts, rules: BaselineRules, as_of: datetime) -> Iterator[core.Sign]:
    yield from _inflation(facts, rules.gaming)
    yield from _frozen(facts, rules.gaming)
    yield from _ramp(facts, rules)
    for day in facts.event_days:
        yield from _sales(facts, day, rules.gaming)
    late = core.late_data(
        told_of(facts, as_of), from_on=facts.from_on, to_on=facts.to_on, thresholds=rules.gaming
    )
    if late is not None:
        yield late


def _inflation(facts: Facts, thresholds: core.Thresholds) -> Iterator[core.Sign]:
    """Compare baseline days with days like them, weekdays and holidays apart."""
    for kind in (False, True):
        events = [d for d in facts.event_days if is_holiday(d, facts.holidays) == kind]
        used = sorted({d for day in events for d in _days_used(facts, day)})
        if not used:
            continue
        slots = sorted({t for day in events for t in facts.event_of(day)})
        # All of the window was within reach of who meant to raise it, the dropped day too.
        like = [d for d in facts.like(events[-1]) if not used[0] <= d <= events[-1]]
        energy = {d: facts.energy_kwh(d, slots) for d in (*used, *like)}
        sign = core.baseline_inflation(
            {d: kwh for d, kwh in energy.items() if kwh is not None},
            baseline_days=used,
            matched_days=like,
            thresholds=thresholds,
        )
        if sign is not None:
            yield sign


def _days_used(facts: Facts, day: date) -> list[date]:
    baseline = facts.baselines.get(day)
    return [] if baseline is None else list(baseline.days_used)


def _frozen(facts: Facts, thresholds: core.Thresholds) -> Iterator[core.Sign]:
    """Find series that end within the span, wherever they began."""
    days = days_between(facts.from_on - timedelta(days=thresholds.frozen_days * 2), facts.to_on)
    for kind in (False, True):
        like = [d for d in days if is_holiday(d, facts.holidays) == kind]
        for sign in core.frozen_baseline(sorted(facts.called_on), like, thresholds=thresholds):
            if sign.to_on > facts.from_on:
                yield sign


def _ramp(facts: Facts, rules: BaselineRules) -> Iterator[core.Sign]:
    """Compare the rise into the adjustment window, for the most usual start of an event."""
    starts = [facts.event_of(day)[0] for day in facts.event_days]
    if not starts:
        return
    first = min(set(starts), key=lambda t: (-starts.count(t), t))
    events = [d for d in facts.event_days if facts.event_of(d)[0] == first]
    assigned = assigned_methods(resource_ids=[facts.resource.pk], on=events[-1])
    variant = assigned.get(facts.resource.pk) or rules.variant_of_kind(facts.resource.kind)
    if not isinstance(variant.rules, XOfY) or variant.rules.window is None:
        return
    low, high = (first + edge for edge in variant.rules.window)
    ramps: dict[date, Decimal] = {}
    like = facts.like(events[-1])
    for day in (*events, *like):
        inside = facts.energy_kwh(day, range(low, high))
        before = facts.energy_kwh(day, range(2 * low - high, low))
        if inside is not None and before is not None:
            ramps[day] = inside - before
    sign = core.window_ramp(ramps, event_days=events, matched_days=like, thresholds=rules.gaming)
    if sign is not None:
        yield sign


def _sales(facts: Facts, day: date, thresholds: core.Thresholds) -> Iterator[core.Sign]:
    """Look at what was sold for one day: in a planned stop, against a raised plan, or twice."""
    awards = [award for award in facts.awards if award.day == day]
    gate_at = gate_of(day)
    found = [
        core.planned_outage(
            [award.start_at for award in awards if award.direction == UP],
            stops_of(facts),
            sold_at=gate_at,
            day=day,
            thresholds=thresholds,
        )
    ]
    plan = plans_of(facts).get(day)
    relief = sorted({award.t for award in awards if award.direction == UP})
    if plan is not None and relief:
        usual = {t: facts.usual_kwh(day, t) for t in relief}
        found.append(
            core.inc_dec(
                dict(enumerate(plan)),
                {t: kwh for t, kwh in usual.items() if kwh is not None},
                sold=relief,
                is_pivotal=is_pivotal(facts, day),
                day=day,
                thresholds=thresholds,
            )
        )
    for direction, limit_kw in (
        (UP, facts.resource.limit_up_kw),
        ("DOWN", facts.resource.limit_down_kw),
    ):
        by_t: dict[int, list[tuple[str, Decimal]]] = defaultdict(list)
        for award in awards:
            if award.direction == direction:
                by_t[award.t].append((str(award.award_id), award.quantity_kw))
        found.append(core.double_sale(by_t, limit_kw=limit_kw, day=day))
    yield from (sign for sign in found if sign is not None)


def _phantoms(facts: Sequence[Facts], thresholds: core.Thresholds, as_of: datetime) -> Signs:
    """Weigh what each operator was paid for on an element against all its sites' net effect."""
    signs: Signs = []
    by_owner: dict[UUID, list[Facts]] = defaultdict(list)
    for entry in _with_neighbours(facts, as_of):
        by_owner[entry.resource.site.organisation_id].append(entry)
    auctions = {a.auction_id for entry in facts for a in entry.awards}
    relieved = flows_relieved(list(auctions))
    for auction in Auction.objects.filter(id__in=auctions).order_by("delivery_on", "code"):
        places = sensitivities_published(auction)
        for _, own in sorted(by_owner.items()):
            if len({entry.resource.site_id for entry in own}) > 1:
                signs += _phantoms_of(auction, own, places, relieved[auction.pk], thresholds)
    return signs


def _with_neighbours(facts: Sequence[Facts], as_of: datetime) -> list[Facts]:
    """Add the metered resources of the same operators that were not awarded anything."""
    known = {entry.resource.pk for entry in facts}
    owners = {entry.resource.site.organisation_id for entry in facts}
    others = list(
        Resource.objects.filter(site__organisation_id__in=owners, meter__isnull=False)
        .exclude(id__in=known)
        .select_related("site")
        .order_by("code")
    )
    if not facts or not others:
        return list(facts)
    return [
        *facts,
        *facts_of(resources=others, from_on=facts[0].from_on, to_on=facts[0].to_on, as_of=as_of),
    ]


def _phantoms_of(
    auction: Auction,
    own: Sequence[Facts],
    places: dict[str, dict[str, float]],
    relieved: dict[tuple[str, int], int],
    thresholds: core.Thresholds,
) -> Signs:
    day = auction.delivery_on
    delivered = delivered_of([a.award_id for entry in own for a in entry.awards if a.day == day])
    signs: Signs = []
    for element in sorted({element for element, _ in relieved}):
        movements: list[core.Movement] = []
        for (of, t), direction in sorted(relieved.items()):
            if of == element:
                movements += _movements(own, day, t, (element, -direction), places, delivered)
        sign = core.phantom_shift(movements, element=element, day=day, thresholds=thresholds)
        if sign is not None:
            paid = max(
                (entry for entry in own if entry.event_of(day)),
                key=lambda entry: sum(
                    (m.paid_kwh for m in movements if m.resource == entry.resource.code),
                    Decimal(0),
                ),
            )
            signs.append((paid.resource, sign))
    return signs


def _movements(
    own: Sequence[Facts],
    day: date,
    t: int,
    weighed: tuple[str, int],
    places: dict[str, dict[str, float]],
    delivered: dict[tuple[UUID, int], Decimal],
) -> Iterator[core.Movement]:
    """Return what each resource did in a half hour in which the operator was paid for relief."""
    element, sign = weighed
    awards = [[a for a in entry.awards if a.day == day and a.t == t] for entry in own]
    if not any(awards):
        return
    start_at = day_start(day) + t * HALF_HOUR
    for entry, mine in zip(own, awards, strict=True):
        metered_kwh = entry.energy_kwh(day, [t])
        stored = entry.baselines.get(day)
        usual_kwh = (
            stored.baseline_kwh[t]
            if stored is not None and stored.baseline_kwh is not None
            else entry.usual_kwh(day, t)
        )
        if metered_kwh is None or usual_kwh is None:
            continue
        ratio = places.get(entry.resource.site.code, {}).get(element, 0.0) * sign
        yield core.Movement(
            resource=entry.resource.code,
            start_at=start_at,
            reduced_kwh=usual_kwh - metered_kwh,
            relief_ratio=Decimal(repr(round(ratio, 12))),
            paid_kwh=sum(
                (
                    delivered.get((a.award_id, t), Decimal(0)) * (1 if a.direction == UP else -1)
                    for a in mine
                ),
                Decimal(0),
            ),
        )


def _stored(signs: Signs, now: datetime) -> list[GamingFinding]:
    found = []
    with transaction.atomic():
        for resource, sign in signs:
            content = json.dumps(sign.evidence, sort_keys=True, ensure_ascii=False)
            finding, is_new = GamingFinding.objects.get_or_create(
                indicator=str(sign.indicator),
                resource=resource,
                from_on=sign.from_on,
                to_on=sign.to_on,
                evidence_sha256=hashlib.sha256(content.encode()).hexdigest(),
                defaults={
                    "statistic_ratio": sign.statistic_ratio,
                    "threshold_ratio": sign.threshold_ratio,
                    "evidence": sign.evidence,
                    "found_at": now,
                },
            )
            found.append(finding)
            if is_new:
                entry_append(
                    action="metering.gaming.found",
                    subject=finding,
                    detail={
                        "indicator": finding.indicator,
                        "resource": resource.code,
                        "statistic": str(sign.statistic_ratio),
                        "threshold": str(sign.threshold_ratio),
                    },
                )
    return found
