"""Close a period: the one place where exact lines become posted money."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused, ensure
from accounts.core.postings import Close, close_items
from accounts.jobs.services import Claim, job_finish, job_postpone
from accounts.ledger.selectors import trial_balance_at
from accounts.ledger.services import TransferDraft, transfers_post
from aggregator.core.terms import rules_from_mapping
from aggregator.metering.affected import verifications_final
from aggregator.metering.bulk import source_of_auctions
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import CorrectionCause, VerificationStage
from aggregator.metering.unawarded import nothing_verified
from aggregator.metering.verifications import (
    NothingPublished,
    verification_execute,
    verifications_correct,
)
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.close_requests import period_close_request
from aggregator.settlement.differences import CAUSE_KIND
from aggregator.settlement.documents.issuing import documents_issue_request
from aggregator.settlement.models import (
    PeriodState,
    RunKind,
    SettlementItem,
    SettlementPeriod,
    SettlementRun,
)
from aggregator.settlement.parties import house_of_market
from aggregator.settlement.runs import settlement_run_execute
from aggregator.settlement.totals import totals_of
from market.clearing.selectors import run_published_of
from market.core.timegrid import interval_starts_at
from market.trading.models import Auction, AuctionState

RUN_JOB_KIND = "aggregator.settlement.run_execute"
POSTPONED = timedelta(hours=1)
SETTLED_STATES = (
    AuctionState.PUBLISHED,
    AuctionState.PUBLISHED_BY_FALLBACK,
    AuctionState.SETTLED,
)


class AuctionNotSettled(Refused):
    """An auction of the period is still running or not settled on final readings."""


class PeriodOverlaps(Refused):
    """A delivery date would belong to two periods."""


@transaction.atomic
def period_open(*, start_on: date, end_on: date) -> SettlementPeriod:
    """Return the period [start_on, end_on) of delivery dates, opening it if new.

    Raises
    ------
    PeriodOverlaps
        If it shares a date with another period.
    Refused
        If it is empty.
    """
    if start_on >= end_on:
        raise Refused(field="end_on", value=end_on, rule=f"after {start_on}")
    with connection.cursor() as cursor:
        # Two openings of overlapping periods must see one another.
        cursor.execute("LOCK TABLE settlement_settlementperiod IN SHARE ROW EXCLUSIVE MODE")
    same = SettlementPeriod.objects.filter(start_on=start_on, end_on=end_on).first()
    if same is not None:
        return same
    other = SettlementPeriod.objects.filter(start_on__lt=end_on, end_on__gt=start_on).first()
    if other is not None:
        raise PeriodOverlaps(field="start_on", value=start_on, rule=f"outside {other.label}")
    period = SettlementPeriod.objects.create(start_on=start_on, end_on=end_on)
    entry_append(action="settlement.period.opened", subject=period, detail={"period": period.label})
    return period


@transaction.atomic
def run_execute(*, claim: Claim) -> SettlementRun:
    """Settle the auction a job names, and open the period that will close it."""
    auction_id = UUID(str(claim.payload["auction"]))
    run = settlement_run_execute(auction_id=auction_id)
    period_of_auction_ensure(auction=run.auction)
    job_finish(claim=claim)
    return run


def period_of_auction_ensure(*, auction: Auction) -> SettlementPeriod:
    """Return the period an auction's delivery date belongs to, with the job that closes it.

    A day or a month, as the auction's ruleset says, or what other periods left of the month; it
    closes that many hours after its end.
    """
    existing = SettlementPeriod.objects.filter(
        start_on__lte=auction.delivery_on, end_on__gt=auction.delivery_on
    ).first()
    if existing is not None:
        return existing
    rules = rules_from_mapping(auction.ruleset.rules.get("settlement", {}))
    start_on = auction.delivery_on
    end_on = start_on + timedelta(days=1)
    if rules.period == "MONTH":
        start_on, end_on = _month_left(auction.delivery_on)
    period = period_open(start_on=start_on, end_on=end_on)
    ends_at = interval_starts_at(end_on)[0]
    period_close_request(period=period, due_at=ends_at + timedelta(hours=rules.close_lag_h))
    return period


def _month_left(day: date) -> tuple[date, date]:
    """Return the part of a day's month that no other period took: rules may change within it."""
    start_on = day.replace(day=1)
    end_on = (start_on + timedelta(days=31)).replace(day=1)
    others = SettlementPeriod.objects.filter(start_on__lt=end_on, end_on__gt=start_on)
    for other in others.order_by("start_on"):
        if other.end_on <= day:
            start_on = max(start_on, other.end_on)
        else:
            end_on = min(end_on, other.start_on)
    return start_on, end_on


def period_close_run(*, claim: Claim) -> SettlementPeriod | None:
    """Close the period a job names; see :func:`period_close`.

    If an auction can't be settled yet (late readings), the job is put off and the reason is
    written down: a period is closed whole or not at all.
    """
    period_id = int(claim.payload["period"])
    try:
        return period_close(period_id=period_id, claim=claim)
    except AuctionNotSettled as reason:
        with transaction.atomic():
            job_postpone(claim=claim, due_at=market_now() + POSTPONED)
            entry_append(
                action="settlement.close.postponed",
                subject=f"settlement.settlementperiod:{period_id}",
                detail={"reason": str(reason)[:400]},
            )
        return None


