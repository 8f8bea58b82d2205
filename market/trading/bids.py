"""Submit and withdraw bids: all or nothing, exact, and fast enough for the last minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound
from accounts.core.numbers import name_of
from accounts.parties.models import Organisation
from market.trading.baskets import Basket, Receipt
from market.trading.bid_checks import refuse_unsellable
from market.trading.contents import InvalidBid
from market.trading.drafts import CLIENT_ID_LENGTH_MAX, drafts_of
from market.trading.gates import Expects, gate_enter
from market.trading.links import refuse_broken_links, refuse_orphans
from market.trading.models import Auction, Bid, BidForm, BidState

BIDS_MAX = 5_000
BOOK_MAX = 20_000  # bids of one organisation in one auction
BOOK_SLACK = 100
BOOKS_KNOWN_MAX = 10_000
BID_NAMES = [item.attname for item in Bid._meta.concrete_fields]  # noqa: SLF001 - Django's documented way
CURRENT = f"""
SELECT {", ".join(BID_NAMES)}
FROM trading_bid WHERE organisation_id = %s AND client_bid_id = ANY(%s)
ORDER BY client_bid_id, version FOR UPDATE
"""  # noqa: S608 - names of our own columns, which are those of the fields
# Per auction and bidder: bids held when last counted with those let in since, and the latter.
_held: dict[tuple[UUID, UUID], tuple[int, int]] = {}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What came of one basket: a receipt of each bid, and the signed one of all that is new.

    `signed` is None if nothing was new; the receipts then name the baskets that came before, and
    :func:`market.trading.baskets.receipt_of` returns theirs.
    """

    receipts: list[Receipt]
    signed: dict[str, Any] | None


def basket_submit(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    bids: Sequence[Mapping[str, Any]],
    expects: Expects | None = None,
    is_whole: bool = False,
) -> Submission:
    """Put bids into the book, each as a first version or superseding the one before.

    Parameters
    ----------
    auction_id
        Of the auction; a text is its code.
    bids
        Each with ``client_bid_id``, ``form``, ``mechanism``, the code of its ``resource``
        (``portfolio`` for PORTFOLIO, ``place`` for COMPUTE_REQUEST), optionally
        ``workload_class`` (kind), and the fields of its form as in docs/snapshot.md with
        exact numbers (``int``, ``Decimal`` or plain strings). ``parent`` of a block is the
        client id of another block of the bidder.

    expects
        Called for each bid with its latest version, or None, which nobody changes meanwhile; what
        it raises stops the submission.
    is_whole
        Whether the caller's transaction, if there is one, is given up with this call: it then
        needs no place to come back to.

    Returns
    -------
    Submission
        Receipts in the order of `bids`, and the signed one of the basket. An offer equal to the
        current version is not stored again: its receipt has ``is_new=False``, so a retry is
        harmless.

    Raises
    ------
    GateClosed
        At or after the gate.
    InvalidBid, NotFound
        Naming the path (``bids[3].curves[0]…``), the value and the rule; none is stored.
    RowsRefused
        Of several bids, each as above.
    BookKeyMissing
        Before the first worker has ever started: there is no key to seal to.
    """
    if not isinstance(bids, list | tuple) or not 1 <= len(bids) <= BIDS_MAX:
        raise InvalidBid(field="bids", value=bids, rule=f"a list of 1 to {BIDS_MAX}")
    with transaction.atomic(savepoint=not is_whole):
        return _submitted(auction_id, organisation, bids, expects)


