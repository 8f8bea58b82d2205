"""Take in readings that strangers send: every wrong row is told, nothing partial unless asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import Stage
from aggregator.metering.selectors import meters_known
from aggregator.metering.services import (
    POINT_NUMBER,
    Ingested,
    ReadingRefused,
    ReadingRow,
    reading_line,
    readings_ingest,
)

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


@transaction.atomic
def readings_take(
    *,
    rows: Mapping[int, ReadingRow],
    source: str,
    stages: Mapping[str, int],
    faults: Sequence[Fault] = (),
    is_partial: bool = False,
) -> Intake:
    """Take in the rows that may be taken; all or nothing unless `is_partial`.

    Parameters
    ----------
    rows
        By their number in the batch.
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
    bulk_limits_set()
    found = [*faults]
    good: dict[int, ReadingRow] = {}
    for n, row in rows.items():
        refused = _not_allowed(row, stages)
        if refused is None:
            good[n] = row
        else:
            found.append(Fault(n=n, refused=refused))
    if not found:
        try:
            ingested = readings_ingest(rows=list(good.values()), source=source)
            return Intake(ingested=ingested, kept=tuple(good), faults=())
        except ReadingRefused:
            pass  # which rows, and why, is found one by one below
    wrong = _faults(good, source)
    found += wrong
    found.sort(key=lambda fault: fault.n)
    for fault in wrong:
        del good[fault.n]
    if not is_partial:
        return Intake(ingested=NOTHING, kept=(), faults=tuple(found))
    ingested = readings_ingest(rows=list(good.values()), source=source)
    return Intake(ingested=ingested, kept=tuple(good), faults=tuple(found))


def _not_allowed(row: ReadingRow, stages: Mapping[str, int]) -> ReadingRefused | None:
    most = stages.get(row.point_number)
    if most is None:
        return ReadingRefused(
            field="point_number", value=row.point_number, rule="a registered meter of yours"
        )
    if row.stage > most:
        rule = f"at most {Stage(most).name}; above it the grid operator or settlement sends"
        return StageNotYours(field="stage", value=Stage(row.stage).name, rule=rule)
    return None


def _faults(rows: Mapping[int, ReadingRow], source: str) -> list[Fault]:
    """Return every row that breaks a rule; of two of the same half hour the later."""
    now = market_now()
    meters = meters_known(
        point_numbers={
            row.point_number for row in rows.values() if POINT_NUMBER.fullmatch(row.point_number)
        }
    )
    taken: dict[int, int] = {}
    found = []
    for n, row in rows.items():
        try:
            key, _ = reading_line(n, row, meters.get(row.point_number), source, now)
        except ReadingRefused as refused:
            found.append(Fault(n=n, refused=_of_row(refused)))
            continue
        first = taken.setdefault(key, n)
        if first != n:
            rule = f"each meter, half hour and stage once; row {first} has it already"
            twice = ReadingRefused(field="start_at", value=row.start_at.isoformat(), rule=rule)
            found.append(Fault(n=n, refused=twice))
    return found


def _of_row(refused: ReadingRefused) -> ReadingRefused:
    """Return the refusal with the field's own name, without the row's."""
    return ReadingRefused(
        field=refused.field.rpartition(".")[2], value=refused.value, rule=refused.rule
    )
