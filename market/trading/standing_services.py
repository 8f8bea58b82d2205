"""Give a bid once; it is renewed when a gate opens. What goes wrong at a gate is said there."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from accounts.audit.services import entry_append, subject_of
from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import name_of
from accounts.fields.checking import date_checked
from accounts.jobs.services import Claim, job_create, job_finish
from accounts.parties.models import Organisation
from market.core.offers.standing import Standing, renewed_id, standing_book
from market.trading.baskets import Receipt
from market.trading.bid_checks import SUBJECTS
from market.trading.bids import bids_submit
from market.trading.contents import content_bytes
from market.trading.drafts import drafts_of
from market.trading.gates import Expects, GateClosed, bidder_turn
from market.trading.keys import sealing_keys
from market.trading.models import (
    Auction,
    AuctionState,
    StandingBid,
    StandingRenewal,
    StandingState,
)
from market.trading.sealing import content_mac, mac_key_of, template_seal, templates_open

RENEW_KIND = "market.trading.standing_bids_renew"
CODE_LENGTH_MAX = 20
ALIVE = (StandingState.ACTIVE, StandingState.PAUSED)
REFUSAL_LENGTH_MAX = 300


@dataclass(frozen=True, kw_only=True)
class StandingDays:
    """Delivery days a standing bid is for: from, until (excluded), weekdays 0 = Monday."""

    valid_from_on: date
    valid_to_on: date | None = None
    weekdays: Sequence[int] = (0, 1, 2, 3, 4, 5, 6)


@transaction.atomic
def standing_bid_create(
    *,
    organisation: Organisation,
    code: str,
    bid: Mapping[str, Any],
    days: StandingDays,
    expects: Expects | None = None,
) -> StandingBid:
    """Give a bid that is renewed in every auction of the days named, those open now included.

    Parameters
    ----------
    code
        Chosen by the bidder, at most 20 characters; the bid at a gate is ``code@auction``.
        A code in use is replaced, unless nothing changes.
    bid
        As for :func:`market.trading.bids.bids_submit`, without ``client_bid_id``. ``parent`` of a
        block is the code of another standing bid.
    expects
        Called with the standing bid that has the code, or None, which nobody changes meanwhile;
        what it raises stops the call.

    Raises
    ------
    InvalidBid, NotFound, InvalidStandingBid
        Naming field, value and rule; nothing is stored.
    """
    name_of(code, field="code", length_max=CODE_LENGTH_MAX)
    date_checked(days.valid_from_on, field="valid_from_on")
    bidder_turn(organisation.id)
    template = _template(organisation, code, bid)
    checked = _standing(code, template, days)
    canonical = content_bytes(template)
    mac = content_mac(mac_key_of(organisation.id), f"standing/{code}", canonical)
    weekdays = sorted(checked.weekdays)
    before = (
        StandingBid.objects.select_for_update()
        .filter(organisation=organisation, code=code, state__in=ALIVE)
        .first()
    )
    if expects is not None:
        expects(before)
    if before is not None:
        facts = (before.valid_from_on, before.valid_to_on, before.weekdays)
        is_same = hmac.compare_digest(bytes(before.content_mac), mac)
        if is_same and facts == (days.valid_from_on, days.valid_to_on, weekdays):
            return before
        StandingBid.objects.filter(id=before.id).update(state=StandingState.WITHDRAWN)
    standing = StandingBid.objects.create(
        organisation=organisation,
        code=code,
        valid_from_on=days.valid_from_on,
        valid_to_on=days.valid_to_on,
        weekdays=weekdays,
        content_mac=mac,
    )
    template_seal(standing.id, canonical, sealing_keys(organisation))
    _renew_soon(standing)
    entry_append(
        action="market.standing_bid.created", subject=standing, organisation_id=organisation.id
    )
    return standing


def _renew_soon(standing: StandingBid, *, again: str = "") -> None:
    """Put renewals on the list in auctions that are open now; the rest come as they open.

    `again` tells a later job from one that found the standing bid at rest.
    """
    days = StandingDays(
        valid_from_on=standing.valid_from_on,
        valid_to_on=standing.valid_to_on,
        weekdays=standing.weekdays,
    )
    for auction in Auction.objects.filter(state=AuctionState.OPEN).order_by("id"):
        # what the offer is does not matter for the days
        if _standing(standing.code, {"form": "any"}, days).stands_on(auction.delivery_on):
            job_create(
                kind=RENEW_KIND,
                key=f"{auction.id}/{standing.id}{again}",
                payload={"auction": str(auction.id)},
            )


@transaction.atomic
def standing_bid_withdraw(
    *, organisation: Organisation, code: str, expects: Expects | None = None
) -> None:
    """Renew a standing bid no more; what it became in open auctions stays in their books.

    `expects` as of :func:`standing_bid_create`.

    Raises
    ------
    NotFound
        If the organisation has no such standing bid.
    """
    standing = _alive(organisation, code)
    if expects is not None:
        expects(standing)
    _move(standing, StandingState.WITHDRAWN, "market.standing_bid.withdrawn")


@transaction.atomic
def standing_bid_pause(*, organisation: Organisation, code: str) -> StandingBid:
    """Renew a standing bid no more until it is resumed; one that rests already goes on resting.

    Raises
    ------
    NotFound
        If the organisation has no such standing bid.
    """
    standing = _alive(organisation, code)
    if standing.state == StandingState.ACTIVE:
        _move(standing, StandingState.PAUSED, "market.standing_bid.paused")
    return standing


@transaction.atomic
def standing_bid_resume(*, organisation: Organisation, code: str) -> StandingBid:
    """Renew a standing bid again, in the auctions open now too unless it was renewed there.

    Raises
    ------
    NotFound
        If the organisation has no such standing bid.
    """
    standing = _alive(organisation, code)
    if standing.state == StandingState.PAUSED:
        _move(standing, StandingState.ACTIVE, "market.standing_bid.resumed")
        _renew_soon(standing, again=f"/{uuid4().hex[:8]}")
    return standing


def _alive(organisation: Organisation, code: str) -> StandingBid:
    """Return the standing bid of a code, in its owner's turn, so that nobody moves it meanwhile."""
    bidder_turn(organisation.id)
    standing = (
        StandingBid.objects.select_related("organisation")
        .filter(organisation=organisation, code=code, state__in=ALIVE)
        .first()
    )
    if standing is None:
        raise NotFound(field="code", value=code, rule="a standing bid that is not withdrawn")
    return standing


