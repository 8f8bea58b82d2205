"""Verify an auction's delivery: orders and readings in, baselines and deliveries out.

The first look at final readings is whole. Every later one corrects the one before it: only what
something became known of since is counted again, and only rows that differ are written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.acting import actor_now
from accounts.audit.services import entries_insert, entry_row
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_create, job_finish, jobs_create
from aggregator.metering import selectors
from aggregator.metering.affected import Look, revisions_latest, verifications_final
from aggregator.metering.baselines import baselines_write
from aggregator.metering.bulk import outcome_in_bulk, source_of_auctions
from aggregator.metering.bulk_corrections import outcomes_corrected
from aggregator.metering.bulk_loads import Source
from aggregator.metering.correction_requests import JOB_KIND
from aggregator.metering.counting import ReadingsNotFinal
from aggregator.metering.delivery_rules import delivery_rules
from aggregator.metering.found import found_write
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import (
    CorrectionCause,
    DeliveryVerification,
    VerificationStage,
)
from aggregator.metering.outcome_rows import digest_of, outcomes_write
from aggregator.metering.outcomes import NothingPublished, Outcome
from aggregator.metering.unawarded import SETTLEMENT_JOB_KIND, nothing_verified
from market.trading.models import Auction

__all__ = (
    "JOB_KIND",
    "NotVerified",
    "NothingPublished",
    "ReadingsNotFinal",
    "delivery_verification_request",
    "delivery_verify",
    "verification_correct",
    "verification_execute",
    "verifications_correct",
    "verifications_execute",
)


class NotVerified(Refused):
    """There is no look at final readings to correct."""


def delivery_verification_request(
    *, auction: Auction, stage: str, due_at: datetime | None = None
) -> Job:
    """Create the job that verifies an auction's delivery once more, at `due_at` market time."""
    latest = selectors.verification_latest(auction_id=auction.id)
    revision = 1 if latest is None else latest.revision + 1
    return job_create(
        kind=JOB_KIND,
        key=f"{auction.id}:{VerificationStage(stage)}:{revision}",
        payload={"auction": str(auction.id), "stage": str(stage)},
        due_at=due_at,
    )


def delivery_verify(*, claim: Claim) -> DeliveryVerification | None:
    """Verify the delivery of the auction a job names, or correct what was verified.

    An auction that awarded nothing has nothing to verify; what else it owes is settled.
    """
    auction_id = UUID(str(claim.payload["auction"]))
    cause_kind = claim.payload.get("cause_kind")
    try:
        if cause_kind is not None:
            return verification_correct(
                auction_id=auction_id,
                cause_kind=str(cause_kind),
                cause_id=str(claim.payload.get("cause_id", "")),
                claim=claim,
            )
        return verification_execute(
            auction_id=auction_id,
            stage=str(claim.payload.get("stage", VerificationStage.PRELIMINARY)),
            claim=claim,
        )
    except NothingPublished:
        with transaction.atomic():
            verification = nothing_verified(auction=_auction(auction_id))
            job_finish(claim=claim)
        return verification


