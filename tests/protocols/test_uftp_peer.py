"""A grid operator that we did not write: shapeshifter-uftp buys relief from the platform.

Real web server, workers and clearing; the peer runs in an environment of its own, made from
``peers/shapeshifter.lock``. Six bids of 1,000 kW each at Inzai and at Shiroi are taken; the Inzai
line gets 2/3 of the one and 1/3 of the other: 6,000 kW, at the cap of 180. Two needs ask for it in
one auction and share: the peer's of 12,000 kW, and one of 12,000 (14,000 at t = 36) that the grid
operator published at another door. So the peer gets 3,000 kW, and 2,769.2 at t = 36.

On another day it asks for three congestion points at once, each at its own time of the day. One
bid of 3,000 kW at Inzai is there for each, taken whole and never enough, so all is at the cap:
2/3 of it on the Inzai line (2,000 kW), 1/3 on each of the others (1,000 kW).
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from accounts.clock.services import clock_set
from accounts.jobs.services import job_create
from aggregator.core.settlement import Item
from aggregator.dispatch.confirming import NOT_ORDERED
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.services import instruction_acknowledge
from aggregator.messages.models import ProtocolMessage
from aggregator.metering.models import Stage
from aggregator.metering.services import ReadingRow, meter_register, readings_ingest
from aggregator.ops import bootstrap
from aggregator.protocols.uftp.keys import own_domain, own_public_key, participant_key_rotate
from aggregator.protocols.uftp.models import (
    CongestionAddress,
    ConnectionAddress,
    FlexOffer,
    FlexOrder,
    OfferState,
    OrderSettlement,
    Participant,
    RequestedNeed,
    SentMessage,
)
from aggregator.protocols.uftp.offering import offer_revoke
from aggregator.settlement.models import Dispute, SettlementLine, SettlementRun
from market.trading.bids import bids_submit
from market.trading.models import Direction, Need, NeedKind
from tests import cast, settled_day
from tests.architecture.repository import ROOT
from tests.faults.market import offers, wait_for
from tests.uftping import ADDRESS, CONTRACT, DOMAIN, public

pytestmark = pytest.mark.django_db(transaction=True)
HERE = Path(__file__).parent / "peers"
LOOSE = {"OUTBOX_CALLS_THIS_MACHINE": "true"}
USUAL_KWH = Decimal(10_000)
EAN = "E1234567890123456"


@pytest.fixture(scope="session")
def peer_python() -> Path:
    """Return the peer's own interpreter, or skip by name where its packages cannot be had."""
    home = ROOT / ".wattbit" / "peers" / "shapeshifter"
    try:
        return bootstrap.lock_environment(root=ROOT, home=home, lock=HERE / "shapeshifter.lock")
    except bootstrap.EnvironmentNotMade as failure:
        pytest.skip(f"shapeshifter-uftp did not run: {str(failure).splitlines()[0]}")


class Peer:
    """The other program: told what to do, and what it hears is waited for."""

    def __init__(self, python: Path, given: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [str(python), str(HERE / "shapeshifter_dso.py"), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.heard: list[dict[str, Any]] = []
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # its web server talks there, too
                self.lines.put(line)

    def do(self, what: str, **facts: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **facts}) + "\n")
        self.process.stdin.flush()

    def hears(self, kind: str, *, number: int = 1, seconds: float = 60) -> dict[str, Any]:
        """Wait until it has heard a message of this kind so often; return that one."""

        def so() -> bool:
            with contextlib.suppress(queue.Empty):
                while True:
                    self.heard.append(json.loads(self.lines.get_nowait()))
            failed = [one for one in self.heard if one["heard"] == "failed"]
            assert not failed, failed
            return len([one for one in self.heard if one["heard"] == kind]) >= number

        wait_for(f"the peer hears {kind} for time {number}", so, seconds=seconds)
        return [one for one in self.heard if one["heard"] == kind][number - 1]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    started: list[Peer] = []
    yield started
    for peer in started:
        peer.stop()


