"""Settle one auction: exact lines out of its result and its verified delivery, then differences."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused, ensure
from accounts.core.money import sum_exact_jpy
from aggregator.core.charges import charge_lines
from aggregator.core.deltas import delta_lines
from aggregator.core.settlement import (
    House,
    Line,
    need_lines,
    path_lines,
    rent_lines,
    residual_lines,
)
from aggregator.core.terms import SettlementRules, rules_from_mapping
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import DeliveryVerification, VerificationStage
from aggregator.metering.selectors import verification_chain, verification_latest
from aggregator.settlement.agreed import terms_keep, terms_kept
from aggregator.settlement.chains import decided_half_hours, repeated_failures, runs_in_force
from aggregator.settlement.charging import (
    charges_of,
    computing_left_jpy,
    follow_on_charges,
    split_lines,
)
from aggregator.settlement.close_requests import correction_close_request
from aggregator.settlement.dispute_models import Dispute, DisputeState
from aggregator.settlement.doubles import doubles_refuse
from aggregator.settlement.lines import (
    MEASURED,
    Terms,
    award_lines_insert,
    clearing_left,
    correction_lines_insert,
    lines_copy,
)
from aggregator.settlement.measured import unexplained_jpy
from aggregator.settlement.models import CorrectionCause, RunKind, SettlementRun
from aggregator.settlement.parties import MarketParties
from aggregator.settlement.positions import changes_stage, tables_ensure, whole_stage
from aggregator.settlement.results import PublishedResult, result_of
from aggregator.settlement.staging import inputs_stage
from market.clearing.models import ClearingRun
from market.clearing.selectors import run_published_of
from market.core.timegrid import interval_starts_at
from market.trading.models import Auction

# Published numbers and ours are the same digits; only their sums are formed differently.
RESIDUAL_TOLERANCE_JPY = Decimal(1)
# Lines have six places; of one award half hour no more than their rounding is left.
MEASURED_TOLERANCE_JPY = Decimal("0.0001")


class DeliveryNotVerified(Refused):
    """The auction's delivery has not been verified yet."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything a run is computed from."""

    auction: Auction
    run: ClearingRun
    verification: DeliveryVerification
    rules: SettlementRules
    kind: str
    parties: MarketParties

    @cached_property
    def sha256(self) -> str:
        """Return the digest of all of it."""
        known = (
            f"{self.run.result_sha256} {self.verification.input_sha256} {self.auction.ruleset_id}"
            f" {self.rules} {self.parties.terms.sha256}"
        )
        return hashlib.sha256(known.encode()).hexdigest()


@transaction.atomic
def settlement_run_execute(*, auction_id: UUID, kind: str | None = None) -> SettlementRun:
    """Write the lines of one auction from its latest verification, unposted.

    The same inputs give the run that is there already: nothing is written twice. Later
    preliminary values give the next provisional revision; what changes after a final run is
    written as its correction (:func:`correction_run`), differences alone.

    Parameters
    ----------
    auction_id
        A published auction.
    kind
        PROVISIONAL or FINAL; None takes FINAL as soon as there is a look at final readings.

    Raises
    ------
    NotFound
        If there is no such auction, or it has no published result.
    DeliveryNotVerified
        If its delivery has not been verified, or for FINAL not on final readings.
    BrokenInvariant
        If the lines leave more in the clearing account than the result published as residual.
    """
    bulk_limits_set()
    inputs = inputs_of(auction_id, kind)
    if inputs.kind == RunKind.FINAL:
        settled = runs_in_force(auction=inputs.auction, kind=RunKind.FINAL)
        if settled:
            return correction_run(verification=inputs.verification)
    latest = (
        SettlementRun.objects.filter(auction=inputs.auction, kind=inputs.kind)
        .order_by("-revision")
        .first()
    )
    if latest is not None and latest.input_sha256 == inputs.sha256:
        return latest
    return _written(inputs, revision=1 if latest is None else latest.revision + 1)


