"""What nobody tells of: causes that are looked for, and alarms whose causes are gone.

Every few seconds all causes of the kinds in :data:`WATCHED` are read; a new one becomes an alarm,
and an alarm without its cause is cleared. Alarms about instructions are raised by dispatch itself
and cleared here, once nobody has to act on them any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Max, OuterRef, Q, Subquery

from accounts.approvals.kinds import NEED_PUBLISH
from accounts.approvals.models import Approval
from accounts.clock.selectors import market_now
from accounts.jobs.models import Job, JobState
from aggregator.control.models import OPEN_STATES, Alarm, AlarmPriority
from aggregator.control.services import alarm_clear, alarm_raise
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.metering.models import IntervalReading
from aggregator.outbox.models import MessageState, OutboxMessage
from market.clearing.models import ClearingRun, RunState
from market.trading.models import AuctionState

ROWS_MAX: Final = 200
READING_LATE: Final = timedelta(minutes=60)
READING_SEARCHED: Final = timedelta(days=2)
APPROVAL_NEAR: Final = timedelta(minutes=60)
RUN_SEARCHED: Final = timedelta(days=3)
INSTRUCTION: Final = "dispatch.dispatchinstruction:"
# one watcher at a time: its number among the advisory locks
LOCK: Final = 7_360_401
_S = InstructionState
# states in which an alarm about an instruction still wants somebody
WANTED: Final[dict[str, frozenset[str]]] = {
    "instruction.silent": frozenset({_S.SENT}),
    "instruction.unreached": frozenset({_S.UNREACHED}),
    "instruction.opted_out": frozenset({_S.OPTED_OUT}),
    "instruction.unreplaced": frozenset({_S.UNREACHED, _S.OPTED_OUT}),
    "instruction.too_late": frozenset({_S.CANCELLED}),
    "instruction.stopped": frozenset({_S.CANCELLED}),
}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Something that is wrong now."""

    kind: str
    priority: int
    subject: str
    text: str = ""

    @property
    def key(self) -> str:
        """What makes two findings the same alarm."""
        return f"{self.kind}:{self.subject}"


def jobs_dead(_now: datetime) -> Iterable[Cause]:
    """Jobs that were given up."""
    for job in Job.objects.filter(state=JobState.QUARANTINED).order_by("-created_at")[:ROWS_MAX]:
        yield Cause(
            kind="job.dead",
            priority=AlarmPriority.HIGH,
            subject=f"jobs.job:{job.id}",
            text=f"{job.kind} {job.key}",
        )


def runs_failed(now: datetime) -> Iterable[Cause]:
    """Latest clearing runs that failed while their auction waits for a result."""
    latest = (
        ClearingRun.objects.filter(auction=OuterRef("auction_id")).order_by("-number").values("id")
    )
    rows = (
        ClearingRun.objects.filter(
            id=Subquery(latest[:1]),
            state=RunState.FAILED,
            auction__gate_closure_at__gte=now - RUN_SEARCHED,
            auction__state__in=(AuctionState.CLEARING, AuctionState.CANCELLED),
        )
        .select_related("auction")
        .defer("result", "certificate")
    )
    for run in rows[:ROWS_MAX]:
        yield Cause(
            kind="run.failed",
            priority=AlarmPriority.URGENT,
            subject=f"trading.auction:{run.auction_id}",
            text=f"{run.auction.code}: {run.error_code}",
        )


def meters_late(now: datetime) -> Iterable[Cause]:
    """Resources that act on an order and whose meter has said nothing for long."""
    read_until = (
        IntervalReading.objects.filter(
            meter__resource_id=OuterRef("resource_id"), start_at__gte=now - READING_SEARCHED
        )
        .order_by()
        .values("meter__resource_id")
        .annotate(last=Max("start_at"))
        .values("last")
    )
    silent = Q(last__isnull=True) | Q(last__lt=now - timedelta(minutes=30) - READING_LATE)
    rows = (
        DispatchInstruction.objects.filter(state=_S.ACTIVE, starts_at__lt=now - READING_LATE)
        .filter(starts_at__lt=F("ends_at"))
        .annotate(last=Subquery(read_until))
        .filter(silent)
    )
    for row in rows[:ROWS_MAX]:
        yield Cause(
            kind="meter.late", priority=AlarmPriority.MEDIUM, subject=f"{INSTRUCTION}{row.id}"
        )


def messages_dead(_now: datetime) -> Iterable[Cause]:
    """Messages nobody took, one alarm for each destination."""
    rows = (
        OutboxMessage.objects.filter(state=MessageState.DEAD)
        .order_by("destination")
        .values_list("destination", flat=True)
        .distinct()
    )
    for destination in rows[:ROWS_MAX]:
        yield Cause(
            kind="message.dead",
            priority=AlarmPriority.MEDIUM,
            subject=destination[:110],
            text=destination[:200],
        )


def needs_waiting(now: datetime) -> Iterable[Cause]:
    """Needs whose second person has less than an hour left."""
    rows = Approval.objects.filter(
        kind=NEED_PUBLISH,
        state="REQUESTED",
        expires_at__gt=now,
        expires_at__lte=now + APPROVAL_NEAR,
    )
    for row in rows[:ROWS_MAX]:
        yield Cause(
            kind="need.waiting",
            priority=AlarmPriority.HIGH,
            subject=row.subject,
            text=f"{row.detail.get('auction', '')} {row.detail.get('code', '')}".strip(),
        )


Watcher = Callable[[datetime], Iterable[Cause]]
WATCHED: Final[dict[str, Watcher]] = {
    "job.dead": jobs_dead,
    "run.failed": runs_failed,
    "meter.late": meters_late,
    "message.dead": messages_dead,
    "need.waiting": needs_waiting,
}


@transaction.atomic
def alarms_watch() -> tuple[int, int]:
    """Raise what is new and clear what is over; of several watchers one works.

    Returns
    -------
    tuple of int
        How many were raised, and how many cleared.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0, 0
    now = market_now()
    causes = {cause.key: cause for watch in WATCHED.values() for cause in watch(now)}
    known = dict(
        Alarm.objects.filter(state__in=OPEN_STATES, kind__in=WATCHED).values_list("key", "kind")
    )
    raised = [cause for key, cause in causes.items() if key not in known]
    for cause in raised:
        alarm_raise(
            kind=cause.kind,
            priority=cause.priority,
            subject=cause.subject,
            text=cause.text,
            key=cause.key,
        )
    over = [key for key in known if key not in causes]
    over += _instructions_over(now)
    return len(raised), sum(alarm_clear(key=key) for key in over)


def _instructions_over(now: datetime) -> list[str]:
    """Return keys of alarms about instructions on which nobody has to act any more."""
    rows = list(
        Alarm.objects.filter(state__in=OPEN_STATES, kind__in=WANTED).values_list(
            "key", "kind", "subject"
        )[:1_000]
    )
    ids = {subject.removeprefix(INSTRUCTION): key for key, _, subject in rows}
    found = {
        str(row_id): (state, ends_at)
        for row_id, state, ends_at in DispatchInstruction.objects.filter(
            id__in=[UUID(one) for one in ids if len(one) == 36]  # noqa: PLR2004 - a UUID's text
        ).values_list("id", "state", "ends_at")
    }
    over = []
    for key, kind, subject in rows:
        state, ends_at = found.get(subject.removeprefix(INSTRUCTION), (None, None))
        if state is not None and (state not in WANTED[kind] or (ends_at and ends_at <= now)):
            over.append(key)
    return over
