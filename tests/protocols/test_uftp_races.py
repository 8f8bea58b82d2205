"""UFTP: what happens at once, in the wrong order or at the edge of time: one thing wins, and whole.

The worst there can be is an order that was accepted for awards that were let go.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from accounts.clock.services import clock_set
from accounts.core.errors import Refused
from accounts.jobs.services import Claim, job_claim_next
from aggregator.dispatch import services as dispatch
from aggregator.dispatch.models import InstructionState
from aggregator.protocols.uftp import messages, offering, requesting, services
from aggregator.protocols.uftp.messages import FlexOffer, FlexOrderResponse, RequestIsp
from aggregator.protocols.uftp.models import FlexOffer as Offer
from aggregator.protocols.uftp.models import FlexOrder, FlexRequest, InboundMessage, OfferState
from market.trading.models import Auction, Need, NeedState
from tests import cast
from tests.protocols.test_uftp_market import EVENING_UP, NOON, PUBLISHED, Found, Linked
from tests.uftping import Dso, work

pytestmark = pytest.mark.django_db


def reason_of(dso: Dso, message: messages.Payload) -> tuple[str, str]:
    said = dso.said(message)
    return said.result, said.reason.split(" (")[0]


def test_the_rest_of_a_link_cannot_be_ordered_when_one_was_let_go() -> None:
    linked = Linked()
    mine, theirs = linked.offer(), linked.other.heard(messages.FlexOffer)[0]
    offer = Offer.objects.get(message_id=mine.message_id)
    offering.offer_revoke(offer_id=offer.id, reason="the site is on fire")
    for side, of in ((linked.dso, mine), (linked.other, theirs)):
        (told,) = side.heard(messages.FlexOfferRevocation)
        assert told.flex_offer_message_id == of.message_id
    assert reason_of(linked.other, linked.other.order(theirs)) == (
        "Rejected", "Reference message revoked",
    )  # fmt: skip
    assert not FlexOrder.objects.exists()
    assert {linked.states()[name] for name in EVENING_UP} == {InstructionState.CANCELLED}


def test_an_order_of_a_cancelled_result_is_rejected_before_the_offers_are_taken_back() -> None:
    found = Found()
    Auction.objects.filter(id=found.day.auction.id).update(state="CANCELLED")
    assert reason_of(found.dso, found.dso.order(found.offer())) == (
        "Rejected", "Reference message revoked",
    )  # fmt: skip
    assert not FlexOrder.objects.exists()


def test_an_order_of_what_the_dispatch_let_go_by_itself_is_rejected() -> None:
    found = Found()
    order = found.dso.order(found.offer())
    assert found.dso.say(order) == 200
    # nobody decides, and nobody ends the offer, until the dispatch must
    clock_set(market_at=PUBLISHED + timedelta(hours=26), speed_ratio=Decimal(0))
    work(dispatch.RELEASE_KIND)
    assert found.states()["inzai-defer"] == InstructionState.CANCELLED
    work(services.DECIDE_KIND)
    said = InboundMessage.objects.get(message_id=order.message_id)
    assert (said.result, said.reason.split(" (")[0]) == ("Rejected", "Reference message expired")


@pytest.mark.parametrize("ends", ["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59+00:00"])
def test_a_request_until_the_end_of_time_holds_as_long_as_the_day(ends: str) -> None:
    clock_set(market_at=NOON, speed_ratio=Decimal(0))
    day = cast.open_day()
    dso = Dso(day.places.people.grid_t)
    request = dso.request(expiration_date_time=datetime.fromisoformat(ends))
    assert reason_of(dso, request) == ("Accepted", "")
    assert FlexRequest.objects.get().expires_at == day.auction.delivery_start + timedelta(days=1)
    assert reason_of(dso, dso.request(revision=2)) == ("Accepted", "")


# --- at once ------------------------------------------------------------------------------------


def at_once(*acts: Callable[[], Any]) -> list[Exception]:
    """Do things in threads of their own that begin together; return what was raised."""
    begin, raised = threading.Barrier(len(acts)), []

    def do(act: Callable[[], Any]) -> None:
        begin.wait()
        try:
            act()
        except Exception as error:  # noqa: BLE001 - told to the test
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=do, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return raised


def claimed(kind: str) -> Claim:
    claim = job_claim_next(kind=kind)
    assert claim is not None
    return claim


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["decide", "expire", "revoke"])
def test_of_order_expiry_and_revocation_at_once_one_wins_and_whole(first: str) -> None:
    found = Found()
    order = found.dso.order(found.offer())
    assert found.dso.say(order) == 200
    # it came in time, and lies there until nobody waits for it any more
    clock_set(market_at=PUBLISHED + timedelta(hours=1, minutes=10), speed_ratio=Decimal(0))
    offer = Offer.objects.get()
    decide, expire = claimed(services.DECIDE_KIND), claimed(offering.EXPIRE_KIND)
    acts = {
        "decide": lambda: services.message_decide(claim=decide),
        "expire": lambda: offering.offers_expire(claim=expire),
        "revoke": lambda: offering.offer_revoke(offer_id=offer.id, reason="on fire"),
    }
    # the one that is to be first in the queue for the offer; who wins is not said by that
    acts = {first: acts.pop(first), **acts}
    raised = at_once(*acts.values())

    offer.refresh_from_db()
    said = InboundMessage.objects.get(message_id=order.message_id)
    states = {found.states()[name] for name in EVENING_UP}
    assert {type(error) for error in raised} <= {Refused}  # the desk came too late
    assert (len(raised), offer.state, said.result, said.reason, states) in (
        (1, OfferState.ORDERED, "Accepted", "", {InstructionState.PLANNED}),
        (1, OfferState.EXPIRED, "Rejected", "Reference message expired",
         {InstructionState.CANCELLED}),
        (0, OfferState.REVOKED, "Rejected", "Reference message revoked",
         {InstructionState.CANCELLED}),
    )  # fmt: skip
    assert FlexOrder.objects.count() == (offer.state == OfferState.ORDERED)
    assert len(found.dso.heard(FlexOrderResponse)) == 1


@pytest.mark.django_db(transaction=True)
def test_orders_of_one_link_at_once_do_not_wait_for_each_other() -> None:
    linked = Linked()
    sides = [(linked.dso, linked.offer()), (linked.other, linked.other.heard(FlexOffer)[0])]
    for side, offer in sides:
        assert side.say(side.order(offer)) == 200
    claims = [claimed(services.DECIDE_KIND) for _ in sides]
    assert at_once(*(lambda c=claim: services.message_decide(claim=c) for claim in claims)) == []
    for side, _ in sides:
        (answer,) = side.heard(FlexOrderResponse)
        assert answer.result == "Accepted"
    assert {linked.states()[name] for name in EVENING_UP} == {InstructionState.PLANNED}


@pytest.mark.django_db(transaction=True)
def test_of_two_revisions_at_once_the_higher_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_set(market_at=NOON, speed_ratio=Decimal(0))
    dso = Dso(cast.open_day().places.people.grid_t)
    for revision, power in ((1, -1_000_000), (2, -2_000_000)):
        isps = (RequestIsp(min_power=power, max_power=0, start=35, disposition="Requested"),)
        assert dso.say(dso.request(revision=revision, isps=isps)) == 200
    lower, higher = claimed(services.DECIDE_KIND), claimed(services.DECIDE_KIND)
    publish, looked = requesting._publish, threading.Event()

    def slowly(request: FlexRequest, *rest: Any) -> None:
        if request.revision == 1:
            looked.set()
            time.sleep(0.5)  # while the higher one is decided, if nothing holds it
        publish(request, *rest)

    monkeypatch.setattr(requesting, "_publish", slowly)

    def after() -> None:
        assert looked.wait(timeout=10)
        services.message_decide(claim=higher)

    assert at_once(lambda: services.message_decide(claim=lower), after) == []
    need = Need.objects.get(is_by_order=True, state=NeedState.PUBLISHED)
    assert need.quantity_kw[34] == 2_000
    assert FlexRequest.objects.count() == 2