@transaction.atomic
def correction_run(*, verification: DeliveryVerification) -> SettlementRun:
    """Write what a correcting verification changes of what its auction was settled at.

    Lines are differences alone, and each names the award, need and half hour it concerns. What
    was settled already is returned; an award half hour that a decided dispute has settled stays
    as decided. If the auction's period is closed, another close of it is asked for.

    Parameters
    ----------
    verification
        A final verification; it, or one before it in its chain, is what was settled.

    Returns
    -------
    SettlementRun
        The newest run of the auction's chain.

    Raises
    ------
    DeliveryNotVerified
        If nothing of the auction is settled finally, so that there is nothing to correct.
    BrokenInvariant
        If the verification is none of the settled one's chain.
    """
    bulk_limits_set()
    SettlementRun.objects.select_for_update().filter(
        auction=verification.auction_id, kind=RunKind.FINAL
    ).first()
    settled = runs_in_force(auction=verification.auction, kind=RunKind.FINAL)
    if not settled:
        raise DeliveryNotVerified(
            field="verification", value=verification.pk, rule="of an auction settled finally"
        )
    head = settled[-1]
    if verification.pk in verification_chain(verification_id=head.verification_id):
        return head
    chain = verification_chain(verification_id=verification.pk)
    ensure(head.verification_id in chain, "a verification outside the chain that was settled")
    inputs = inputs_of(
        verification.auction_id, RunKind.FINAL, verification=verification, settled=head
    )
    cause = verification.cause_kind or CorrectionCause.READING
    run = SettlementRun.objects.create(
        auction=inputs.auction,
        verification=verification,
        kind=RunKind.CORRECTION,
        revision=len(settled),
        input_sha256=hashlib.sha256(f"{head.input_sha256} {inputs.sha256}".encode()).hexdigest(),
        ruleset_version=inputs.auction.ruleset_id,
        executed_at=market_now(),
        corrects=head,
        cause_kind=cause,
        cause_id=verification.cause_id or str(verification.pk),
    )
    changed, count = correction_write(run=run, inputs=inputs)
    if cause == CorrectionCause.DISPUTE:
        Dispute.objects.filter(id=run.cause_id, state=DisputeState.ACCEPTED, is_held=True).update(
            corrected_by=run, is_held=False
        )
    entry_append(
        action="settlement.run.corrected",
        subject=run,
        detail={
            "auction": inputs.auction.code,
            "revision": run.revision,
            "cause": f"{run.cause_kind}:{run.cause_id}",
            "half_hours": changed,
            "lines": count,
        },
    )
    correction_close_request(run=run)
    return run


def correction_write(
    *, run: SettlementRun, inputs: Inputs, decided_before: SettlementRun | None = None
) -> tuple[int, int]:
    """Write the lines of a correction that has none yet.

    Parameters
    ----------
    run
        The correction.
    inputs
        Of its auction, on its verification.
    decided_before
        Only disputes decided before this run count; a replay names the run it repeats.

    Returns
    -------
    int, int
        Award half hours that differ, and lines.

    Raises
    ------
    BrokenInvariant
        If what is measured takes from one side what does not reach the other.
    """
    parties = inputs.parties
    result = result_of(inputs.run, parties)
    tables_ensure()
    decided = decided_half_hours(auction=inputs.auction, before=decided_before or run)
    changed = changes_stage(run_ids=[run.pk], decided=decided)
    stand_ins = inputs_stage(run=run, result=result, rules=inputs.rules, decided=decided)
    count = correction_lines_insert(run_ids=[run.pk], terms=terms_of(inputs.rules, parties))
    starts_at = interval_starts_at(inputs.auction.delivery_on)
    count += lines_copy(
        run_id=run.pk,
        lines=delta_lines(stand_ins.before, stand_ins.now),
        starts_at=starts_at,
    )
    _check_measured(run, inputs)
    count += residuals_write(run=run, house=parties.house, starts_at=starts_at)
    return changed + stand_ins.changed, count


def inputs_of(
    auction_id: UUID,
    kind: str | None,
    *,
    verification: DeliveryVerification | None = None,
    settled: SettlementRun | None = None,
) -> Inputs:
    """Return what a run is computed from: on the latest verification, unless one is named.

    Parameters
    ----------
    settled
        A run that it corrects or repeats: the terms are those that one knew.

    Raises
    ------
    NotFound
        If there is no such auction, or it has no published result.
    DeliveryNotVerified
        If its delivery has not been verified, or for FINAL not on final readings.
    """
    auction = Auction.objects.select_related("ruleset").filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="an auction")
    published = run_published_of(auction)
    if published is None:
        raise NotFound(field="auction", value=auction.code, rule="has a published result")
    stage = VerificationStage.FINAL if kind in (RunKind.FINAL, RunKind.CORRECTION) else None
    if verification is None:
        # what was looked at finally is never preliminary again, whatever is looked at later
        final = VerificationStage.FINAL if kind is None else stage
        verification = verification_latest(auction_id=auction.id, stage=final)
    if verification is None and kind is None:
        verification = verification_latest(auction_id=auction.id)
    if verification is None:
        raise DeliveryNotVerified(
            field="auction",
            value=auction.code,
            rule="is verified on final readings" if stage else "is verified",
        )
    is_final = verification.stage == VerificationStage.FINAL
    rules = rules_from_mapping(auction.ruleset.rules.get("settlement", {}))
    return Inputs(
        auction=auction,
        run=published,
        verification=verification,
        rules=rules,
        kind=RunKind.FINAL if is_final else RunKind.PROVISIONAL,
        parties=MarketParties(published, kept=None if settled is None else terms_kept(settled)),
    )


