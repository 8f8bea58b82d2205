"""What the control room reads: few statements, each bounded, whatever the size of the market."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Case, Count, Exists, Max, OuterRef, Q, Sum, When

from accounts.approvals.models import Approval
from accounts.approvals.selectors import approvals_seen
from accounts.jobs.models import Job, JobState
from accounts.parties.sight import Sight
from aggregator.dispatch.models import (
    OPEN_STATES,
    DispatchInstruction,
    InstructionInterval,
    SiteReport,
    SiteReportKind,
)
from aggregator.portal import words
from aggregator.portal.selectors import HALF_HOURS, ZERO
from market.clearing.models import (
    ClearingRun,
    RunState,
)
from market.core.timegrid import INTERVAL
from market.trading.models import Auction, AuctionState, Bid, BidState, Need, NeedState

SEE: Final = "instruction.read"
ACT: Final = "auction.run"
ROWS_MAX: Final = 8
JOBS_MAX: Final = 5
DEAD_MAX: Final = 100
DEAD_SHOWN: Final = 3
COUNT_MAX: Final = 10_000
DAYS_AHEAD: Final = 8
RUNNING = (AuctionState.OPEN, AuctionState.CLOSED, AuctionState.CLEARING)
TROUBLED = ("UNREACHED", "OPTED_OUT")
# Each topic's rows as one short text: when it changes, the topic is read again. All of it are
# indexed reads of what is open or of today; the texts are hashed where they are made.
MARKS_SQL: Final = """
SELECT
  (SELECT md5(coalesce(string_agg(id::text || version, ',' ORDER BY id), ''))
     FROM control_alarm WHERE state IN ('RAISED', 'ACKNOWLEDGED')),
  (SELECT md5(count(*) || ':' || coalesce(sum(token), 0)) FROM dispatch_dispatchinstruction
    WHERE starts_at >= %(from)s AND starts_at < %(until)s),
  (SELECT md5(coalesce(string_agg(id::text || state || token || step || attempts_count, ','
                                  ORDER BY id), ''))
     FROM (SELECT * FROM jobs_job WHERE state IN ('READY', 'RUNNING')
            ORDER BY due_at LIMIT 50) AS open_jobs),
  (SELECT count(*)::text FROM jobs_job WHERE state = 'QUARANTINED'),
  (SELECT md5(coalesce(string_agg(code || state || coalesce(closed_at::text, ''), ','
                                  ORDER BY code), ''))
     FROM trading_auction WHERE delivery_on >= %(day)s - 1 AND delivery_on <= %(day)s + 8),
  (SELECT md5(coalesce(string_agg(run.id::text || run.state, ',' ORDER BY run.id), ''))
     FROM clearing_clearingrun AS run JOIN trading_auction AS auction
       ON auction.id = run.auction_id
    WHERE auction.delivery_on >= %(day)s - 1 AND auction.delivery_on <= %(day)s + 8),
  (SELECT md5(coalesce(string_agg(id::text || state, ',' ORDER BY id), ''))
     FROM approvals_approval WHERE state IN ('REQUESTED', 'APPROVED')),
  (SELECT count(*)::text FROM dispatch_sitereport
    WHERE start_at = %(half_hour)s AND kind = 'DELIVERED')
