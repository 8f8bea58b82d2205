"""Links between a bidder's blocks: parents and groups, known before the gate from envelopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accounts.parties.models import Organisation
from market.core.offers.blocks import broken_links
from market.trading.bid_checks import Draft
from market.trading.contents import InvalidBid
from market.trading.models import Auction, Bid, BidForm, BidState

Link = tuple[str | None, str | None]  # parent, exclusive group


def refuse_broken_links(
    auction: Auction,
    organisation: Organisation,
    drafts: Sequence[Draft],
    current: Mapping[str, Bid],
) -> None:
    """Refuse blocks whose parent is no block of the bidder's book, or that lead back to themselves.

    A basket may bring parent and child, and may break a link by replacing the parent.
    """
    replaced = {
        draft.client_bid_id
        for draft in drafts
        if draft.client_bid_id in current and current[draft.client_bid_id].form == BidForm.BLOCK
    }
    if not replaced and not any(draft.form == BidForm.BLOCK for draft in drafts):
        return
    given = {draft.client_bid_id for draft in drafts}
    links = {
        name: link
        for name, link in _links_in_book(auction, organisation).items()
        if name not in given
    }
    links |= {
        draft.client_bid_id: (draft.content.get("parent"), draft.content.get("exclusive_group"))
        for draft in drafts
        if draft.form == BidForm.BLOCK
    }
    broken = broken_links(
        [
            {"id": name, "form": "BLOCK", "parent": parent, "exclusive_group": group}
            for name, (parent, group) in links.items()
        ]
    )
    for i, draft in enumerate(drafts):
        if draft.client_bid_id in broken:
            raise InvalidBid(
                field=f"bids[{i}].parent",
                value=draft.content.get("parent"),
                rule=broken[draft.client_bid_id],
            )
    for name in sorted(broken):
        raise InvalidBid(
            field="bids", value=name, rule=f"a block of the book would be left: {broken[name]}"
        )


def refuse_orphans(auction: Auction, organisation: Organisation, client_bid_id: str) -> None:
    """Refuse to take a parent out of the book while its child is in it."""
    for name, (parent, _) in sorted(_links_in_book(auction, organisation).items()):
        if parent == client_bid_id:
            raise InvalidBid(
                field="client_bid_id",
                value=client_bid_id,
                rule=f"no parent of a block in the book: withdraw {name} first",
            )


def _links_in_book(auction: Auction, organisation: Organisation) -> dict[str, Link]:
    rows = Bid.objects.filter(
        auction=auction, organisation=organisation, state=BidState.SUBMITTED, form=BidForm.BLOCK
    ).values_list("client_bid_id", "parent_client_bid_id", "exclusive_group")
    return {name: (parent or None, group or None) for name, parent, group in rows}
