"""Compute a run's lines once more from what it was computed from, and compare every digit."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Max

from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.adjustments import adjustment_write
from aggregator.settlement.agreed import terms_kept
from aggregator.settlement.models import CorrectionCause, RunKind, SettlementRun
from aggregator.settlement.runs import correction_write, inputs_of, lines_write

# Far above any revision, and gone again at the end of the comparison.
SHADOW_REVISION = 1_000_000

DIFFERENCES_SQL = """
SELECT count(*) FROM (
    (SELECT item, payer_id, payee_id, award_id, need_id, element, t, start_at, quantity_kwh,
            price_jpy_per_kwh, quantity_gb, price_jpy_per_gb, amount_exact_jpy
     FROM settlement_settlementline WHERE run_id = %(a)s
     EXCEPT ALL
     SELECT item, payer_id, payee_id, award_id, need_id, element, t, start_at, quantity_kwh,
            price_jpy_per_kwh, quantity_gb, price_jpy_per_gb, amount_exact_jpy
     FROM settlement_settlementline WHERE run_id = %(b)s)
) AS missing
"""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a second computation of one run found."""

    lines: int
    missing: int
    surplus: int

    @property
    def is_identical(self) -> bool:
        """Whether both computations wrote the same lines."""
        return not self.missing and not self.surplus


def settlement_replay(*, run_id: int) -> Replay:
    """Compute a run's lines again from its verification, result and rules; nothing is kept.

    Returns
    -------
    Replay
        How many lines the run has, how many a second computation lacks, and how many it has
        beside them.

    Raises
    ------
    SettlementRun.DoesNotExist
        If there is no such run.
    """
    with transaction.atomic():
        bulk_limits_set()
        run = SettlementRun.objects.select_related("auction__ruleset", "corrects").get(pk=run_id)
        shadow = _shadow_of(run)
        _written_again(run, shadow)
        found = Replay(
            lines=run.lines.count(),
            missing=_differences(run.pk, shadow.pk),
            surplus=_differences(shadow.pk, run.pk),
        )
        transaction.set_rollback(True)
    return found


def _shadow_of(run: SettlementRun) -> SettlementRun:
    """Write a run like another, of a revision nobody has, for the length of a comparison.

    One that stands for a correction corrects a copy of what that one corrects, because no run
    is corrected twice.
    """
    before = None
    if run.corrects is not None:
        before = _copied(run.corrects, kind=RunKind.FINAL, corrects=None)
    return _copied(run, kind=run.kind, corrects=before)


def _copied(run: SettlementRun, *, kind: str, corrects: SettlementRun | None) -> SettlementRun:
    last = SettlementRun.objects.filter(auction_id=run.auction_id).aggregate(n=Max("revision"))
    return SettlementRun.objects.create(
        auction_id=run.auction_id,
        verification_id=run.verification_id,
        kind=kind,
        revision=max(SHADOW_REVISION, last["n"] + 1),
        input_sha256=run.input_sha256,
        ruleset_version=run.ruleset_version,
        executed_at=run.executed_at,
        corrects=corrects,
        cause_kind=run.cause_kind if corrects is not None else "",
        cause_id=run.cause_id if corrects is not None else "",
    )


def _written_again(run: SettlementRun, shadow: SettlementRun) -> None:
    if run.cause_kind == CorrectionCause.DISPUTE and run.adjustments.exists():
        adjustment_write(
            run=shadow, adjustments=list(run.adjustments.order_by("id")), terms=terms_kept(run)
        )
        return
    inputs = inputs_of(run.auction_id, run.kind, verification=run.verification, settled=run)
    if run.corrects_id is None:
        lines_write(run=shadow, inputs=inputs)
    else:
        correction_write(run=shadow, inputs=inputs, decided_before=run)


def _differences(first_id: int, second_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(DIFFERENCES_SQL, {"a": first_id, "b": second_id})
        return int(cursor.fetchone()[0])
