"""Verify an auction's delivery: orders and readings in, baselines and deliveries out.

The first look at final readings is whole. Every later one corrects the one before it: only what
something became known of since is counted again, and only rows that differ are written.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_create, job_finish
from aggregator.metering import selectors
from aggregator.metering.affected import places_affected
from aggregator.metering.baselines import baselines_write
from aggregator.metering.bulk import outcome_in_bulk, source_of_auctions
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
from aggregator.metering.outcome_rows import differing, digest_of, outcome_write
from aggregator.metering.outcomes import NothingPublished, Outcome, outcome_of
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
            verification = _written(outcome, sha256)
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
    kind = CorrectionCause(cause_kind)
    before = selectors.verification_latest(auction_id=auction.id, stage=VerificationStage.FINAL)
    if before is None:
        raise NotVerified(field="auction", value=auction.code, rule="verified on final readings")
    as_of = market_now()
    before.auction = auction
    margin = delivery_rules(auction.ruleset.rules).late_margin
    places = places_affected(before, margin=margin)
    outcome = outcome_of(
        auction, stage=VerificationStage.FINAL, as_of=as_of, places=places, is_patient=True
    )
    changed = differing(outcome, before)
    with transaction.atomic():
        bulk_limits_set()
        verification = before
        if not changed.is_empty:
            verification = _written(
                changed,
                digest_of(changed, after=before.input_sha256),
                corrects=before,
                cause_kind=kind,
                cause_id=cause_id,
            )
        if claim is not None:
            job_finish(claim=claim)
    return verification


def _auction(auction_id: UUID) -> Auction:
    auction = Auction.objects.select_related("ruleset").filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="an auction")
    return auction


def _written(
    outcome: Outcome,
    sha256: str,
    *,
    corrects: DeliveryVerification | None = None,
    cause_kind: str = "",
    cause_id: str = "",
) -> DeliveryVerification:
    auction = outcome.auction
    latest = selectors.verification_latest(auction_id=auction.id)
    verification = DeliveryVerification.objects.create(
        auction=auction,
        revision=1 if latest is None else latest.revision + 1,
        stage=outcome.stage,
        as_of=outcome.as_of,
        ruleset=auction.ruleset,
        input_sha256=sha256,
        corrects=corrects,
        cause_kind=cause_kind,
        cause_id=cause_id,
    )
    baselines_write(
        verification=verification,
        found=outcome.found,
        delivery_on=auction.delivery_on,
        computed_at=outcome.as_of,
        is_final=outcome.stage == VerificationStage.FINAL,
    )
    if outcome.found_columns is not None:
        found_write(
            outcome.found_columns,
            verification=verification,
            delivery_on=auction.delivery_on,
            computed_at=outcome.as_of,
            is_final=outcome.stage == VerificationStage.FINAL,
        )
    outcome_write(outcome, verification)
    payload = {"auction": str(auction.id)}
    if corrects is not None:
        payload |= {
            "verification": str(verification.pk), "cause_kind": cause_kind, "cause_id": cause_id,
        }  # fmt: skip
    entry_append(
        action="metering.delivery.verified" if corrects is None else "metering.delivery.corrected",
        subject=verification,
        detail={
            "auction": auction.code,
            "stage": outcome.stage,
            "rows": outcome.rows_count,
            "shortfall_kwh": str(outcome.shortfall_kwh),
        }
        | ({} if corrects is None else {"cause": cause_kind, "cause_id": cause_id}),
    )
    job_create(
        kind=SETTLEMENT_JOB_KIND, key=f"{auction.id}:{verification.revision}", payload=payload
    )
    return verification