def market() -> cast.MarketDay:
    """Make the triangle an hour before the gate, with an area shortage, bids and meters."""
    where = settled_day.settled_places()
    auction = cast.auction(where)
    cast.base_flows(where, auction)
    needs = cast.needs(where, auction)
    at(auction.gate_closure_at - timedelta(hours=1))
    for organisation, resource in (
        (where.people.inzai_dc, "inzai-dc-1-load"),
        (where.people.shiroi_dc, "shiroi-dc-1-load"),
    ):
        bids_submit(
            auction_id=auction.id,
            organisation=organisation,
            bids=offers(organisation.code, resource, 6),
        )
    job_create(
        kind="market.trading.gate_close", key=str(auction.id), due_at=auction.gate_closure_at
    )
    return cast.MarketDay(places=where, auction=auction, needs=needs)


def at(moment: datetime) -> None:
    clock_set(market_at=moment, speed_ratio=Decimal(1))


def partner(day: cast.MarketDay, endpoint: str, key: SigningKey) -> Participant:
    participant = Participant.objects.create(
        domain=DOMAIN, organisation=day.places.people.grid_t, endpoint=endpoint
    )
    participant_key_rotate(participant=participant, public_key=public(key))
    address = CongestionAddress.objects.create(
        participant=participant,
        address=ADDRESS,
        element="inzai-line",
        cap_jpy_per_kwh=Decimal(180),
        contract_id=CONTRACT,
    )
    meter = meter_register(point_number=f"03{1:020d}", resource=day.places.resources["inzai-load"])
    meter_register(point_number=f"03{2:020d}", resource=day.places.resources["shiroi-load"])
    ConnectionAddress.objects.create(
        congestion_address=address, meter=meter, ean=EAN, started_on=date(2026, 4, 1)
    )
    return participant


def metered(day: cast.MarketDay, *, of: tuple[int, ...] = (1, 2), less_kwh: int = 3_000) -> None:
    """Read thirty usual days, and so much less in each half hour of the evening."""
    start = day.auction.delivery_start
    rows = [
        ReadingRow(
            point_number=f"03{number:020d}",
            start_at=start + timedelta(minutes=30 * n),
            energy_kwh=USUAL_KWH - (less_kwh if n in cast.EVENING else 0),
            stage=Stage.FINAL,
        )
        for number in of
        for n in range(-30 * 48, 48)
    ]
    readings_ingest(rows=rows, source="test")


def test_a_shapeshifter_dso_requests_orders_and_settles(
    celery_worker_processes: Any, peer_python: Path, peers: list[Peer], settings: Any
) -> None:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    day = market()
    key, port = SigningKey.generate(), free_port()
    partner(day, f"http://127.0.0.1:{port}/shapeshifter/api/v3/message", key)
    celery_worker_processes.start(concurrency=2, beat=True, env=LOOSE)
    web = celery_worker_processes.stack.start_web()
    peer = Peer(peer_python, given(key, port=port, web=web))
    peers.append(peer)
    peer.hears("ready")

    offer = bought(day, peer)
    carried_out(day)
    settled(day, peer, offer)
    log = ProtocolMessage.objects.filter(protocol="UFTP", peer=DOMAIN)
    assert set(log.filter(direction="IN").values_list("kind", flat=True)) >= {
        "TestMessage", "FlexRequest", "FlexReservationUpdate", "FlexOfferResponse", "FlexOrder",
        "MeteringResponse", "FlexSettlement",
    }  # fmt: skip


def given(key: SigningKey, *, port: int, web: int, **more: Any) -> dict[str, Any]:
    """Return what the peer must know: its key and ours, where it listens and where we do."""
    return {
        "domain": DOMAIN,
        "private_key": base64.b64encode(bytes(key) + bytes(key.verify_key)).decode(),
        "agr_domain": own_domain(),
        "agr_public_key": own_public_key(),
        "agr_endpoint": f"http://127.0.0.1:{web}/shapeshifter/api/v3/message",
        "congestion_point": ADDRESS,
        "port": port,
    } | more