"""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """One short text for each topic; a topic whose text changed is read again."""

    alarms: str
    instructions: str
    jobs: str
    auctions: str
    approvals: str


def half_hour_of(now: datetime) -> tuple[date, int]:
    """Return the JST day and the half hour t of an instant."""
    local = now.astimezone(words.JST)
    return local.date(), (local.hour * 60 + local.minute) // 30


def day_start_of(now: datetime) -> datetime:
    """Return when the JST day of an instant begins."""
    return now.astimezone(words.JST).replace(hour=0, minute=0, second=0, microsecond=0)


def marks_read(now: datetime) -> Marks:
    """Read the marks of all topics in one statement."""
    day, t = half_hour_of(now)
    start = day_start_of(now)
    values = {
        "day": day,
        "from": start - timedelta(days=1),
        "until": start + timedelta(days=DAYS_AHEAD),
        "half_hour": start + (t - 1) * INTERVAL,
    }
    with connection.cursor() as cursor:
        cursor.execute(MARKS_SQL, values)
        alarms, instructions, jobs, dead, auctions, runs, approvals, reports = cursor.fetchone()
    return Marks(
        alarms=alarms,
        instructions=f"{instructions}{reports}",
        jobs=f"{jobs}{dead}",
        auctions=f"{auctions}{runs}",
        approvals=approvals,
    )


@dataclass(frozen=True, kw_only=True)
class AuctionSeen:
    """An auction as the desk watches it."""

    auction: Auction
    run: ClearingRun | None
    bids_count: int | None
    needs_count: int
    needs_max_kw: Decimal
    waiting: Sequence[Approval]

    @property
    def is_open(self) -> bool:
        """Whether bids are taken."""
        return self.auction.state == AuctionState.OPEN

    @property
    def is_held_back(self) -> bool:
        """Whether a verified result waits for its publication."""
        is_clearing = self.auction.state == AuctionState.CLEARING
        return is_clearing and self.run is not None and self.run.state == RunState.VERIFIED


def auctions_around(day: date) -> list[Auction]:
    """Auctions that deliver from the day before to a week ahead, the earliest gate first."""
    return list(
        Auction.objects.filter(
            delivery_on__gte=day - timedelta(days=1),
            delivery_on__lte=day + timedelta(days=DAYS_AHEAD),
        )
        .select_related("grid_model")
        .order_by("gate_closure_at", "code")[:40]
    )


def auction_now(auctions: Sequence[Auction], now: datetime) -> Auction | None:
    """Return the auction that needs the desk most: taking bids, being cleared, next, last."""
    for states in ((AuctionState.OPEN,), RUNNING, (AuctionState.SCHEDULED,)):
        found = [row for row in auctions if row.state in states]
        if found:
            return found[0]
    past = [row for row in auctions if row.gate_closure_at <= now]
    return past[-1] if past else None


def latest_runs(auction_ids: Iterable[UUID]) -> dict[UUID, ClearingRun]:
    """Return the latest attempt of each auction, without bulky columns."""
    rows = (
        ClearingRun.objects.filter(auction_id__in=list(auction_ids))
        .defer("result", "certificate", "error")
        .order_by("auction_id", "number")
    )
    return {row.auction_id: row for row in rows}


def bids_count(auction: Auction) -> int:
    """Count the bids in the book, exactly up to a limit; what is in them nobody knows."""
    rows = Bid.objects.filter(auction=auction, state=BidState.SUBMITTED).order_by()
    return rows[: COUNT_MAX + 1].count()


def auction_seen(
    auction: Auction, *, seen_by: Sight | None, run: ClearingRun | None
) -> AuctionSeen:
    """Read what the console says of one auction."""
    needs = list(
        Need.objects.filter(auction=auction, state=NeedState.PUBLISHED).values_list(
            "quantity_kw", flat=True
        )
    )
    waiting = (
        list(
            approvals_seen(seen_by=seen_by, state="REQUESTED").filter(
                subject=f"trading.auction:{auction.id}"
            )
        )
        if seen_by is not None
        else []
    )
    return AuctionSeen(
        auction=auction,
        run=run,
        bids_count=None if auction.state == AuctionState.SCHEDULED else bids_count(auction),
        needs_count=len(needs),
        needs_max_kw=sum((max(row, default=ZERO) for row in needs), ZERO),
        waiting=waiting,
    )


@dataclass(frozen=True, kw_only=True)
class InstructionSeen:
    """An instruction: what it orders now, and what the site says of the half hour before.

    Sites say what they delivered once a half hour is over.
    """

    row: DispatchInstruction
    ordered_kw: Decimal
    said_kw: Decimal | None
    said_of_kw: Decimal

    @property
    def ratio(self) -> float | None:
        """Said over ordered."""
        if self.said_kw is None or not self.said_of_kw:
            return None
        return float(self.said_kw / self.said_of_kw)


@dataclass(frozen=True, kw_only=True)
class InstructionsNow:
    """Instructions of the day that are open or went wrong, and their sums."""

    rows: Sequence[InstructionSeen]
    open_count: int
    active_count: int
    silent_count: int
    trouble_count: int
    ordered_kw: Decimal
    said_kw: Decimal
    said_of_kw: Decimal


def instructions_watched(now: datetime) -> Any:
    """Return what is open, and what went wrong and has not been replaced before its end."""
    start = day_start_of(now)
    lost = Q(state__in=TROUBLED, replaced_by__isnull=True, ends_at__gt=now)
    return DispatchInstruction.objects.filter(
        Q(state__in=OPEN_STATES) | lost,
        starts_at__gte=start - timedelta(days=1),
        starts_at__lt=start + timedelta(days=DAYS_AHEAD),
    )


def instructions_now(now: datetime, *, rows_max: int = ROWS_MAX) -> InstructionsNow:
    """Read what is going on: trouble first, then what acts now, then what comes."""
    half_hour_at = day_start_of(now) + half_hour_of(now)[1] * INTERVAL
    watched = instructions_watched(now)
    counts = watched.aggregate(
        open=Count("id", filter=Q(state__in=OPEN_STATES)),
        active=Count("id", filter=Q(state="ACTIVE")),
        silent=Count("id", filter=Q(state="SENT")),
        trouble=Count("id", filter=Q(state__in=TROUBLED)),
    )
    said = _said_at(half_hour_at - INTERVAL)
    sums = _sums_at(half_hour_at, said)
    order = ("UNREACHED", "OPTED_OUT", "SENT", "ACTIVE", "ACKNOWLEDGED")
    rank = Case(*(When(state=state, then=i) for i, state in enumerate(order)), default=len(order))
    told_first = (rank.asc(), "starts_at", "id")
    # chosen by narrow rows; what is said of them stands in wide ones
    chosen = watched.order_by(*told_first).values("id")[:rows_max]
    shown = list(
        DispatchInstruction.objects.filter(id__in=chosen)
        .select_related("resource__site", "organisation", "bid", "award__auction")
        .order_by(*told_first)
    )
    rows = _instructions_seen(shown, half_hour_at, said)
    return InstructionsNow(
        rows=rows,
        open_count=counts["open"],
        active_count=counts["active"],
        silent_count=counts["silent"],
        trouble_count=counts["trouble"],
        **sums,
    )


def _instructions_seen(
    shown: Sequence[DispatchInstruction], half_hour_at: datetime, said: Mapping[UUID, Decimal]
) -> list[InstructionSeen]:
    before_at = half_hour_at - INTERVAL
    ordered: dict[tuple[UUID, datetime], Decimal] = {}
    kw_max: dict[UUID, Decimal] = {}
    # of the rows that are shown, not of all that are watched
    for instruction_id, start_at, kw in InstructionInterval.objects.filter(
        instruction__in=shown
    ).values_list("instruction_id", "start_at", "quantity_kw"):
        ordered[instruction_id, start_at] = kw
        kw_max[instruction_id] = max(kw, kw_max.get(instruction_id, ZERO))
    return [
        InstructionSeen(
            row=row,
            ordered_kw=ordered.get((row.id, half_hour_at), kw_max.get(row.id, ZERO)),
            said_kw=said.get(row.resource_id) if (row.id, before_at) in ordered else None,
            said_of_kw=ordered.get((row.id, before_at), ZERO),
        )
        for row in shown
    ]


def _said_at(start_at: datetime) -> dict[UUID, Decimal]:
    """Return what sites say they delivered in a half hour; of several words the latest."""
    rows = SiteReport.objects.filter(kind=SiteReportKind.DELIVERED, start_at=start_at)
    found = rows.order_by("number").values_list("resource_id", "power_kw")
    return {resource_id: abs(power_kw) for resource_id, power_kw in found}


def _sums_at(half_hour_at: datetime, said: Mapping[UUID, Decimal]) -> dict[str, Decimal]:
    """Return what is ordered now, and what was said of the half hour before."""
    before_at = half_hour_at - INTERVAL
    rows = list(
        InstructionInterval.objects.filter(
            start_at__in=(half_hour_at, before_at), instruction__state="ACTIVE"
        ).values_list("start_at", "instruction__resource_id", "quantity_kw")
    )
    told = {resource for at, resource, _ in rows if at == before_at and resource in said}
    return {
        "ordered_kw": sum((kw for at, _, kw in rows if at == half_hour_at), ZERO),
        "said_kw": sum((said[resource] for resource in told), ZERO),
        "said_of_kw": sum((kw for at, who, kw in rows if at == before_at and who in said), ZERO),
    }


@dataclass(kw_only=True)
class HalfHour:
    """One half hour of the loop: what is ordered, and how many sites have said what they did."""

    kw: dict[str, float] = field(default_factory=lambda: {"UP": 0.0, "DOWN": 0.0})
    ordered_count: int = 0
    told_count: int = 0


def half_hours_of(day: date) -> list[HalfHour]:
    """Return what is ordered and reported at t = 0…47 of a day; cancelled orders are not."""
    said = SiteReport.objects.filter(
        resource_id=OuterRef("instruction__resource_id"),
        kind=SiteReportKind.DELIVERED,
        start_at=OuterRef("start_at"),
    )
    rows = (
        InstructionInterval.objects.filter(
            instruction__award__auction__delivery_on=day,
            instruction__state__in=(*OPEN_STATES, "FINISHED"),
            quantity_kw__gt=0,
        )
        .annotate(is_told=Exists(said))
        .values("instruction__direction", "t")
        .annotate(
            kw=Sum("quantity_kw"), ordered=Count("id"), told=Count("id", filter=Q(is_told=True))
        )
        .values_list("instruction__direction", "t", "kw", "ordered", "told")
    )
    found = [HalfHour() for _ in range(HALF_HOURS)]
    for direction, t, kw, ordered, told in rows:
        found[t].kw[direction] = float(kw)
        found[t].ordered_count += ordered
        found[t].told_count += told
    return found


@dataclass(frozen=True, kw_only=True)
class JobsNow:
    """How the list of jobs stands."""

    rows: Sequence[Job]
    running_count: int
    due_count: int
    later_count: int
    dead_count: int


def jobs_now(now: datetime) -> JobsNow:
    """Read what runs, what is due and what was given up, in two statements."""
    dead, running = Q(state=JobState.QUARANTINED), Q(state=JobState.RUNNING)
    ready = Q(state=JobState.READY)
    rows = Job.objects.filter(dead | running | ready)
    counts = rows.aggregate(
        running=Count("id", filter=running),
        due=Count("id", filter=ready & Q(due_at__lte=now)),
        later=Count("id", filter=ready & Q(due_at__gt=now)),
        dead=Count("id", filter=dead),
    )
    # what was given up, what runs, what is tried again, what comes
    rank = Case(
        When(dead, then=0), When(running, then=1), When(attempts_count__gt=0, then=2), default=3
    )
    shown = rows.annotate(rank=rank).order_by("rank", "due_at", "id")[: JOBS_MAX + DEAD_MAX]
    listed = list(shown)
    first = [row for row in listed if row.state == JobState.QUARANTINED][-DEAD_SHOWN:][::-1]
    others = [row for row in listed if row.state != JobState.QUARANTINED]
    return JobsNow(
        rows=[*first, *others][:JOBS_MAX],
        running_count=counts["running"],
        due_count=counts["due"],
        later_count=counts["later"],
        dead_count=min(counts["dead"], DEAD_MAX),
    )


def replacements_of(row: DispatchInstruction) -> list[DispatchInstruction]:
    """Return every version of an award's instruction: what was lost and who stands in."""
    return list(
        DispatchInstruction.objects.filter(award_id=row.award_id)
        .select_related("resource__site", "organisation", "bid", "replaces")
        .annotate(kw_max=Max("intervals__quantity_kw"), kw_sum=Sum("intervals__quantity_kw"))
        .order_by("version")
    )
