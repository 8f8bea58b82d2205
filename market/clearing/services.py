"""Clear an auction: freeze the book, solve in a process of its own, verify, publish once."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.core.errors import ClaimLost
from accounts.jobs.failpoints import failpoint
from accounts.jobs.services import Claim, job_create, job_finish, job_kept, job_step
from market.clearing.book import snapshot_of_book
from market.clearing.engine import SolverEngine
from market.clearing.models import ClearingRun, RunState, SnapshotRecord
from market.clearing.publication import result_write
from market.core.certificate import Certificate, verify_result
from market.core.errors import (
    InvalidSnapshot,
    ResultUnverified,
    SolverDeadline,
    SolverDied,
    SolverFailed,
)
from market.trading.models import Auction, AuctionState
from market.trading.services import auction_cancel

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
    _publish(claim, run, result, certificate.as_json())


def _verified(snapshot: bytes, result: bytes) -> Certificate:
    certificate = verify_result(snapshot, result)
    if not certificate.passed:
        raise ResultUnverified("; ".join(certificate.failures))
    return certificate


def _deadline_s(run: ClearingRun) -> float:
    publication: Mapping[str, Any] = run.auction.ruleset.rules.get("publication", {})
    return float(publication.get("solver_deadline_s", SOLVER_DEADLINE_S))


@transaction.atomic
def _run_start(claim: Claim) -> ClearingRun | None:
    """Claim the auction's run under the job's token, with its snapshot frozen once."""
    auction = (
        Auction.objects.select_for_update(of=("self",))
        .select_related("ruleset", "grid_model")
        .get(id=UUID(claim.key))
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
        run = ClearingRun.objects.create(auction=auction, number=number)
    if run.snapshot_id is None:
        try:
            content = snapshot_of_book(auction)
        except InvalidSnapshot as failure:
            _fail_rows(run, failure)
            job_finish(claim=claim)
            return None
        run.snapshot = SnapshotRecord.objects.create(
            auction=auction, sha256=hashlib.sha256(content).hexdigest(), content=content
        )
    # A token below the row's own means that a later worker is at it already.
    changed = ClearingRun.objects.filter(
        id=run.id, state__in=(RunState.READY, RunState.RUNNING), token__lte=claim.token
    ).update(state=RunState.RUNNING, token=claim.token, snapshot=run.snapshot)
    if changed != 1:
        raise ClaimLost(f"clearing run {run.id} belongs to a later worker")
    run.auction = auction
    run.token = claim.token
    return run


@transaction.atomic
def _publish(
    claim: Claim, run: ClearingRun, result_bytes: bytes, certificate: Mapping[str, Any]
) -> None:
    """Awards, prices, flows, states and what follows: one transaction under the token."""
    result = json.loads(result_bytes)
    engine_facts = result["engine"]
    # The token is checked before anything is written: the row stays locked until the commit.
    published = ClearingRun.objects.filter(
        id=run.id, state=RunState.RUNNING, token=claim.token
    ).update(
        state=RunState.PUBLISHED,
        engine_version=" ".join(str(engine_facts[key]) for key in sorted(engine_facts)),
        result=result_bytes,
        result_sha256=hashlib.sha256(result_bytes).hexdigest(),
        objective_jpy=round(result["objective_jpy"], 2),
        certificate=dict(certificate),
        published_at=RawSQL("market_now()", ()),
    )
    moved = Auction.objects.filter(id=run.auction_id, state=AuctionState.CLEARING).update(
        state=AuctionState.PUBLISHED
    )
    if published != 1 or moved != 1:
        raise ClaimLost(f"clearing run {run.id} was taken over or its auction ended")
    result_write(run, result)
    _follow_up(run.auction)
    entry_append(
        action="market.result.published",
        subject=run,
        detail={
            "auction": run.auction.code,
            "result_sha256": hashlib.sha256(result_bytes).hexdigest(),
        },
    )
    job_finish(claim=claim)
    failpoint("clearing.before_commit")


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
    auction_cancel(auction_id=run.auction_id, reason=f"{type(failure).__name__}: {failure}")
    entry_append(
        action="market.clearing.failed",
        subject=run,
        detail={"code": type(failure).__name__, "auction": run.auction.code},
    )


@transaction.atomic
def clearing_deadline(*, claim: Claim) -> None:
    """End an auction that has no result at its publication deadline: never silence."""
    auction_cancel(auction_id=UUID(claim.key), reason="ResultMissing: no result by the deadline")
    job_finish(claim=claim)


@transaction.atomic
def _run_fail(claim: Claim, run: ClearingRun, failure: Exception) -> None:
    """Leave run and auction in a named state that a participant can see."""
    _fail_rows(run, failure)
    job_finish(claim=claim)
