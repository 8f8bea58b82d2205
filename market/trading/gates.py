"""The gate: decided by the market clock under a transaction-scoped advisory lock.

Writers share the lock, the closer takes it alone. The moment is read once, after the
lock, and is both the decision and the stamp; so nothing acknowledged before the gate can
be missing from the closed book, and nothing stamped at or after it can be in
(`domain/reliability.md` §1.4 has the measured alternatives).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.clock.recent import Recent
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused, ensure
from market.trading.models import Auction, AuctionState

# First keys of advisory locks, in the order in which they are taken, all before rows; numbers of
# this registry are never reused.
GATE_LOCK_CLASS = 2601
BIDDER_LOCK_CLASS = 2602
CONDITIONS_LOCK_CLASS = 2603
AUCTION_LOCK_CLASS = 2604
BID_LOCK_CLASS = 2606  # 2605 is of `market.trading.keys`


# Called with the row in force, or None, which nobody changes meanwhile; raises if the caller
# has read another.
Expects = Callable[[Any], None]


class GateClosed(Refused):
    """The auction takes nothing any more, or not yet."""


def gate_enter(
    auction_id: UUID | str, *, bidder_id: UUID | None = None
) -> tuple[Auction, datetime]:
    """Enter through an open gate; the returned moment is the stamp of what is written.

    Holds the shared lock until the transaction ends, so do no I/O besides the database.

    Parameters
    ----------
    auction_id
        Of the auction; a text is its code.
    bidder_id
        The organisation whose turn it is: it writes one basket at a time, so that twin requests
        see each other's bids.

    Raises
    ------
    GateClosed
        If the auction is not open or its gate has passed.
    NotFound
        If there is no such auction.
    """
    ensure(connection.in_atomic_block, "the gate is entered inside a transaction")
    auction, moment = _entered(auction_id, bidder_id)
    refuse_closed(auction, moment)
    return auction, moment


def refuse_closed(auction: Auction, moment: datetime) -> None:
    """Refuse what comes at `moment` to an auction that is not open then."""
    if auction.state != AuctionState.OPEN or moment < auction.opens_at:
        raise GateClosed(
            field="auction", value=auction.code, rule=f"not open for bids (state {auction.state})"
        )
    if moment >= auction.gate_closure_at:
        raise GateClosed(
            field="auction",
            value=auction.code,
            rule=f"gate closed at {auction.gate_closure_at.isoformat()}, now {moment.isoformat()}",
        )


def bids_enter(
    code: str, names: Sequence[tuple[UUID, str]]
) -> tuple[Auction, datetime, list[bool]]:
    """Enter the gate for one bid each of several bidders; the caller refuses where it is closed.

    Nobody waits for a bidder's turn here: a bid shares it with other single bids and takes the
    turn of its own name.

    Parameters
    ----------
    code
        Of the auction.
    names
        Bidder and client id of each bid.

    Returns
    -------
    auction, moment
        As of :func:`gate_enter`.
    is_turn
        Of each bid, whether nobody else is at work on it or on all bids of its bidder.

    Raises
    ------
    NotFound
        If there is no such auction.
    """
    ensure(connection.in_atomic_block, "the gate is entered inside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            TURNS + NOW.format(column="code"),
            [
                GATE_LOCK_CLASS,
                code,
                BIDDER_LOCK_CLASS,
                BID_LOCK_CLASS,
                [str(bidder_id) for bidder_id, _ in names],
                [name for _, name in names],
                code,
            ],
        )
        if cursor.fetchone() is None:
            raise NotFound(field="auction", value=code, rule="a known auction")
        cursor.nextset()
        is_turn = [row[0] for row in cursor]
        cursor.nextset()
        return *_read(code, cursor.fetchone()), is_turn


def _auctions(keys: Iterable[UUID | str]) -> dict[UUID | str, Auction]:
    """Return auctions by what they were asked for: id or code."""
    found: dict[UUID | str, Auction] = {}
    for key in keys:
        name = "code" if isinstance(key, str) else "id"
        for auction in Auction.objects.select_related("ruleset").filter(**{name: key}):
            found[key] = auction
    return found


_auctions_recent: Recent[UUID | str, Auction] = Recent(_auctions)
NOW = """
SELECT market_now(), state, state_reason, opens_at, gate_closure_at, closed_at
FROM trading_auction WHERE {column} = %s
"""
# One message, too. What is tried is not waited for: each lock is given at once or not at all.
TURNS = """
SELECT pg_advisory_xact_lock_shared(%s, gate_number::integer) FROM trading_auction WHERE code = %s;
SELECT pg_try_advisory_xact_lock_shared(%s, hashtext(bidder))
       AND pg_try_advisory_xact_lock(%s, hashtext(bidder || '/' || name))
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS asked(bidder, name, n) ORDER BY n;
"""


def _entered(auction_id: UUID | str, bidder_id: UUID | None) -> tuple[Auction, datetime]:
    """Take the locks; return the auction and the moment, read in one statement after them.

    Both statements go in one message; the second sees what was committed while the first waited.
    What does not change once bids come in (rules, network, names) may be a moment old.
    """
    column = "code" if isinstance(auction_id, str) else "id"
    turn = "" if bidder_id is None else ", pg_advisory_xact_lock(%s, hashtext(%s))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pg_advisory_xact_lock_shared(%s, gate_number::integer){turn} "  # noqa: S608
            f"FROM trading_auction WHERE {column} = %s;"  # all inserted parts are ours
            + NOW.format(column=column),
            [
                GATE_LOCK_CLASS,
                *(() if bidder_id is None else (BIDDER_LOCK_CLASS, str(bidder_id))),
                auction_id,
                auction_id,
            ],
        )
        if cursor.fetchone() is None:
            raise NotFound(field="auction", value=auction_id, rule="a known auction")
        cursor.nextset()
        return _read(auction_id, cursor.fetchone())


def _read(auction_id: UUID | str, row: Sequence[Any]) -> tuple[Auction, datetime]:
    """Return an auction with what was just read of it (:data:`NOW`), and the moment."""
    moment, *decisive = row
    auction = copy(_auctions_recent.of([auction_id])[auction_id])
    (
        auction.state,
        auction.state_reason,
        auction.opens_at,
        auction.gate_closure_at,
        auction.closed_at,
    ) = decisive
    return auction, moment


def conditions_enter(auction_id: UUID | str) -> tuple[Auction, datetime]:
    """Enter through an open gate to publish needs or what the grid allows, one at a time.

    Twins then see each other's rows and become revisions in order; otherwise as
    :func:`gate_enter`.
    """
    auction, moment = gate_enter(auction_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [CONDITIONS_LOCK_CLASS, auction.gate_number]
        )
    return auction, moment


def bidder_turn(bidder_id: UUID) -> None:
    """Wait for an organisation's turn, where no gate is entered; see :func:`gate_enter`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [BIDDER_LOCK_CLASS, str(bidder_id)]
        )


def gate_take(auction_id: UUID) -> None:
    """Wait until nobody is in the gate, and let nobody in until the transaction ends."""
    ensure(connection.in_atomic_block, "the gate is taken inside a transaction")
    number = Auction.objects.values_list("gate_number", flat=True).get(id=auction_id)
    with connection.cursor() as cursor:
        # Writers hold the lock for milliseconds, a stalled one until its session times out.
        cursor.execute("SET LOCAL lock_timeout = '10s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [GATE_LOCK_CLASS, number])


def gate_shut(auction_id: UUID, *, is_early: bool = False) -> datetime | None:
    """Take the gate alone and close the auction if its time has come.

    Runs READ COMMITTED: the state is read after the lock was waited for.

    Parameters
    ----------
    is_early
        Whether it closes before its announced moment; the database asks for the approval of a
        second person that was used for it.

    Returns
    -------
    datetime or None
        The moment of closing; None if the auction was not open any more.
    """
    gate_take(auction_id)
    moment = market_now()
    due = Auction.objects.filter(id=auction_id, state=AuctionState.OPEN)
    if not is_early:
        due = due.filter(gate_closure_at__lte=moment)
    changed = due.update(state=AuctionState.CLOSED, closed_at=moment)
    return moment if changed == 1 else None
