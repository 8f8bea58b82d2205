"""Clear an auction: freeze the book, solve in a process of its own, verify, publish once.

What is published is the last verified result. If rules hold results back for a while, the desk
may have the auction cleared again meanwhile; should that fail, or the deadline pass first, the
result verified before is published by fallback. Without one the auction is cancelled by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import ClaimLost, Refused
from accounts.jobs.failpoints import failpoint
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_create, job_finish, job_kept, job_step
from market.clearing.book import FrozenBook, book_freeze
from market.clearing.engine import SolverEngine
from market.clearing.models import ClearingRun, RunState, SnapshotRecord
from market.clearing.publication import result_write
from market.core.errors import (
    InvalidSnapshot,
    ResultUnverified,
    SolverDeadline,
    SolverDied,
    SolverFailed,
)
from market.trading.models import Auction, AuctionState, Bid
from market.trading.opening import book_open
from market.trading.selectors import book_of
from market.trading.services import auction_cancel

if TYPE_CHECKING:
    from market.core.certificate import Certificate

EXECUTE_KIND = "market.clearing.run_execute"
PUBLISH_KIND = "market.clearing.run_publish"
ATTEMPTS_MAX = 4
# Failures of the machine, not of the problem: worth another try on the same snapshot.
TRANSIENT = (SolverDeadline, SolverDied)
SOLVER_DEADLINE_S = 120.0

_engine = SolverEngine()


def engine() -> SolverEngine:
    """Return this process's warm solver; it starts with the first use."""
    return _engine


def clearing_run_execute(*, claim: Claim) -> None:
    """Clear the auction named by the claim; safe to deliver any number of times.

    The claim's token fences the publication: of a worker that slept past its lease
    nothing is published. A failure of the problem ends in a named state at once, a
    failure of the machine is tried again until the job's attempts are used up.
    """
    run = _run_start(claim)
    if run is None:
        return
    snapshot = bytes(run.snapshot.content) if run.snapshot else b""
    deadline_s = _deadline_s(run)
    try:
        with job_kept(claim=claim):
            job_step(claim=claim, step="約定計算")
            failpoint("clearing.started")
            result = engine().clear_bytes(snapshot, deadline_s=deadline_s)
            job_step(claim=claim, step="検証")
            certificate = _verified(snapshot, result)
            failpoint("clearing.verified")
    except SolverFailed as failure:
        if isinstance(failure, TRANSIENT) and not claim.is_last_attempt:
            raise
        _run_fail(claim, run, failure)
        return
    _keep(claim, run, result, certificate.as_json())


def _verified(snapshot: bytes, result: bytes) -> Certificate:
    from market.core.certificate import verify_result  # the worker's: no door needs its checks

    certificate = verify_result(snapshot, result)
    if not certificate.passed:
        raise ResultUnverified("; ".join(certificate.failures))
    return certificate


def _deadline_s(run: ClearingRun) -> float:
    return float(_publication(run.auction).get("solver_deadline_s", SOLVER_DEADLINE_S))


def _publication(auction: Auction) -> Mapping[str, Any]:
    rules: Mapping[str, Any] = auction.ruleset.rules.get("publication", {})
    return rules


def _publishable_at(auction: Auction) -> datetime:
    return auction.shut_at + timedelta(minutes=_publication(auction).get("hold_min", 0))


def _auction_of(claim: Claim) -> UUID:
    return UUID(claim.payload.get("auction", claim.key))


@transaction.atomic
def _run_start(claim: Claim) -> ClearingRun | None:
    """Claim the auction's run under the job's token, with its snapshot frozen once."""
    auction = (
        Auction.objects.select_for_update(of=("self",))
        .select_related("ruleset", "grid_model")
        .get(id=_auction_of(claim))
    )
    if auction.state == AuctionState.CLOSED:
        Auction.objects.filter(id=auction.id).update(state=AuctionState.CLEARING)
        entry_append(action="market.auction.clearing_started", subject=auction)
    elif auction.state != AuctionState.CLEARING:
        job_finish(claim=claim)
        return None
    run = ClearingRun.objects.filter(auction=auction, state=RunState.RUNNING).first()
    if run is None:
        number = ClearingRun.objects.filter(auction=auction).count() + 1
        run = ClearingRun.objects.create(
            auction=auction,
            number=number,
            reason=claim.payload.get("reason", ""),
            bids_left_out=[UUID(bid_id) for bid_id in claim.payload.get("without", ())],
        )
    if run.snapshot_id is None:
        book_open(auction_id=auction.id)
        try:
            book = book_freeze(auction, without=run.bids_left_out)
        except InvalidSnapshot as failure:
            _fail_rows(run, failure)
            job_finish(claim=claim)
            return None
        run.snapshot = SnapshotRecord.objects.create(
            auction=auction,
            sha256=hashlib.sha256(book.content).hexdigest(),
            content=book.content,
        )
        _leave_out(run, book)
    # A token below the row's own means that a later worker is at it already.
    changed = ClearingRun.objects.filter(
        id=run.id, state__in=(RunState.READY, RunState.RUNNING), token__lte=claim.token
    ).update(
        state=RunState.RUNNING,
        token=claim.token,
        snapshot=run.snapshot,
        bids_left_out=run.bids_left_out,
    )
    if changed != 1:
        raise ClaimLost(f"clearing run {run.id} belongs to a later worker")
    run.auction = auction
    run.token = claim.token
    return run