@transaction.atomic
def period_close(*, period_id: int, claim: Claim | None = None) -> SettlementPeriod:
    """Post a period's lines as transfers in whole yen, and close it.

    Each account's total of each kind of charge is rounded once; one transfer moves it between
    the account and the clearing account, which ends at zero. Closing again posts nothing, or
    the differences if a later final run changed the totals: what is posted is never touched.

    Parameters
    ----------
    period_id
        The period.
    claim
        The job this runs under; its fencing token is checked in this transaction.

    Raises
    ------
    NotFound
        If there is no such period.
    AuctionNotSettled
        If an auction of the period has no outcome yet, or its delivery is not verified on
        final readings.
    BrokenInvariant
        If the lines do not sum to zero or the clearing account does not end at zero.
    """
    bulk_limits_set()
    period = SettlementPeriod.objects.select_for_update().filter(id=period_id).first()
    if period is None:
        raise NotFound(field="period", value=period_id, rule="a settlement period")
    runs = _final_runs(period)
    house = house_of_market()
    close = close_items(
        totals_of(run_ids=[run.id for run in runs]),
        clearing=house.clearing,
        rounding=house.rounding,
        posted_jpy=_posted(period),
    )
    number = _next_close_number(period)
    if close.postings or number == 1:
        items_post(period, number, close)
    ensure(trial_balance_at().clearing_jpy == 0, "the clearing account is not empty after a close")
    if period.state == PeriodState.OPEN:
        period.state = PeriodState.CLOSED
        period.closed_at = market_now()
        period.save(update_fields=["state", "closed_at"])
    _mark_settled(runs)
    if close.postings or number == 1:
        entry_append(
            action="settlement.period.closed",
            subject=period,
            detail={
                "period": period.label,
                "close": number,
                "transfers": len(close.postings),
                "auctions": sum(run.corrects_id is None for run in runs),
                "corrections": sum(run.corrects_id is not None for run in runs),
            },
        )
    # also where nothing is posted: documents held up by what two corrections undid are due now
    documents_issue_request(period=period, run_id=max((run.pk for run in runs), default=0))
    if claim is not None:
        job_finish(claim=claim)
    return period


def _final_runs(period: SettlementPeriod) -> list[SettlementRun]:
    """Bring every auction of the period to its final run and all that corrects it."""
    auctions = []
    for auction in (
        Auction.objects.select_related("ruleset")
        .filter(delivery_on__gte=period.start_on, delivery_on__lt=period.end_on)
        .exclude(state=AuctionState.CANCELLED)
        .order_by("delivery_on", "code")
    ):
        if auction.state not in SETTLED_STATES:
            raise AuctionNotSettled(
                field="auction", value=auction.code, rule="is published or cancelled"
            )
        if run_published_of(auction) is not None:
            auctions.append(auction)
    auctions_verify(auctions)
    runs = []
    for auction in auctions:
        with _settled(auction):
            settlement_run_execute(auction_id=auction.id, kind=RunKind.FINAL)
        runs += runs_in_force(auction=auction, kind=RunKind.FINAL)
    return runs


def auctions_verify(auctions: Sequence[Auction]) -> None:
    """Look at the final readings of auctions once more, all together.

    What was looked at before is corrected by what became known since; the rest reads its history
    once for all of them. What awarded nothing owes what was published.
    """
    known = verifications_final(auction_ids=[auction.id for auction in auctions])
    first = [auction for auction in auctions if auction.id not in known]
    source = source_of_auctions(first, as_of=market_now()) if len(first) > 1 else None
    for auction in first:
        with _settled(auction):
            try:
                verification_execute(
                    auction_id=auction.id, stage=VerificationStage.FINAL, source=source
                )
            except NothingPublished:
                nothing_verified(auction=auction)
    again = [auction for auction in auctions if auction.id in known]
    if again:
        with _settled(again[0]):
            verifications_correct(auctions=again, cause_kind=CorrectionCause.READING)


@contextmanager
def _settled(auction: Auction) -> Iterator[None]:
    """Say of which auction it is that something can't be settled yet."""
    try:
        yield
    except Refused as reason:
        raise AuctionNotSettled(
            field="auction", value=auction.code, rule=f"is settled ({reason})"
        ) from reason


def _posted(period: SettlementPeriod) -> dict[tuple[str, str], int]:
    """Return what the latest close of the period brought the ledger to."""
    number = _next_close_number(period) - 1
    rows = SettlementItem.objects.filter(period=period, close_number=number)
    return {(str(row.account_id), row.item): row.amount_jpy for row in rows}


def _next_close_number(period: SettlementPeriod) -> int:
    latest = SettlementItem.objects.filter(period=period).order_by("-close_number").first()
    return 1 if latest is None else latest.close_number + 1


def items_post(period: SettlementPeriod, number: int, close: Close) -> None:
    """Write what one close found, and the transfers that it makes."""
    drafts = {
        (posting.account, posting.item): TransferDraft(
            key=f"settlement:{period.label}:{number}:{posting.account}:{posting.item}",
            debit_id=int(posting.debit),
            credit_id=int(posting.credit),
            amount_jpy=posting.amount_jpy,
            code=posting.item,
            period=period.label,
            cause_kind=CAUSE_KIND,
            cause_id=f"{period.id}/{number}/{posting.account}/{posting.item}",
            detail={"close": number},
        )
        for posting in close.postings
    }
    transfers_post(transfers=list(drafts.values()))
    SettlementItem.objects.bulk_create(
        SettlementItem(
            period=period,
            close_number=number,
            account_id=int(item.account),
            item=item.item,
            total_exact_jpy=item.total_exact_jpy,
            amount_jpy=item.amount_jpy,
            posted_before_jpy=item.posted_jpy,
            transfer_id=drafts[key].id if (key := (item.account, item.item)) in drafts else None,
        )
        for item in close.items
    )


def _mark_settled(runs: list[SettlementRun]) -> None:
    """Move published auctions on; the trigger lets them move this way only."""
    Auction.objects.filter(
        id__in={run.auction_id for run in runs},
        state__in=[AuctionState.PUBLISHED, AuctionState.PUBLISHED_BY_FALLBACK],
    ).update(state=AuctionState.SETTLED)