def _move(standing: StandingBid, state: StandingState, action: str) -> None:
    StandingBid.objects.filter(id=standing.id).update(state=state)
    standing.state = state
    entry_append(action=action, subject=standing, organisation_id=standing.organisation_id)


@transaction.atomic
def standing_bids_renew(*, claim: Claim) -> int:
    """Put standing bids into the book of the auction named; returns how many became bids.

    Each is renewed once per auction, whatever its owner does with the bid afterwards. One that
    the gate refuses is recorded with the reason and holds up no other.
    """
    auction = Auction.objects.get(id=UUID(claim.payload.get("auction", claim.key)))
    count = 0
    rows = (
        StandingBid.objects.filter(state=StandingState.ACTIVE)
        .exclude(renewals__auction=auction)
        .select_related("organisation")
        .order_by("organisation_id", "code")
    )
    for _, of_organisation in groupby(rows, key=lambda row: row.organisation_id):
        count += _renew(auction, list(of_organisation))
    job_finish(claim=claim)
    return count


def _template(organisation: Organisation, code: str, bid: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bid in canonical form, as it is submitted again and again."""
    if "client_bid_id" in bid:
        raise Refused(field="bid", value=bid, rule="a bid without a client_bid_id")
    (draft,) = drafts_of(organisation, [{**bid, "client_bid_id": code}])
    subject = SUBJECTS.get(draft.form, "resource")
    template = {
        "form": draft.form,
        "mechanism": draft.mechanism,
        subject: bid[subject],
        **draft.content,
    }
    if bid.get("workload_class") is not None:
        template["workload_class"] = bid["workload_class"]
    return template


def _standing(code: str, template: Mapping[str, Any], days: StandingDays) -> Standing:
    return Standing(
        template={**template, "id": code},
        valid_from=days.valid_from_on,
        valid_to=days.valid_to_on,
        weekdays=days.weekdays,
    )


def _renew(auction: Auction, rows: Sequence[StandingBid]) -> int:
    """Renew one organisation's standing bids: all at once, or else one by one."""
    opened = templates_open((row.id for row in rows), purpose=subject_of(auction))
    templates = {row_id: json.loads(canonical) for row_id, canonical in opened.items()}
    by_name = {renewed_id(row.code, auction.code): row for row in rows}
    book = standing_book(
        [
            _standing(
                row.code,
                templates[row.id],
                StandingDays(
                    valid_from_on=row.valid_from_on,
                    valid_to_on=row.valid_to_on,
                    weekdays=row.weekdays,
                ),
            )
            for row in rows
        ],
        day=auction.delivery_on,
        auction=auction.code,
    )
    basket = [_bid(renewed) for renewed in book]
    if not basket:
        return 0
    organisation = rows[0].organisation
    try:
        receipts = bids_submit(auction_id=auction.id, organisation=organisation, bids=basket)
    except GateClosed:
        return 0
    except Refused:
        receipts = _one_by_one(auction, organisation, basket, by_name)
    StandingRenewal.objects.bulk_create(
        StandingRenewal(
            standing_bid=by_name[receipt.client_bid_id], auction=auction, bid_id=receipt.bid_id
        )
        for receipt in receipts
    )
    return len(receipts)


def _bid(renewed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: value for name, value in renewed.items() if name != "id"},
        "client_bid_id": renewed["id"],
    }


def _one_by_one(
    auction: Auction,
    organisation: Organisation,
    basket: Sequence[dict[str, Any]],
    by_name: Mapping[str, StandingBid],
) -> list[Receipt]:
    """Submit what the gate takes, parents before their children, and record what it does not."""
    receipts: list[Receipt] = []
    left = list(basket)
    refused: dict[str, Refused] = {}
    while left:
        again = []
        for bid in left:
            try:
                receipts += bids_submit(
                    auction_id=auction.id, organisation=organisation, bids=[bid]
                )
            except Refused as found:
                refused[bid["client_bid_id"]] = found
                again.append(bid)
        if len(again) == len(left):
            break
        left = again
    for bid in left:
        refusal = refused[bid["client_bid_id"]]
        standing = by_name[bid["client_bid_id"]]
        # The value is left out: before the gate it is nobody's but the bidder's.
        reason = f"{refusal.field}: {refusal.rule}"[:REFUSAL_LENGTH_MAX]
        StandingRenewal.objects.create(standing_bid=standing, auction=auction, refusal=reason)
        entry_append(
            action="market.standing_bid.refused",
            subject=standing,
            organisation_id=organisation.id,
            detail={"auction": auction.code, "reason": reason},
        )
    return receipts