def _leave_out(run: ClearingRun, book: FrozenBook) -> None:
    """Record the bids that the frozen book could not hold, each with its reason."""
    owners = dict(Bid.objects.filter(id__in=book.left_out).values_list("id", "organisation_id"))
    for bid_id, reason in sorted(book.left_out.items()):
        entry_append(
            action="market.bid.left_out",
            subject=f"trading.bid:{bid_id}",
            organisation_id=owners[bid_id],
            detail={"auction": run.auction.code, "reason": reason},
        )
    run.bids_left_out = [*run.bids_left_out, *sorted(book.left_out)]


@transaction.atomic
def _keep(
    claim: Claim, run: ClearingRun, result_bytes: bytes, certificate: Mapping[str, Any]
) -> None:
    """Keep a verified result under the token, and publish it in the same breath if it is time."""
    result = json.loads(result_bytes)
    engine_facts = result["engine"]
    # The token is checked before anything is written: the row stays locked until the commit.
    kept = ClearingRun.objects.filter(id=run.id, state=RunState.RUNNING, token=claim.token).update(
        state=RunState.VERIFIED,
        engine_version=" ".join(str(engine_facts[key]) for key in sorted(engine_facts)),
        result=result_bytes,
        result_sha256=hashlib.sha256(result_bytes).hexdigest(),
        objective_jpy=round(result["objective_jpy"], 2),
        certificate=dict(certificate),
    )
    if kept != 1:
        raise ClaimLost(f"clearing run {run.id} was taken over")
    publishable_at = _publishable_at(run.auction)
    if market_now() >= publishable_at:
        _publish(run, result, AuctionState.PUBLISHED)
    else:
        job_create(kind=PUBLISH_KIND, key=str(run.id), due_at=publishable_at)
    job_finish(claim=claim)
    failpoint("clearing.before_commit")


def _publish(run: ClearingRun, result: Mapping[str, Any], state: AuctionState) -> None:
    """Awards, prices, flows, states and what follows, in the caller's transaction."""
    published = ClearingRun.objects.filter(id=run.id, state=RunState.VERIFIED).update(
        state=RunState.PUBLISHED, published_at=RawSQL("market_now()", ())
    )
    moved = Auction.objects.filter(id=run.auction_id, state=AuctionState.CLEARING).update(
        state=state
    )
    if published != 1 or moved != 1:
        raise ClaimLost(f"clearing run {run.id} is not to be published: its auction has ended")
    result_write(run, result)
    _follow_up(run.auction)
    entry_append(
        action="market.result.published",
        subject=run,
        detail={
            "auction": run.auction.code,
            "result_sha256": ClearingRun.objects.values_list("result_sha256", flat=True).get(
                id=run.id
            ),
            "state": state.value,
        },
    )


@transaction.atomic
def clearing_run_publish(*, claim: Claim) -> bool:
    """Publish a result that was held back; returns whether this call did.

    Of an auction that was cleared again only the last run counts.
    """
    held = ClearingRun.objects.select_related("auction").get(id=UUID(claim.key))
    Auction.objects.select_for_update().get(id=held.auction_id)
    held.auction.refresh_from_db()
    is_due = (
        held.auction.state == AuctionState.CLEARING
        and held.state == RunState.VERIFIED
        and not _is_repeated(held)
    )
    if is_due:
        _publish(held, json.loads(bytes(held.result or b"")), AuctionState.PUBLISHED)
    job_finish(claim=claim)
    return is_due


