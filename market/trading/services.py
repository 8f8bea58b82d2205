"""Auctions: scheduling, opening, closing the gate, cancelling."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import Conflict, Refused
from accounts.core.numbers import name_of, zoned
from accounts.fields.checking import text_checked
from accounts.jobs.services import Claim, job_create, job_finish
from market.core.timegrid import day_start_at
from market.registry.models import GridModel
from market.registry.selectors import ruleset_on
from market.trading.gates import AUCTION_LOCK_CLASS, gate_shut
from market.trading.models import Auction, AuctionState

CODE = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
CODE_LENGTH_MAX = 40
NAME_LENGTH_MAX = 80


@transaction.atomic
def auction_schedule(
    *,
    code: str,
    name: str,
    delivery_on: date,
    opens_at: datetime,
    gate_closure_at: datetime,
    grid_model: GridModel,
) -> Auction:
    """Announce an auction; opening and closing are jobs due by the market clock.

    Raises
    ------
    Conflict
        If the code is taken.
    Refused
        If times lack an offset or are out of order.
    """
    if CODE.fullmatch(name_of(code, field="code", length_max=CODE_LENGTH_MAX)) is None:
        rule = "1 to 40 letters, digits, dashes and underscores"
        raise Refused(field="code", value=code, rule=rule)
    text_checked(name, field="name", length_max=NAME_LENGTH_MAX)
    opens_at = zoned(opens_at, field="opens_at")
    gate_closure_at = zoned(gate_closure_at, field="gate_closure_at")
    delivery_start = day_start_at(delivery_on)
    if not opens_at < gate_closure_at <= delivery_start:
        raise Refused(
            field="gate_closure_at",
            value=gate_closure_at,
            rule="after opens_at and not after the delivery day begins",
        )
    with connection.cursor() as cursor:
        # Of two with one code the second waits here, and then sees the first.
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [AUCTION_LOCK_CLASS, code])
        if Auction.objects.filter(code=code).exists():
            raise Conflict(field="code", value=code, rule="already used")
        cursor.execute("SELECT nextval('trading_gate_number')")
        gate_number = cursor.fetchone()[0]
    auction = Auction.objects.create(
        code=code,
        name=name,
        gate_number=gate_number,
        delivery_on=delivery_on,
        delivery_start=delivery_start,
        opens_at=opens_at,
        gate_closure_at=gate_closure_at,
        ruleset=ruleset_on(delivery_on),
        grid_model=grid_model,
    )
    key = str(auction.id)
    job_create(kind="market.trading.auction_open", key=key, due_at=opens_at)
    job_create(kind="market.trading.gate_close", key=key, due_at=gate_closure_at)
    entry_append(action="market.auction.scheduled", subject=auction, detail={"code": code})
    return auction


@transaction.atomic
def auction_open(*, claim: Claim) -> None:
    """Open the auction the claim is about."""
    changed = Auction.objects.filter(id=UUID(claim.key), state=AuctionState.SCHEDULED).update(
        state=AuctionState.OPEN
    )
    if changed:
        entry_append(action="market.auction.opened", subject=f"trading.auction:{claim.key}")
        job_create(kind="market.trading.standing_bids_renew", key=claim.key)
    job_finish(claim=claim)


@transaction.atomic
def gate_close(*, claim: Claim) -> None:
    """Close the gate and put the clearing on the list, in one transaction."""
    auction_id = UUID(claim.key)
    moment = gate_shut(auction_id)
    if moment is not None:
        auction_closed(auction_id, moment)
    job_finish(claim=claim)


def auction_closed(
    auction_id: UUID, moment: datetime, *, detail: Mapping[str, Any] | None = None
) -> None:
    """Put on the list what comes after a gate, in the transaction that shut it.

    Parameters
    ----------
    moment
        When it was shut.
    detail
        More for the audit trail.
    """
    key = str(auction_id)
    entry_append(
        action="market.auction.closed",
        subject=f"trading.auction:{key}",
        detail={"closed_at": moment.isoformat(), **(detail or {})},
    )
    job_create(kind="market.trading.book_root", key=key)
    job_create(kind="market.clearing.run_execute", key=key, attempts_max=4)
    auction = Auction.objects.select_related("ruleset").get(id=auction_id)
    minutes = auction.ruleset.rules["publication"]["deadline_min"]
    job_create(
        kind="market.clearing.deadline",
        key=key,
        due_at=auction.shut_at + timedelta(minutes=minutes),
    )


@transaction.atomic
def auction_cancel(*, auction_id: UUID, reason: str) -> bool:
    """Cancel before publication; returns whether this call did it."""
    before = (
        AuctionState.SCHEDULED,
        AuctionState.OPEN,
        AuctionState.CLOSED,
        AuctionState.CLEARING,
    )
    changed = Auction.objects.filter(id=auction_id, state__in=before).update(
        state=AuctionState.CANCELLED, state_reason=reason[:200]
    )
    if changed:
        entry_append(
            action="market.auction.cancelled",
            subject=f"trading.auction:{auction_id}",
            detail={"reason": reason},
        )
    return bool(changed)