def _submitted(
    auction_id: UUID | str,
    organisation: Organisation,
    bids: Sequence[Mapping[str, Any]],
    expects: Expects | None,
) -> Submission:
    # Reading the basket needs no lock: the gate is held for the writing only.
    drafts = drafts_of(organisation, bids)
    auction, moment = gate_enter(auction_id, bidder_id=organisation.id)
    refuse_unsellable(auction, organisation, drafts)
    refuse_overfull(auction, organisation, len(drafts))
    current = _current(organisation, [draft.client_bid_id for draft in drafts])
    if expects is not None:
        for draft in drafts:
            expects(current.get(draft.client_bid_id))
    refuse_broken_links(auction, organisation, drafts, current)
    basket = Basket(auction=auction, organisation=organisation, moment=moment)
    for i, draft in enumerate(drafts):
        basket.put(draft, current.get(draft.client_bid_id), f"bids[{i}]")
    signed = basket.store()
    return Submission(receipts=basket.receipts, signed=signed)


def _current(organisation: Organisation, names: Sequence[str]) -> dict[str, Bid]:
    """Return the latest versions of a bidder's bids by client id, locked."""
    with connection.cursor() as cursor:
        # every bid passes here: as text, this costs a fraction of what the ORM takes to write it
        cursor.execute(CURRENT, [organisation.id, list(names)])
        return {
            bid.client_bid_id: bid
            for bid in (Bid.from_db(connection.alias, BID_NAMES, row) for row in cursor)
        }


def bids_submit(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    bids: Sequence[Mapping[str, Any]],
    expects: Expects | None = None,
) -> list[Receipt]:
    """Submit a basket for its receipts bid by bid; see :func:`basket_submit`."""
    return basket_submit(
        auction_id=auction_id, organisation=organisation, bids=bids, expects=expects
    ).receipts


def bid_submit(
    *, auction_id: UUID | str, organisation: Organisation, bid: Mapping[str, Any]
) -> Receipt:
    """Submit one bid; see :func:`bids_submit`."""
    return bids_submit(auction_id=auction_id, organisation=organisation, bids=[bid])[0]


@transaction.atomic
def bid_withdraw(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    client_bid_id: str,
    expects: Expects | None = None,
) -> None:
    """Take a bid out of the book before the gate; `expects` as of :func:`bids_submit`.

    Raises
    ------
    GateClosed
        At or after the gate: the bid stays in the book.
    NotFound
        If the organisation has no such bid in the book.
    """
    name_of(client_bid_id, field="client_bid_id", length_max=CLIENT_ID_LENGTH_MAX)
    auction, _ = gate_enter(auction_id, bidder_id=organisation.id)
    bid = (
        Bid.objects.select_for_update()
        .filter(
            auction=auction,
            organisation=organisation,
            client_bid_id=client_bid_id,
            state=BidState.SUBMITTED,
        )
        .first()
    )
    if bid is None:
        raise NotFound(field="client_bid_id", value=client_bid_id, rule="a bid in the book")
    if expects is not None:
        expects(bid)
    if bid.form == BidForm.BLOCK:
        refuse_orphans(auction, organisation, client_bid_id)
    Bid.objects.filter(id=bid.id).update(state=BidState.WITHDRAWN)
    entry_append(action="market.bid.withdrawn", subject=bid, organisation_id=organisation.id)


def refuse_overfull(auction: Auction, organisation: Organisation, count: int) -> None:
    """Refuse what would make a bidder's book too large.

    Counting a large book for each single bid would cost more than the bid. So a process counts
    anew once it has let in :data:`BOOK_SLACK` more, and always near the limit: several processes
    together may let in that many each beyond it.
    """
    key = (auction.id, organisation.id)
    held, since = _held.get(key, (BOOK_MAX, 0))
    if since + count > BOOK_SLACK or held + count > BOOK_MAX:
        held, since = _held_now(auction, organisation), 0
        if held + count > BOOK_MAX:
            raise InvalidBid(
                field="bids", value=held + count, rule=f"at most {BOOK_MAX} bids in one auction"
            )
    if len(_held) >= BOOKS_KNOWN_MAX:
        _held.clear()
    _held[key] = (held + count, since + count)


def _held_now(auction: Auction, organisation: Organisation) -> int:
    return Bid.objects.filter(
        auction=auction, organisation=organisation, state=BidState.SUBMITTED
    ).count()