def verification_execute(
    *, auction_id: UUID, stage: str, claim: Claim | None = None, source: Source | None = None
) -> DeliveryVerification:
    """Compute baselines and deliveries, write them, and have them settled.

    Computed outside any transaction, written in one. If nothing differs from the latest
    verification of the same stage, nothing is written and that one is returned. A second look
    at final readings is a correction: see :func:`verification_correct`.

    Parameters
    ----------
    auction_id
        A published auction whose delivery day is over, or lies partly behind.
    stage
        PRELIMINARY takes the readings as they are. FINAL takes only values that the ruleset
        lets be paid on (確定, unless it says otherwise); a half hour nobody ever metered counts
        as not delivered.
    claim
        The job this runs under; its fencing token is checked by the writing transaction.
    source
        Readings fetched for several auctions together, as they were known at a moment.

    Raises
    ------
    NothingPublished
        If the auction has no published awards.
    ReadingsNotFinal
        If FINAL is asked for and a value may still change.
    NotFound
        If there is no such auction.
    Conflict
        If somebody else's first look at final readings came in between and found otherwise; a
        second try corrects it.
    """
    auction = _auction(auction_id)
    stage = VerificationStage(stage)
    before = selectors.verification_latest(auction_id=auction.id, stage=stage)
    if stage == VerificationStage.FINAL and before is not None:
        return verification_correct(
            auction_id=auction_id, cause_kind=CorrectionCause.READING, claim=claim
        )
    as_of = market_now() if source is None else source.as_of
    outcome = outcome_in_bulk(auction, stage=stage, as_of=as_of, source=source)
    sha256 = digest_of(outcome)
    with transaction.atomic():
        bulk_limits_set()
        # of two looks at once the second waits here, and then sees the first
        Auction.objects.select_for_update(of=("self",), no_key=True).get(id=auction.id)
        latest = selectors.verification_latest(auction_id=auction.id, stage=stage)
        if latest is not None and latest.input_sha256 == sha256:
            verification = latest
        elif latest is not None and stage == VerificationStage.FINAL:
            raise Conflict(field="auction", value=auction.code, rule="not verified in the meantime")
        else:
            (verification,) = _written([_Finding(outcome=outcome, sha256=sha256)])
        if claim is not None:
            job_finish(claim=claim)
    return verification


def verifications_execute(
    *, auctions: Sequence[Auction], stage: str
) -> Iterator[DeliveryVerification]:
    """Verify several auctions as :func:`verification_execute` does, each in its own transaction.

    Their readings are fetched once for all of them: days of one month stand on the same
    history. Auctions that awarded nothing are left out.

    Parameters
    ----------
    auctions
        With their rulesets.
    """
    if not auctions:
        return
    source = source_of_auctions(auctions, as_of=market_now())
    for auction in sorted(auctions, key=lambda auction: (auction.delivery_on, auction.id)):
        try:
            yield verification_execute(auction_id=auction.id, stage=stage, source=source)
        except NothingPublished:
            continue


def verification_correct(
    *, auction_id: UUID, cause_kind: str, cause_id: str = "", claim: Claim | None = None
) -> DeliveryVerification:
    """Count again what something became known of since the last look at final readings.

    Readings, excuses, placement logs and calls of capacity that came since are looked at,
    whichever of them is the cause; what hangs together with them (the other end of a shift,
    stand-ins of the same award) is counted with them. Baselines are locked. The cost is that of
    what changed, not that of the auction. A value that is not to be paid on yet is none yet: it
    changes nothing, and nothing waits for it.

    Parameters
    ----------
    cause_kind, cause_id
        Why, as :class:`~aggregator.metering.models.CorrectionCause` and in the cause's own words.

    Returns
    -------
    DeliveryVerification
        The correction; the verification that stands if nothing differs from it.

    Raises
    ------
    NotVerified
        If the auction was not verified on final readings yet.
    """
    auction = _auction(auction_id)
    return verifications_correct(
        auctions=[auction], cause_kind=cause_kind, cause_id=cause_id, claim=claim
    )[0]


def verifications_correct(
    *,
    auctions: Sequence[Auction],
    cause_kind: str,
    cause_id: str = "",
    claim: Claim | None = None,
) -> list[DeliveryVerification]:
    """Correct several auctions as :func:`verification_correct` does one, together.

    What became known is sought once for all of them, counted set by set, and written in one
    transaction.

    Parameters
    ----------
    auctions
        With their rulesets.

    Returns
    -------
    list of DeliveryVerification
        Of each auction, in their order, its correction; the verification that stands if nothing
        differs from it.

    Raises
    ------
    NotVerified
        If one of them was not verified on final readings yet.
    """
    kind = CorrectionCause(cause_kind)
    latest = verifications_final(auction_ids=[auction.id for auction in auctions])
    as_of = market_now()
    looks = []
    for number, auction in enumerate(auctions):
        before = latest.get(auction.id)
        if before is None:
            raise NotVerified(
                field="auction", value=auction.code, rule="verified on final readings"
            )
        before.auction = auction
        margin = delivery_rules(auction.ruleset.rules).late_margin
        looks.append(
            Look(number=number, auction=auction, before=before, since=before.as_of - margin)
        )
    outcomes = outcomes_corrected(looks, as_of=as_of)
    found = [look.before for look in looks]
    changed = [
        (look, outcome)
        for look, outcome in zip(looks, outcomes, strict=True)
        if not outcome.is_empty
    ]
    with transaction.atomic():
        bulk_limits_set()
        written = _written(
            [
                _Finding(
                    outcome=outcome,
                    sha256=digest_of(outcome, after=look.before.input_sha256),
                    corrects=look.before,
                )
                for look, outcome in changed
            ],
            cause_kind=kind,
            cause_id=cause_id,
        )
        for (look, _), verification in zip(changed, written, strict=True):
            found[look.number] = verification
        if claim is not None:
            job_finish(claim=claim)
    return found


