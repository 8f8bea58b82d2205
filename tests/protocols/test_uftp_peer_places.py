"""A grid operator that we did not write asks for three congestion points on one day.

It asks for all at once, each at its own time of the day. One bid of 3,000 kW at Inzai is there for
each, taken whole and never enough, so all is at the cap: 2/3 of it on the Inzai line (2,000 kW),
1/3 on each of the others (1,000 kW).
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from accounts.jobs.services import job_create
from aggregator.core.settlement import Item
from aggregator.dispatch.confirming import NOT_ORDERED
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.services import instruction_acknowledge
from aggregator.protocols.uftp.models import (
    CongestionAddress,
    FlexOffer,
    FlexOrder,
    OfferState,
    OrderSettlement,
    RequestedNeed,
    SentMessage,
)
from aggregator.protocols.uftp.offering import offer_revoke
from aggregator.settlement.models import Dispute, SettlementLine, SettlementRun
from market.trading.bids import bids_submit
from market.trading.models import Direction, Need, NeedKind
from tests import cast, settled_day
from tests.faults.market import offers, wait_for
from tests.protocols.test_uftp_peer import (
    LOOSE,
    Peer,
    at,
    free_port,
    given,
    metered,
    partner,
    peer_python,
    peers,
)
from tests.uftping import ADDRESS

__all__ = ("peer_python", "peers")  # fixtures
pytestmark = pytest.mark.django_db(transaction=True)

NIGHT, MIDDAY = range(8, 14), cast.MIDDAY
SHIROI, TIE = "ean.123456789012345679", "ean.123456789012345680"
WINDOWS = {ADDRESS: cast.EVENING, SHIROI: MIDDAY, TIE: NIGHT}
ORDERED_JPY = Decimal(1_080_000)  # 2,000 kW · 6 · 0.5 h · 180


def three_times() -> cast.MarketDay:
    """Make an area short at three times of the day, and a bid at Inzai for each."""
    where = settled_day.settled_places()
    auction = cast.auction(where)
    cast.base_flows(where, auction)
    Need.objects.create(
        auction=auction,
        organisation=where.people.grid_t,
        available_at=auction.opens_at,
        kind=NeedKind.BALANCE,
        code="tokyo-up",
        area=where.area,
        direction=Direction.UP,
        quantity_kw=cast.during([t for window in WINDOWS.values() for t in window], 21_000),
        cap_jpy_per_kwh=cast.half_hours(60),
    )
    at(auction.gate_closure_at - timedelta(hours=1))
    bids = [
        {
            **offers(f"of-{window.start}", "inzai-dc-1-load")[0],
            "curves": [
                {
                    "first_t": window.start,
                    "last_t": window.stop - 1,
                    "steps": [{"quantity_kw": "3000", "ask_jpy_per_kwh": "10"}],
                }
            ],
        }
        for window in WINDOWS.values()
    ]
    bids_submit(auction_id=auction.id, organisation=where.people.inzai_dc, bids=bids)
    job_create(
        kind="market.trading.gate_close", key=str(auction.id), due_at=auction.gate_closure_at
    )
    return cast.MarketDay(places=where, auction=auction)


def test_of_three_places_one_is_ordered_one_left_alone_and_one_taken_back(
    celery_worker_processes: Any, peer_python: Path, peers: list[Peer], settings: Any
) -> None:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    day = three_times()
    key, port = SigningKey.generate(), free_port()
    participant = partner(day, f"http://127.0.0.1:{port}/shapeshifter/api/v3/message", key)
    for address, element in ((SHIROI, "shiroi-line"), (TIE, "tie-line")):
        CongestionAddress.objects.create(
            participant=participant,
            address=address,
            element=element,
            cap_jpy_per_kwh=Decimal(180),
        )
    celery_worker_processes.start(concurrency=2, beat=True, env=LOOSE)
    web = celery_worker_processes.stack.start_web()
    peer = Peer(peer_python, given(key, port=port, web=web, waits=True))
    peers.append(peer)
    peer.hears("ready")

    heard = offered_three(day, peer)
    taken_back(heard[TIE], peer)
    ordered_and_left(day, heard, peer)
    one_carried_out(day)
    disputed(day, heard[ADDRESS], peer)


def offered_three(day: cast.MarketDay, peer: Peer) -> dict[str, dict[str, Any]]:
    """Let the peer ask for all places; return the offers it heard, by place."""
    for number, (address, window) in enumerate(WINDOWS.items(), start=1):
        peer.do(
            "request",
            period="2026-11-25",
            congestion_point=address,
            revision=1,
            expires_at="2026-11-25T00:00:00+09:00",
            min_power=-12_000_000,
            start=window.start + 1,
            duration=len(window),
        )
        assert peer.hears("FlexRequestResponse", number=number)["result"] == "Accepted"
    at(day.auction.gate_closure_at)
    found = [peer.hears("FlexOffer", number=number, seconds=90) for number in (1, 2, 3)]
    heard = {offer["congestion_point"]: offer for offer in found}
    said = {at_: (offer["isps"], Decimal(offer["price"])) for at_, offer in heard.items()}
    assert said == {
        ADDRESS: ([[-2_000_000, 35, 6]], ORDERED_JPY),
        SHIROI: ([[-1_000_000, 21, 6]], Decimal(540_000)),
        TIE: ([[-1_000_000, 9, 6]], Decimal(540_000)),
    }
    # each for itself: none is linked to another
    assert {offer["option_reference"] for offer in found} == {"1"}
    return heard


def taken_back(offer: dict[str, Any], peer: Peer) -> None:
    """Let the desk revoke an offer; the order that comes afterwards is in vain."""
    row = FlexOffer.objects.get(message_id=offer["message_id"])
    offer_revoke(offer_id=row.id, reason="the site is on fire")
    assert peer.hears("FlexOfferRevocation")["of"] == offer["message_id"]
    answered = SentMessage.objects.filter(kind="FlexOfferRevocation", result="Accepted")
    wait_for("the revocation is answered", answered.exists)
    peer.do("order", congestion_point=TIE, reference="ORDER-TIE")
    answer = peer.hears("FlexOrderResponse")
    assert (answer["result"], answer["reason"]) == ("Rejected", "Reference message revoked")


def ordered_and_left(day: cast.MarketDay, heard: dict[str, dict[str, Any]], peer: Peer) -> None:
    """Let the peer order one offer, and another when its time is over."""
    peer.do("order", congestion_point=ADDRESS, reference="ORDER-1")
    assert peer.hears("FlexOrderResponse", number=2)["result"] == "Accepted"
    at(day.auction.gate_closure_at + timedelta(hours=2))
    left = FlexOffer.objects.get(message_id=heard[SHIROI]["message_id"])

    def is_over() -> bool:
        left.refresh_from_db()
        return left.state == OfferState.EXPIRED

    wait_for("the offer that nobody orders ends", is_over)
    peer.do("order", congestion_point=SHIROI, reference="ORDER-2")
    answer = peer.hears("FlexOrderResponse", number=3)
    assert (answer["result"], answer["reason"]) == ("Rejected", "Reference message expired")
    assert FlexOrder.objects.get().order_reference == "ORDER-1"


def one_carried_out(day: cast.MarketDay) -> None:
    """Let Inzai do the one thing that it is told, and be read."""
    sent = DispatchInstruction.objects.filter(state=InstructionState.SENT)
    at(day.auction.delivery_start + timedelta(hours=11, minutes=30))
    wait_for("the instruction is sent", sent.exists)
    (told,) = sent.select_related("organisation")
    instruction_acknowledge(instruction_id=told.id, organisation=told.organisation)
    # midnight's and midday's would have been sent before it
    gone = DispatchInstruction.objects.exclude(id=told.id)
    assert set(gone.values_list("state", "reason", "sent_at")) == {
        (InstructionState.CANCELLED, NOT_ORDERED, None)
    }
    assert gone.count() == 2
    at(day.auction.delivery_start + timedelta(hours=20, minutes=1))
    done = DispatchInstruction.objects.filter(state=InstructionState.FINISHED)
    wait_for("the instruction is carried out", done.exists)
    at(day.auction.delivery_start + timedelta(days=1, minutes=30))
    metered(day, of=(1,), less_kwh=1_500)


def disputed(day: cast.MarketDay, offer: dict[str, Any], peer: Peer) -> None:
    """Settle the day: one order is owed for, and what differs from that is disputed."""
    at(day.auction.delivery_start + timedelta(days=1, hours=2, minutes=1))
    runs = SettlementRun.objects.filter(auction=day.auction)
    wait_for("the day is settled", runs.exists)
    assert owed_jpy() == {ADDRESS: ORDERED_JPY, SHIROI: 0, TIE: 0}

    peer.do(
        "settle",
        period="2026-11-25",
        price=offer["price"],
        isps=offer["isps"],
        net="1080001",
        reference="ORDER-1",
    )
    answer = peer.hears("FlexSettlementResponse")
    assert answer["result"] == "Accepted"
    assert answer["statuses"] == [
        [
            "ORDER-1",
            "Disputed",
            "NetSettlement is 1080000 JPY by our metering and settlement, not 1080001",
        ]
    ]
    dispute = Dispute.objects.get()
    assert (dispute.organisation, dispute.is_held) == (day.places.people.grid_t, True)
    row = OrderSettlement.objects.get()
    assert (row.disposition, row.dispute) == ("Disputed", dispute)


def owed_jpy() -> dict[str, Decimal]:
    """Return what the buyer owes for each place: charged, less what it gets back."""
    owed = dict.fromkeys(WINDOWS, Decimal(0))
    for row in RequestedNeed.objects.select_related("request__congestion_address"):
        for line in SettlementLine.objects.filter(need_id=row.need_id):
            sign = {Item.NEED_CHARGE: 1, Item.SHORTFALL_CREDIT: -1}[line.item]
            owed[row.request.congestion_address.address] += sign * line.amount_exact_jpy
    return owed
