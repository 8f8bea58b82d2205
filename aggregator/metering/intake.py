"""Take in readings that strangers send: every wrong row is told, nothing partial unless asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from aggregator.metering.fine import FineRow, fine_checked, fine_readings_ingest, halves_ingest
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import Stage
from aggregator.metering.selectors import MeterKnown, meters_known
from aggregator.metering.services import (
    POINT_NUMBER,
    Ingested,
    ReadingRefused,
    ReadingRow,
    reading_line,
)

Row = ReadingRow | FineRow
NOTHING = Ingested(added=0, revised=0, unchanged=0)


class StageNotYours(ReadingRefused):
    """A value of a stage that only the grid operator or settlement may send."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why one row of a batch is refused; `n` counts from 0."""

    n: int
    refused: Refused


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What became of a batch: counts of what was kept, which rows, and what was refused."""

    ingested: Ingested
    kept: tuple[int, ...]
    faults: tuple[Fault, ...]


def readings_take(
    *,
    rows: Mapping[int, Row],
    source: str,
    stages: Mapping[str, int],
    faults: Sequence[Fault] = (),
    is_partial: bool = False,
) -> Intake:
    """Take in the rows that a stranger may send; all or nothing unless `is_partial`.

    Parameters
    ----------
    rows
        By their number in the batch; half hours and shorter intervals side by side.
    source
        Where they come from.
    stages
        The highest stage that may be sent for each meter
        (:func:`aggregator.metering.seen.stages_allowed`); a meter that is not in it is unknown.
    faults
        Rows of the batch that could not be read at all.
    is_partial
        Keep the good rows of a batch that has wrong ones.

    Returns
    -------
    Intake
        With faults in the order of rows; nothing is kept if there are any and a partial
        batch is not asked for.
    """
    found = [*faults]
    allowed: dict[int, Row] = {}
    for n, row in rows.items():
        refused = _not_allowed(row, stages)
        if refused is None:
            allowed[n] = row
        else:
            found.append(Fault(n=n, refused=refused))
    return batch_take(rows=allowed, source=source, faults=found, is_partial=is_partial)


@transaction.atomic
def batch_take(
    *,
    rows: Mapping[int, Row],
    source: str,
    faults: Sequence[Fault] = (),
    is_partial: bool = False,
) -> Intake:
    """Take in rows of half hours and shorter intervals; all or nothing unless `is_partial`.

    As :func:`readings_take`, without asking who sends them.
    """
    bulk_limits_set()
    found = [*faults]
    good = dict(rows)
    if not found:
        try:
            with transaction.atomic():
                return Intake(ingested=_ingest(good, source), kept=tuple(good), faults=())
        except ReadingRefused:
            pass  # which rows, and why, is found one by one below
    wrong = _faults(good, source)
    found += wrong
    found.sort(key=lambda fault: fault.n)
    for fault in wrong:
        del good[fault.n]
    if not is_partial:
        return Intake(ingested=NOTHING, kept=(), faults=tuple(found))
    return Intake(ingested=_ingest(good, source), kept=tuple(good), faults=tuple(found))


def _ingest(rows: Mapping[int, Row], source: str) -> Ingested:
    """Take in short intervals with the half hours they complete, then the other half hours."""
    parts = [
        fine_readings_ingest(
            rows=[row for row in rows.values() if isinstance(row, FineRow)], source=source
        ),
        halves_ingest([row for row in rows.values() if isinstance(row, ReadingRow)], source),
    ]
    return Ingested(
        added=sum(part.added for part in parts),
        revised=sum(part.revised for part in parts),
        unchanged=sum(part.unchanged for part in parts),
    )


def _not_allowed(row: Row, stages: Mapping[str, int]) -> ReadingRefused | None:
    most = stages.get(row.point_number)
    if most is None:
        return ReadingRefused(
            field="point_number", value=row.point_number, rule="a registered meter of yours"
        )
    if row.stage > most:
        rule = f"at most {Stage(most).name}; above it the grid operator or settlement sends"
        return StageNotYours(field="stage", value=Stage(row.stage).name, rule=rule)
    return None


def _faults(rows: Mapping[int, Row], source: str) -> list[Fault]:
    """Return every row that breaks a rule; of two of the same half hour the later."""
    now = market_now()
    meters = meters_known(
        point_numbers={
            row.point_number for row in rows.values() if POINT_NUMBER.fullmatch(row.point_number)
        }
    )
    taken: dict[tuple[int, ...], int] = {}
    found = []
    for n, row in rows.items():
        known = meters.get(row.point_number)
        try:
            key = _key(n, row, known, source, now)
        except ReadingRefused as refused:
            found.append(Fault(n=n, refused=_of_row(refused)))
            continue
        first = taken.setdefault(key, n)
        if first != n:
            rule = f"each meter, interval and stage once; row {first} has it already"
            twice = ReadingRefused(field="start_at", value=row.start_at.isoformat(), rule=rule)
            found.append(Fault(n=n, refused=twice))
    return found


def _key(n: int, row: Row, known: MeterKnown | None, source: str, now: datetime) -> tuple[int, ...]:
    """Check a row by the rules of its interval, and return what it may be sent once for."""
    if isinstance(row, ReadingRow):
        return (reading_line(n, row, known, source, now)[0],)
    line = fine_checked(n, row, known, now)
    return (line.meter_id, line.interval_min, int(line.start_at.timestamp()), line.stage)


def _of_row(refused: ReadingRefused) -> ReadingRefused:
    """Return the refusal with the field's own name, without the row's."""
    return ReadingRefused(
        field=refused.field.rpartition(".")[2], value=refused.value, rule=refused.rule
    )