def bought(day: cast.MarketDay, peer: Peer) -> dict[str, Any]:
    """Let the peer ask for relief and order what it is offered; return the offer it heard."""
    peer.do("test")
    peer.hears("TestMessageResponse")
    asked = {
        "period": "2026-11-25",
        "revision": 1,
        "expires_at": "2026-11-25T09:00:00+09:00",
        "min_power": -12_000_000,
        "start": 35,
        "duration": 6,
    }
    peer.do("request", **asked, isp_duration="PT15M")
    assert peer.hears("FlexRequestResponse")["reason"].startswith("ISP duration rejected")
    peer.do("reserve", period="2026-11-25", contract_id=CONTRACT)
    assert peer.hears("FlexReservationUpdateResponse")["result"] == "Accepted"
    peer.do("request", **asked)
    assert peer.hears("FlexRequestResponse", number=2)["result"] == "Accepted"

    at(day.auction.gate_closure_at)
    offer = peer.hears("FlexOffer", seconds=90)
    # (5 · 3,000 + 2,769.2) kW · 0.5 h · 180
    assert Decimal(offer["price"]) == Decimal(1_599_228)
    assert offer["isps"] == [[-3_000_000, 35, 2], [-2_769_200, 37, 1], [-3_000_000, 38, 3]]
    # half of it is not on offer, and was said not to be
    assert Decimal(offer["min_activation_factor"]) == 1
    half = peer.hears("FlexOrderResponse")
    assert (half["result"], half["reason"]) == (
        "Rejected", "ActivationFactor rejected (at least 1.00, not 0.50)",
    )  # fmt: skip
    assert peer.hears("FlexOrderResponse", number=2)["result"] == "Accepted"
    order = FlexOrder.objects.get()
    assert order.order_reference == "ORDER-1"
    assert SentMessage.objects.get(kind="FlexOffer").result == "Accepted"
    return offer


def carried_out(day: cast.MarketDay) -> None:
    """Let both sites do what they are told, and be read."""
    waiting = DispatchInstruction.objects.filter(state=InstructionState.SENT)
    at(day.auction.delivery_start + timedelta(hours=11, minutes=30))
    wait_for("the instructions are sent", lambda: waiting.count() == 12)
    for row in waiting.select_related("organisation"):
        instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    at(day.auction.delivery_start + timedelta(hours=20, minutes=1))
    done = DispatchInstruction.objects.filter(state=InstructionState.FINISHED)
    wait_for("the instructions are carried out", lambda: done.count() == 12)

    at(day.auction.delivery_start + timedelta(days=1, minutes=30))
    metered(day)


def settled(day: cast.MarketDay, peer: Peer, offer: dict[str, Any]) -> None:
    """Let the peer settle as we do, and then otherwise."""
    at(day.auction.delivery_start + timedelta(days=1, hours=2, minutes=1))
    runs = SettlementRun.objects.filter(auction=day.auction)
    wait_for("the day is settled", runs.exists)
    heard = peer.hears("Metering")
    # 48 half hours of 10,000 kWh, less 6 of 3,000
    assert (heard["ean"], Decimal(heard["profiles"]["ImportEnergy"])) == (EAN, Decimal(462_000))

    said = {"period": "2026-11-25", "price": offer["price"], "isps": offer["isps"]}
    peer.do("settle", **said, net="1599228")
    answer = peer.hears("FlexSettlementResponse")
    assert (answer["result"], answer["statuses"]) == ("Accepted", [["ORDER-1", "Accepted", None]])
    assert not Dispute.objects.exists()

    peer.do("settle", **said, net="1500000")
    ((reference, disposition, reason),) = peer.hears("FlexSettlementResponse", number=2)["statuses"]
    assert (reference, disposition) == ("ORDER-1", "Disputed")
    assert reason == "NetSettlement is 1599228 JPY by our metering and settlement, not 1500000"
    dispute = Dispute.objects.get()
    assert dispute.organisation == day.places.people.grid_t
    assert OrderSettlement.objects.get(disposition="Disputed").dispute == dispute


# --- three places on one day: ordered, left alone, taken back -----------------------------------

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
