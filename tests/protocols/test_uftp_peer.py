"""A grid operator that we did not write: shapeshifter-uftp buys relief from the platform.

Real web server, workers and clearing; the peer runs in an environment of its own, made from
``peers/shapeshifter.lock``. Six bids of 1,000 kW each at Inzai and at Shiroi are taken; the Inzai
line gets 2/3 of the one and 1/3 of the other: 6,000 kW, at the cap of 180. Two needs ask for it in
one auction and share: the peer's of 12,000 kW, and one of 12,000 (14,000 at t = 36) that the grid
operator published at another door. So the peer gets 3,000 kW, and 2,769.2 at t = 36.
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
    FlexOrder,
    OrderSettlement,
    Participant,
    SentMessage,
)
from aggregator.settlement.models import Dispute, SettlementRun
from market.trading.bids import bids_submit
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