def _is_repeated(run: ClearingRun) -> bool:
    """Whether a later run of the auction is on the list, though it has not begun."""
    key = _repeat_key(run.auction_id, run.number + 1)
    return Job.objects.filter(kind=EXECUTE_KIND, key=key).exists()


def _repeat_key(auction_id: UUID, number: int) -> str:
    return f"{auction_id}/{number}"


@transaction.atomic
def clearing_run_repeat(
    *,
    auction_id: UUID,
    reason: str,
    without: Collection[UUID] = (),
    user_id: int | None = None,
) -> None:
    """Have an auction cleared again while its verified result is held back, for the desk.

    Parameters
    ----------
    reason
        Shown with the run and in the audit trail.
    without
        Bids left out of the second run, say of a plant that has broken down since.

    Raises
    ------
    Refused
        Without a reason, with a bid that is not in the book, or where no result is held back.
    """
    if not reason.strip():
        raise Refused(field="reason", value=reason, rule="clearing again needs a reason")
    auction = Auction.objects.select_for_update().get(id=auction_id)
    run = ClearingRun.objects.filter(auction=auction).order_by("-number").first()
    if (
        auction.state != AuctionState.CLEARING
        or run is None
        or run.state != RunState.VERIFIED
        or _is_repeated(run)
    ):
        raise Refused(field="auction", value=auction.code, rule="a verified result is held back")
    known = set(book_of(auction).filter(id__in=list(without)).values_list("id", flat=True))
    for bid_id in without:
        if bid_id not in known:
            raise Refused(field="without", value=str(bid_id), rule="a bid in the book")
    job_create(
        kind=EXECUTE_KIND,
        key=_repeat_key(auction.id, run.number + 1),
        payload={
            "auction": str(auction.id),
            "reason": reason[:200],
            "without": sorted(map(str, known)),
        },
        attempts_max=ATTEMPTS_MAX,
    )
    entry_append(
        action="market.clearing.repeated",
        subject=run,
        user_id=user_id,
        detail={"auction": auction.code, "reason": reason, "without": sorted(map(str, known))},
    )


def _follow_up(auction: Auction) -> None:
    """Put on the list what comes after a result; which jobs is the upper layers' to say."""
    payload = {"auction": str(auction.id)}
    for kind in settings.JOBS_AFTER_PUBLICATION:
        job_create(kind=kind, key=str(auction.id), payload=payload)
    delivery_end = auction.delivery_start + timedelta(days=1)
    for kind, lag_h in settings.JOBS_AFTER_DELIVERY:
        due_at = delivery_end + timedelta(hours=lag_h)
        job_create(kind=kind, key=str(auction.id), payload=payload, due_at=due_at)


def _fail_rows(run: ClearingRun, failure: Exception) -> None:
    ClearingRun.objects.filter(id=run.id, state__in=(RunState.READY, RunState.RUNNING)).update(
        state=RunState.FAILED, error_code=type(failure).__name__, error=str(failure)[:4000]
    )
    entry_append(
        action="market.clearing.failed",
        subject=run,
        detail={"code": type(failure).__name__, "auction": run.auction.code},
    )
    _fall_back(run.auction_id, reason=f"{type(failure).__name__}: {failure}")


def _fall_back(auction_id: UUID, *, reason: str) -> None:
    """Publish the last verified result of an auction, or cancel it: never silence."""
    state = (
        Auction.objects.select_for_update()
        .filter(id=auction_id)
        .values_list("state", flat=True)
        .first()
    )
    run = (
        ClearingRun.objects.filter(auction_id=auction_id, state=RunState.VERIFIED)
        .select_related("auction__ruleset", "auction__grid_model")
        .order_by("-number")
        .first()
    )
    if run is None or state != AuctionState.CLEARING:
        auction_cancel(auction_id=auction_id, reason=reason)
        return
    Auction.objects.filter(id=auction_id).update(state_reason=reason[:200])
    _publish(run, json.loads(bytes(run.result or b"")), AuctionState.PUBLISHED_BY_FALLBACK)


@transaction.atomic
def clearing_deadline(*, claim: Claim) -> None:
    """End an auction that has no result at its publication deadline: never silence."""
    _fall_back(UUID(claim.key), reason="ResultMissing: no result by the deadline")
    job_finish(claim=claim)


@transaction.atomic
def _run_fail(claim: Claim, run: ClearingRun, failure: Exception) -> None:
    """Leave run and auction in a named state that a participant can see."""
    _fail_rows(run, failure)
    job_finish(claim=claim)
