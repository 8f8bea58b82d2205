"""Score test dispatches on what the meter showed, and keep what they were scored on."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models.expressions import RawSQL

from accounts.clock.selectors import market_now
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from aggregator.core.trials import FLOOR_RATIO, PASS_RATIO, score
from aggregator.dispatch.models import Trial, TrialState
from aggregator.dispatch.moves import ALARM_KIND
from aggregator.dispatch.trials import READINGS_WAIT, trial_move
from aggregator.metering.models import Quality
from market.trading.models import Direction

BEFORE: Final = timedelta(hours=1)
AGAIN: Final = timedelta(minutes=5)
HALF_HOUR_MIN: Final = 30
FINE_MIN: Final = 5
USABLE: Final = frozenset({int(Quality.OK), int(Quality.ESTIMATED)})
SILENT: Final = "no answer before the start"
UNREAD: Final = "its readings did not come"
_NOW = RawSQL("market_now()", ())
_S = TrialState

Span = tuple[datetime, Decimal | None]

READINGS_SQL = """
SELECT DISTINCT ON (n.start_at) n.start_at, n.energy_kwh, n.quality
FROM metering_meter m JOIN metering_intervalreading n ON n.meter_id = m.id
WHERE m.resource_id = %s AND n.start_at >= %s AND n.start_at < %s
ORDER BY n.start_at, n.stage DESC, n.revision DESC
"""
FINE_SQL = """
SELECT DISTINCT ON (n.start_at) n.start_at, n.energy_kwh, n.quality
FROM metering_meter m JOIN metering_finereading n ON n.meter_id = m.id AND n.interval_min = 5
WHERE m.resource_id = %s AND n.start_at >= %s AND n.start_at < %s
ORDER BY n.start_at, n.stage DESC, n.revision DESC
"""


@transaction.atomic
def trial_score(*, claim: Claim) -> Trial | None:
    """Score a test that is over; sleeps while its readings are still to come.

    Five-minute readings are taken where the meter gave them for the whole test, else half hours.
    What was not metered six hours after the end counts as not done. The evidence holds every value
    with its time, the rules and the result; its digest binds it.

    Returns
    -------
    Trial or None
        None while it waits, or where the test was called off.
    """
    row = Trial.objects.select_related("resource").get(id=UUID(claim.key))
    if row.state == _S.SENT:
        trial_move(row.id, before=(_S.SENT,), after=_S.FAILED, reason=SILENT, scored_at=_NOW)
        _told(row, SILENT)
    if row.state != _S.ACKNOWLEDGED:
        job_finish(claim=claim)
        row.refresh_from_db()
        return row if row.state in (_S.PASSED, _S.FAILED) else None
    minutes, before, during = _read(row)
    is_whole = all(kw is not None for _, kw in (*before, *during))
    if not is_whole and market_now() < row.ends_at + READINGS_WAIT:
        job_postpone(claim=claim, due_at=market_now() + AGAIN)
        return None
    known = [kw for _, kw in before if kw is not None]
    if not known:
        trial_move(
            row.id, before=(_S.ACKNOWLEDGED,), after=_S.FAILED, reason=UNREAD, scored_at=_NOW
        )
        _told(row, UNREAD)
    else:
        _scored(row, minutes, before, during)
    job_finish(claim=claim)
    row.refresh_from_db()
    return row


def _scored(row: Trial, minutes: int, before: list[Span], during: list[Span]) -> None:
    found = score(
        asked_kw=row.quantity_kw,
        is_up=row.direction == Direction.UP,
        before_kw=[kw for _, kw in before if kw is not None],
        during_kw=[kw for _, kw in during],
    )
    evidence: dict[str, Any] = {
        "resource": row.resource.code,
        "direction": row.direction,
        "asked_kw": str(row.quantity_kw),
        "told_at": row.sent_at and row.sent_at.isoformat(),
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "response_s": row.response_s,
        "interval_min": minutes,
        "pass_ratio": str(PASS_RATIO),
        "floor_ratio": str(FLOOR_RATIO),
        "before": [[at.isoformat(), _text(kw)] for at, kw in before],
        "during": [
            [at.isoformat(), _text(kw), _text(change)]
            for (at, kw), change in zip(during, found.change_kw, strict=True)
        ],
        "score_ratio": str(found.score_ratio),
        "lowest_ratio": str(found.lowest_ratio),
    }
    written = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    trial_move(
        row.id,
        before=(_S.ACKNOWLEDGED,),
        after=_S.PASSED if found.is_passed else _S.FAILED,
        reason="" if found.is_passed else f"scored {found.score_ratio:f}, at least {PASS_RATIO}",
        scored_at=_NOW,
        score_ratio=found.score_ratio,
        evidence=evidence,
        evidence_sha256=hashlib.sha256(written.encode()).hexdigest(),
    )
    if not found.is_passed:
        _told(row, f"scored {found.score_ratio:f}")


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _read(row: Trial) -> tuple[int, list[Span], list[Span]]:
    """Return the mean power of each interval before the order was told, and during the test."""
    told_at = row.sent_at or row.send_at
    for minutes, statement in ((FINE_MIN, FINE_SQL), (HALF_HOUR_MIN, READINGS_SQL)):
        length = timedelta(minutes=minutes)
        end = told_at.timestamp() // length.total_seconds() * length.total_seconds()
        until = datetime.fromtimestamp(end, tz=told_at.tzinfo)
        before = _spans(row, statement, until - BEFORE, until, length)
        during = _spans(row, statement, row.starts_at, row.ends_at, length)
        if minutes == HALF_HOUR_MIN or all(kw is not None for _, kw in (*before, *during)):
            return minutes, before, during
    raise AssertionError("the last of the lengths is taken as it is")


def _spans(
    row: Trial, statement: str, starts_at: datetime, ends_at: datetime, length: timedelta
) -> list[Span]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [row.resource_id, starts_at, ends_at])
        read = {
            at: kwh
            for at, kwh, quality in cursor.fetchall()
            if kwh is not None and quality in USABLE
        }
    per_hour = timedelta(hours=1) // length
    count = (ends_at - starts_at) // length
    moments = [starts_at + n * length for n in range(count)]
    return [(at, read[at] * per_hour if at in read else None) for at in moments]


def _told(row: Trial, text: str) -> None:
    job_create(
        kind=ALARM_KIND,
        key=f"trial.failed:{row.id}",
        payload={
            "kind": "trial.failed",
            "priority": 3,
            "subject": f"dispatch.trial:{row.id}",
            "text": f"{row.resource.code}: {text}",
            "key": f"trial.failed:{row.id}",
        },
    )
