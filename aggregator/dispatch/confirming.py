"""Confirm or release awards that wait for an order of the buyer they were cleared for.

A confirmed award gets its instruction, as all others got theirs with the result. One that is
released gets it too, cancelled in the same breath: it never reaches the site, what it was to
deliver is excused, and settlement gives the money back to the buyers in the ratio in which they
would have paid. The moment by which it must be decided leaves the site its time to answer.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Min, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Least

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.jobs.services import Claim
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.rules import dispatch_rules
from aggregator.dispatch.services import awards_plan, instructions_move, sweep_renew, sweeps_arrange
from aggregator.dispatch.tentative import Ties, tentative_awards
from market.clearing.models import AwardInterval, ClearingRun, RunState
from market.trading.models import Auction, AuctionState

NOT_ORDERED: Final = "not ordered by its buyer"
LIVE = (AuctionState.PUBLISHED, AuctionState.PUBLISHED_BY_FALLBACK)
# An order that came in time is waited for so long, whatever keeps it from being read.
GRACE = timedelta(minutes=10)
_NOW = RawSQL("market_now()", ())


def confirm_by_at(auction: Auction, *, award_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Return until when each award may be ordered: while its site still has its time to answer."""
    rules = dispatch_rules(auction.ruleset.rules)
    run = ClearingRun.objects.get(auction=auction, state=RunState.PUBLISHED)
    starts = AwardInterval.objects.filter(award_id__in=award_ids, quantity_kw__gt=0)
    found = {}
    for award_id, starts_at in starts.values_list("award_id").annotate(Min("start_at")):
        regular = starts_at - timedelta(hours=rules.respond_before_h)
        published_at = run.published_at or regular
        # published late: half of what is left is the buyer's, half the site's
        middle = published_at + max(timedelta(0), starts_at - published_at) / 2
        found[award_id] = max(regular, min(middle, starts_at))
    return found


@transaction.atomic
def orders_apply(
    *, auction_id: UUID, ordered: Collection[UUID], released: Collection[UUID], cause: str
) -> tuple[int, int]:
    """Plan what is ordered, and release what is not; returns how many of each.

    Parameters
    ----------
    ordered, released
        Needs of the auction, bought by order, that their buyers have ordered or let go. An award
        that waits for several is confirmed when all of them are ordered, and released with the
        first that is let go.
    cause
        What decided it: the key of the sweeps that send what is confirmed.
    """
    auction = _locked(auction_id)
    if auction.state not in LIVE:
        return 0, 0
    ties = _undecided(auction)
    let_go, bought = set(released), set(ordered)
    confirmed = awards_plan(auction, only=[id_ for id_, needs in ties.items() if needs <= bought])
    if confirmed:
        entry_append(
            action="aggregator.awards.confirmed",
            subject=auction,
            detail={"instructions_count": len(confirmed), "cause": cause},
        )
        sweeps_arrange(auction_id=auction.id, key=f"{auction.id}/{cause}"[:100])
    gone = _release(auction, [id_ for id_, needs in ties.items() if needs & let_go], cause)
    return len(confirmed), gone


@transaction.atomic
def awards_release(*, claim: Claim) -> int:
    """Release awards whose time to be ordered is over, whoever was to say so; returns how many."""
    auction = _locked(UUID(claim.payload["auction"]))
    ties = _undecided(auction) if auction.state in LIVE else {}
    limits = confirm_by_at(auction, award_ids=ties.keys()) if ties else {}
    now = market_now()
    over = [id_ for id_, until in limits.items() if until + GRACE <= now]
    count = _release(auction, over, "deadline")
    left = [until + GRACE for id_, until in limits.items() if id_ not in set(over)]
    sweep_renew(claim=claim, due_at=min(left, default=None))
    return count


def _locked(auction_id: UUID) -> Auction:
    # one decision at a time: an order and the deadline may come together
    return (
        Auction.objects.select_for_update(of=("self",), no_key=True)
        .select_related("ruleset")
        .get(id=auction_id)
    )


def _undecided(auction: Auction) -> Ties:
    ties = tentative_awards(auction)
    decided = set(
        DispatchInstruction.objects.filter(award_id__in=ties, version=1).values_list(
            "award_id", flat=True
        )
    )
    return {id_: needs for id_, needs in ties.items() if id_ not in decided}


def _release(auction: Auction, award_ids: Collection[UUID], cause: str) -> int:
    if not award_ids:
        return 0
    planned = awards_plan(auction, only=award_ids)
    moved = instructions_move(
        which=Q(id__in=[row.id for row in planned]),
        before=InstructionState.PLANNED,
        after=InstructionState.CANCELLED,
        action="aggregator.instruction.released",
        reason=NOT_ORDERED,
        # nothing of it is owed, however late this is written down
        finished_at=Least(_NOW, F("starts_at")),
    )
    entry_append(
        action="aggregator.awards.released",
        subject=auction,
        detail={"instructions_count": len(moved), "cause": cause},
    )
    return len(moved)
