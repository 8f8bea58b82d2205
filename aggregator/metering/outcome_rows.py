"""Tell what an outcome changes, give it a digest, and write it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection, models

from accounts.fields.copying import rows_copy
from aggregator.metering.capacity import AssessmentRow
from aggregator.metering.columns import columns_write
from aggregator.metering.counting import Row
from aggregator.metering.models import (
    CapacityAssessment,
    Delivery,
    DeliveryVerification,
    ShiftCheck,
    StandInDelivery,
)
from aggregator.metering.outcomes import Outcome
from aggregator.metering.shift_rows import CheckRow

Values = tuple[Any, ...]
Found = TypeVar("Found", Row, CheckRow, AssessmentRow)

COUNTED = (
    "ordered_kwh", "baseline_kwh", "metered_kwh", "delivered_kwh", "shortfall_kwh", "over_kwh",
    "reading_revision", "reading_stage", "cause", "is_excused",
)  # fmt: skip
# Of each table: what a row is about, what it says, and the columns of both.
DELIVERY_KEY = ("award_id", "t")
STAND_IN_KEY = ("instruction_id", "t")
DELIVERY_COLUMNS = (*DELIVERY_KEY, "start_at", *COUNTED)
STAND_IN_COLUMNS = (*STAND_IN_KEY, "award_id", "start_at", *COUNTED, "covered_kwh")
CHECK_COLUMNS = (
    *DELIVERY_KEY, "start_at", "moved_out_kwh", "moved_in_kwh", "counted_kwh", "arrived_ratio",
    "has_log", "is_conserved", "labels_ok", "labels_refused", "effect_kw",
)  # fmt: skip
ASSESSMENT_COLUMNS = (
    *DELIVERY_KEY, "start_at", "reserved_kw", "available_kw", "shortfall_kw", "is_declared",
    "is_excused", "instructed_kwh", "responded_kwh", "is_responsive", "evidence",
)  # fmt: skip


def differing(outcome: Outcome, before: DeliveryVerification) -> Outcome:
    """Return the part of an outcome that says otherwise than what counts after `before`."""
    chain = _chain(before)
    columns = outcome.columns
    if columns is not None:
        values = columns.values()
        known = _newest(Delivery, DELIVERY_COLUMNS, [row[:2] for row in values], chain)
        columns = columns.taken([n for n, row in enumerate(values) if known.get(row[:2]) != row])
    return replace(
        outcome,
        columns=columns,
        rows=_changed(outcome.rows, delivery_values, Delivery, DELIVERY_COLUMNS, chain),
        stand_ins=_changed(
            outcome.stand_ins, stand_in_values, StandInDelivery, STAND_IN_COLUMNS, chain
        ),
        checks=_changed(outcome.checks, check_values, ShiftCheck, CHECK_COLUMNS, chain),
        assessments=_changed(
            outcome.assessments,
            assessment_values,
            CapacityAssessment,
            ASSESSMENT_COLUMNS,
            chain,
        ),
    )


def digest_of(outcome: Outcome, *, after: str = "") -> str:
    """Return the digest of what a verification stands on and found.

    Parameters
    ----------
    after
        The digest of the verification that it corrects; so each tells all before it.
    """
    digest = hashlib.sha256(f"{after}\n{outcome.auction.ruleset_id}\n{outcome.stage}\n".encode())
    for resource_id in sorted(outcome.found):
        values = [_text(value) for value in outcome.found[resource_id].values_kwh]
        digest.update(f"{resource_id}{json.dumps(values)}\n".encode())
    if outcome.found_columns is not None:
        outcome.found_columns.update(digest)
    if outcome.columns is not None:
        outcome.columns.update(digest)
    for name, rows in _tables(outcome):
        for row in rows:
            told = json.dumps([_text(value) for value in row], sort_keys=True)
            digest.update(f"{name}{told}\n".encode())
    return digest.hexdigest()


def outcomes_write(found: Sequence[tuple[Outcome, DeliveryVerification]]) -> None:
    """Write the rows of outcomes under their verifications, inside their transaction."""
    columns_write(
        [
            (outcome.columns, verification.pk)
            for outcome, verification in found
            if outcome.columns is not None
        ]
    )
    _rows_write(Delivery, DELIVERY_COLUMNS, found, lambda of: map(delivery_values, of.rows))
    _rows_write(
        StandInDelivery, STAND_IN_COLUMNS, found, lambda of: map(stand_in_values, of.stand_ins)
    )
    _rows_write(ShiftCheck, CHECK_COLUMNS, found, lambda of: map(_check_stored, of.checks))
    _rows_write(
        CapacityAssessment,
        ASSESSMENT_COLUMNS,
        found,
        lambda of: map(_assessment_stored, of.assessments),
    )


def _rows_write(
    model: type[models.Model],
    columns: Sequence[str],
    found: Sequence[tuple[Outcome, DeliveryVerification]],
    rows_of: Callable[[Outcome], Iterable[Values]],
) -> None:
    filled = [
        (verification.pk, *values) for outcome, verification in found for values in rows_of(outcome)
    ]
    if filled:
        rows_copy(model, ("verification_id", *columns), filled)


def delivery_values(row: Row) -> Values:
    """Return a delivery in the order of its columns."""
    order = row.order
    return (order.award_id, order.t, order.start_at, *(getattr(row, name) for name in COUNTED))


def stand_in_values(row: Row) -> Values:
    """Return what a stand-in delivered in the order of its columns."""
    order = row.order
    return (
        order.instruction_id, order.t, order.award_id, order.start_at,
        *(getattr(row, name) for name in COUNTED), row.covered_kwh,
    )  # fmt: skip


def check_values(row: CheckRow) -> Values:
    """Return the check of a shift in the order of its columns."""
    found = row.checked
    return (
        row.award_id, row.t, row.start_at, found.moved_out_kwh, found.moved_in_kwh,
        found.counted_kwh, found.ratio, found.has_log, found.is_conserved, found.labels_ok,
        list(found.refused), row.effect_kw,
    )  # fmt: skip


def assessment_values(row: AssessmentRow) -> Values:
    """Return an assessment in the order of its columns."""
    held = row.held
    return (
        held.award_id, held.t, held.start_at, held.reserved_kw, row.available_kw,
        row.shortfall_kw, row.is_declared, row.is_excused, row.instructed_kwh, row.responded_kwh,
        row.is_responsive, dict(row.evidence),
    )  # fmt: skip


def _check_stored(row: CheckRow) -> Values:
    *values, effect_kw = check_values(row)
    return (*values, json.dumps(effect_kw))


def _assessment_stored(row: AssessmentRow) -> Values:
    *values, evidence = assessment_values(row)
    return (*values, json.dumps(evidence))


def _tables(outcome: Outcome) -> Iterable[tuple[str, Iterable[Values]]]:
    return (
        ("delivery", map(delivery_values, outcome.rows)),
        ("stand_in", map(stand_in_values, outcome.stand_ins)),
        ("check", map(check_values, outcome.checks)),
        ("assessment", map(assessment_values, outcome.assessments)),
    )


def _text(value: object) -> object:
    """Return a value as what its digest is made of: equal values alike, however written."""
    if isinstance(value, Decimal):
        return f"{value:.6f}"
    return value if isinstance(value, dict | list | bool | int | None) else str(value)


def _chain(before: DeliveryVerification) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM verification_chain(%s)", [before.pk])
        return [row[0] for row in cursor]


def _changed(
    rows: Sequence[Found],
    values_of: Callable[[Found], Values],
    model: type[models.Model],
    columns: Sequence[str],
    chain: Sequence[int],
) -> tuple[Found, ...]:
    """Return the rows that the newest of their kind along the chain say otherwise."""
    if not rows:
        return ()
    known = _newest(model, columns, [values_of(row)[:2] for row in rows], chain)
    return tuple(row for row in rows if known.get(values_of(row)[:2]) != values_of(row))


def _newest(
    model: type[models.Model],
    columns: Sequence[str],
    keys: Sequence[Values],
    chain: Sequence[int],
) -> dict[Values, Values]:
    """Fetch the newest row of each key along a chain: by key, however long the tables are."""
    names = ", ".join(f"d.{column}" for column in columns)
    of, at = columns[0], columns[1]
    table = model._meta.db_table  # noqa: SLF001 - Django's documented way
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT DISTINCT ON (d.{of}, d.{at}) {names}
            FROM unnest(%s::uuid[], %s::smallint[]) AS wanted (key_id, t)
            CROSS JOIN unnest(%s::bigint[]) AS chain (id)
            JOIN {table} d
              ON d.verification_id = chain.id AND d.{of} = wanted.key_id AND d.{at} = wanted.t
            ORDER BY d.{of}, d.{at}, d.verification_id DESC
            """,  # noqa: S608 - names of our own columns
            [[key for key, _ in keys], [t for _, t in keys], list(chain)],
        )
        return {row[:2]: _read(row) for row in cursor}


def _read(row: Values) -> Values:
    """Return a stored row with its JSON read."""
    last = row[-1]
    return (*row[:-1], json.loads(last)) if isinstance(last, str) and last[:1] == "{" else row