def _auction(auction_id: UUID) -> Auction:
    auction = Auction.objects.select_related("ruleset").filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="an auction")
    return auction


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """What one look found, ready to be written; `corrects` is the look before it."""

    outcome: Outcome
    sha256: str
    corrects: DeliveryVerification | None = None


def _written(
    findings: Sequence[_Finding], *, cause_kind: str = "", cause_id: str = ""
) -> list[DeliveryVerification]:
    """Write what looks at several auctions found, and ask that it be settled."""
    if not findings:
        return []
    of = [finding.outcome.auction.id for finding in findings]
    revisions = revisions_latest(auction_ids=of)
    verifications = DeliveryVerification.objects.bulk_create(
        DeliveryVerification(
            auction=finding.outcome.auction,
            revision=revisions.get(finding.outcome.auction.id, 0) + 1,
            stage=finding.outcome.stage,
            as_of=finding.outcome.as_of,
            ruleset=finding.outcome.auction.ruleset,
            input_sha256=finding.sha256,
            corrects=finding.corrects,
            cause_kind=cause_kind,
            cause_id=cause_id,
        )
        for finding in findings
    )
    outcomes = [finding.outcome for finding in findings]
    for outcome, verification in zip(outcomes, verifications, strict=True):
        _baselines_written(outcome, verification)
    outcomes_write(list(zip(outcomes, verifications, strict=True)))
    _told(findings, verifications)
    return verifications


def _baselines_written(outcome: Outcome, verification: DeliveryVerification) -> None:
    is_final = outcome.stage == VerificationStage.FINAL
    if outcome.found:
        baselines_write(
            verification=verification,
            found=outcome.found,
            delivery_on=outcome.auction.delivery_on,
            computed_at=outcome.as_of,
            is_final=is_final,
        )
    if outcome.found_columns is not None:
        found_write(
            outcome.found_columns,
            verification=verification,
            delivery_on=outcome.auction.delivery_on,
            computed_at=outcome.as_of,
            is_final=is_final,
        )


def _told(findings: Sequence[_Finding], verifications: Sequence[DeliveryVerification]) -> None:
    """Append what was found to the audit trail, and create the jobs that settle it."""
    entries, jobs = [], []
    for finding, verification in zip(findings, verifications, strict=True):
        outcome, is_first = finding.outcome, finding.corrects is None
        auction = outcome.auction
        detail = {
            "auction": auction.code,
            "stage": outcome.stage,
            "rows": outcome.rows_count,
            "shortfall_kwh": str(outcome.shortfall_kwh),
        }
        payload = {"auction": str(auction.id)}
        if not is_first:
            cause = {"cause_kind": verification.cause_kind, "cause_id": verification.cause_id}
            detail |= {"cause": cause["cause_kind"], "cause_id": cause["cause_id"]}
            payload |= {"verification": str(verification.pk), **cause}
        action = "metering.delivery.verified" if is_first else "metering.delivery.corrected"
        entries.append(
            entry_row(action=action, subject=verification, detail=detail, actor=actor_now())
        )
        jobs.append((f"{auction.id}:{verification.revision}", payload))
    with connection.cursor() as cursor:
        cursor.execute(*entries_insert(entries))
    jobs_create(kind=SETTLEMENT_JOB_KIND, jobs=jobs)
