"""Which runs an auction is settled by: its final run and, in turn, what corrected it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.core.money import sum_exact_jpy
from aggregator.core.terms import SettlementRules
from aggregator.settlement.models import (
    CorrectionCause,
    LineAdjustment,
    RunKind,
    SettlementLine,
    SettlementRun,
)
from market.clearing.models import Award, Leg
from market.trading.models import Auction


def runs_in_force(
    *, auction: Auction, kind: str | None = None, at: datetime | None = None
) -> list[SettlementRun]:
    """Return the runs that together say what is owed for an auction, the whole one first.

    Parameters
    ----------
    auction
        The auction.
    kind
        FINAL for the final run and its corrections, PROVISIONAL for the latest provisional run;
        None for the former, or before there is one the latter.
    at
        As it stood then; now if omitted.
    """
    return runs_in_force_of(auctions=[auction], kind=kind, at=at)[auction.pk]


def runs_in_force_of(
    *, auctions: Iterable[Auction], kind: str | None = None, at: datetime | None = None
) -> dict[UUID, list[SettlementRun]]:
    """Return the same of many auctions in one statement, by the auction's id, in their order."""
    found: dict[UUID, list[SettlementRun]] = {auction.pk: [] for auction in auctions}
    rows = SettlementRun.objects.filter(auction_id__in=found).select_related("corrects")
    if at is not None:
        rows = rows.filter(executed_at__lte=at)
    for run in rows.order_by("revision"):
        found[run.auction_id].append(run)
    return {auction_id: _in_force(runs, kind) for auction_id, runs in found.items()}


def _in_force(runs: Iterable[SettlementRun], kind: str | None) -> list[SettlementRun]:
    """Return what of an auction's runs, by rising revision, says what is owed."""
    of: dict[str, list[SettlementRun]] = {name: [] for name in RunKind.values}
    for run in runs:
        of[run.kind].append(run)
    if of[RunKind.FINAL] and kind in (None, RunKind.FINAL):
        return [of[RunKind.FINAL][-1], *of[RunKind.CORRECTION]]
    return of[RunKind.PROVISIONAL][-1:] if kind in (None, RunKind.PROVISIONAL) else []


def decided_half_hours(*, auction: Auction, before: SettlementRun) -> list[tuple[UUID, int]]:
    """Return the award half hours of which disputes decided before a run say what is owed."""
    rows = LineAdjustment.objects.filter(
        run__auction=auction,
        run_id__lt=before.pk,
        run__cause_kind=CorrectionCause.DISPUTE,
        line__award__isnull=False,
        line__t__isnull=False,
    )
    found = {
        (award_id, t)
        for award_id, t in rows.values_list("line__award_id", "line__t")
        if t is not None
    }
    return sorted(found)


def place_of(line: SettlementLine) -> tuple[Any, ...]:
    """Return what a line says by all lines of an auction that say it: the parties either way."""
    parties = frozenset((line.payer_id, line.payee_id))
    concerns = (line.award_id, line.need_id, line.element, line.t)
    return line.run.auction_id, line.item, parties, *concerns


def line_since_jpy(line: SettlementLine, *, before: SettlementRun) -> Decimal:
    """Return what corrections have added to a line since its run, in its direction [JPY].

    Parameters
    ----------
    line
        Of a run of the chain; of one outside it (a provisional run), what the chain owes in its
        place counts, less the line.
    before
        The correction that asks. Runs after it do not count, so that a replay finds the same.
    """
    chain: list[SettlementRun] = []
    run = before.corrects
    while run is not None:
        chain.append(run)
        run = run.corrects
    known = [run.pk for run in chain]
    since = known[: known.index(line.run_id)] if line.run_id in known else known
    concerns: dict[str, Any] = {
        name: getattr(line, name) for name in ("item", "award_id", "need_id", "element", "t")
    }
    parties = (line.payer_id, line.payee_id)
    rows = SettlementLine.objects.filter(
        run_id__in=since, payer_id__in=parties, payee_id__in=parties, **concerns
    )
    added_jpy = sum_exact_jpy(
        [
            row.amount_exact_jpy if row.payer_id == line.payer_id else -row.amount_exact_jpy
            for row in rows
        ]
    )
    return added_jpy if line.run_id in known else added_jpy - line.amount_exact_jpy


# Of each auction of the month the newest look at final readings, and before there is one at any:
# what a correction took back is no failure, and what a preliminary value said is none either.
FAILURES_SQL = """
SELECT o.code, count(DISTINCT (a.resource_id, q.start_at))
FROM trading_auction u
CROSS JOIN LATERAL (
    SELECT v.id FROM metering_deliveryverification v
    WHERE v.auction_id = u.id ORDER BY v.stage = 'FINAL' DESC, v.revision DESC LIMIT 1
) AS latest
CROSS JOIN LATERAL assessments_effective(latest.id) q
JOIN clearing_award a ON a.id = q.award_id
JOIN parties_organisation o ON o.id = a.organisation_id
WHERE u.delivery_on >= %(start_on)s AND u.delivery_on <= %(delivery_on)s AND NOT q.is_excused
  AND (q.shortfall_kw > 0 OR q.is_responsive IS FALSE)
GROUP BY o.code HAVING count(DISTINCT (a.resource_id, q.start_at)) >= %(least)s
ORDER BY o.code
"""


def repeated_failures(*, run: SettlementRun, rules: SettlementRules) -> dict[str, int]:
    """Return sellers of capacity that failed so often in a month that they are to be told so.

    Counted over the delivery month up to the run's day, as it is verified now: half hours of a
    resource in which reserved capacity was short, or did not respond when called, without an
    excuse. An auction that reserved nothing tells of nobody.
    """
    if not Award.objects.filter(auction_id=run.auction_id, leg=Leg.RESERVED).exists():
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            FAILURES_SQL,
            {
                "start_on": run.auction.delivery_on.replace(day=1),
                "delivery_on": run.auction.delivery_on,
                "least": rules.penalties.repeat_failures,
            },
        )
        return dict(cursor.fetchall())