def _written(inputs: Inputs, *, revision: int) -> SettlementRun:
    doubles_refuse(auction=inputs.auction, rules=inputs.rules)
    run = SettlementRun.objects.create(
        auction=inputs.auction,
        verification=inputs.verification,
        kind=inputs.kind,
        revision=revision,
        input_sha256=inputs.sha256,
        ruleset_version=inputs.auction.ruleset_id,
        executed_at=market_now(),
    )
    terms_keep(run=run, terms=inputs.parties.terms)
    count = lines_write(run=run, inputs=inputs)
    entry_append(
        action="settlement.run.executed",
        subject=run,
        detail={
            "auction": inputs.auction.code,
            "kind": inputs.kind,
            "revision": revision,
            "lines": count,
            "repeated_failures": repeated_failures(run=run, rules=inputs.rules),
        },
    )
    return run


def lines_write(*, run: SettlementRun, inputs: Inputs) -> int:
    """Write every line of a whole run that has none yet; returns how many."""
    parties = inputs.parties
    result = result_of(inputs.run, parties)
    house = parties.house
    starts_at = interval_starts_at(inputs.auction.delivery_on)
    tables_ensure()
    whole_stage(run_ids=[run.pk])
    stand_ins = inputs_stage(run=run, result=result, rules=inputs.rules)
    count = award_lines_insert(
        run_ids=[run.pk],
        terms=terms_of(inputs.rules, parties),
        is_chained=inputs.verification.corrects_id is not None,
    )
    lines = [*_market_lines(inputs, result), *stand_ins.now]
    count += lines_copy(run_id=run.pk, lines=lines, starts_at=starts_at)
    left = clearing_left(run_id=run.pk, clearing=house.clearing)
    measured = clearing_left(run_id=run.pk, clearing=house.clearing, items=MEASURED)
    _check_residual(left, result, measured)
    _check_measured(run, inputs)
    return count + residuals_write(run=run, house=house, starts_at=starts_at)


def residuals_write(*, run: SettlementRun, house: House, starts_at: Sequence[datetime]) -> int:
    """Empty the clearing account of a run into the rounding account; returns the lines written.

    Raises
    ------
    BrokenInvariant
        If anything is left in it then.
    """
    left = clearing_left(run_id=run.pk, clearing=house.clearing)
    written = lines_copy(
        run_id=run.pk, lines=residual_lines(left, house=house), starts_at=starts_at
    )
    left = clearing_left(run_id=run.pk, clearing=house.clearing)
    ensure(not any(left.values()), "a settlement run leaves money in the clearing account")
    return written


def terms_of(rules: SettlementRules, parties: MarketParties) -> Terms:
    """Return what the bulk statements of one auction are told."""
    return Terms(
        rules=rules,
        house=parties.house,
        sellers=parties.accounts_of_sellers,
        splits=parties.splits,
    )


def _market_lines(inputs: Inputs, result: PublishedResult) -> list[Line]:
    """Lines of needs, rents, paths, and what is owed as published."""
    house = result.parties.house
    lines: list[Line] = []
    for need in result.needs():
        lines += need_lines(need, house=house)
    for rent in result.rents():
        lines += rent_lines(rent, house=house)
    for charge in result.paths():
        lines += path_lines(charge, house=house)
    published = charges_of(result)
    charges = [*published, *follow_on_charges(result, published, inputs.rules)]
    return lines + charge_lines(charges, house=house) + split_lines(result, charges)


def _check_measured(run: SettlementRun, inputs: Inputs) -> None:
    """See that what deliveries and assessments take from one side reaches the other."""
    cause, left_jpy = unexplained_jpy(
        run=run, rules=inputs.rules, clearing=inputs.parties.house.clearing
    )
    ensure(
        left_jpy <= MEASURED_TOLERANCE_JPY,
        f"settlement leaves {left_jpy} yen of {cause.lower() or 'nothing'} to nobody",
    )


def _check_residual(
    left: dict[int | None, Decimal],
    result: PublishedResult,
    measured: dict[int | None, Decimal],
) -> None:
    """Hold what is left against the residual that the engine published beside its prices.

    What was measured is told of by deliveries, not by the result: :func:`_check_measured`.
    """
    found_jpy = sum_exact_jpy([amount for t, amount in left.items() if t is not None])
    unclaimed_jpy = sum_exact_jpy([amount for t, amount in measured.items() if t is not None])
    published_jpy = result.residual_exact_jpy - computing_left_jpy(result)
    unexplained_jpy = found_jpy - unclaimed_jpy - published_jpy
    ensure(
        abs(unexplained_jpy) <= RESIDUAL_TOLERANCE_JPY,
        f"settlement is {unexplained_jpy} yen off the published money identity",
    )
