"""UFTP and the market: a request is a need, what is found is offered, an order makes it act.

The published day is :mod:`tests.settled_day`'s: in the evening (t = 34 to 39) three awards relieve
the Inzai line by 12,000 kW at 45 yen, and at t = 36, where 2,000 of 14,000 stay unserved, at 180.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.clock.services import clock_set
from accounts.jobs.services import job_create
from aggregator.dispatch import services as dispatch
from aggregator.dispatch.confirming import NOT_ORDERED
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.tentative import tentative_awards
from aggregator.protocols.uftp import messages, offering
from aggregator.protocols.uftp.messages import (
    FlexOffer,
    FlexOrderResponse,
    Isp,
)
from aggregator.protocols.uftp.models import FlexOffer as Offer
from aggregator.protocols.uftp.models import (
    FlexOrder,
    FlexRequest,
    InboundMessage,
    OfferState,
    RequestedNeed,
    SentMessage,
)
from market.trading.models import Auction, Need
from tests import cast, settled_day
from tests.uftping import DAY, Dso, work

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 3, tzinfo=UTC)  # 12:00 in Japan, two hours before the gate
PUBLISHED = datetime(2026, 11, 24, 6, tzinfo=UTC)
EVENING_UP = {"inzai-battery-up", "inzai-defer", "shiroi-cap"}


# --- offers and orders --------------------------------------------------------------------------


class Found:
    """A published day whose local need came by UFTP, at 15:00 of the day before."""

    def __init__(self) -> None:
        clock_set(market_at=PUBLISHED, speed_ratio=Decimal(0))
        self.day = settled_day.published(settled_day.settled_places(), by_order=("local",))
        self.dso = Dso(self.day.places.people.grid_t)
        self.request = self.dso.request()
        self.row = requested(self.dso, self.day.auction, self.request, self.day.needs["local"])
        follow(self.day.auction)

    def offer(self) -> FlexOffer:
        (found,) = self.dso.heard(FlexOffer)
        assert isinstance(found, FlexOffer)
        return found

    def states(self) -> dict[str, str]:
        """Return the state of each award's instruction; those without one are left out."""
        names = {award.id: name for name, award in self.day.awards.items()}
        return {
            names[row.award_id]: row.state
            for row in DispatchInstruction.objects.filter(version=1).order_by("id")
        }


def requested(dso: Dso, auction: Auction, message: messages.FlexRequest, need: Need) -> FlexRequest:
    """Write down a request as if it had come before the gate."""
    inbound = InboundMessage.objects.create(
        participant=dso.participant,
        sender_domain=dso.domain,
        message_id=message.message_id,
        conversation_id=message.conversation_id,
        kind="FlexRequest",
        content="",
        content_sha256="0" * 64,
        received_at=NOON,
        decided_at=NOON,
        result="Accepted",
    )
    row = FlexRequest.objects.create(
        inbound=inbound,
        congestion_address=dso.address,
        auction=auction,
        period_on=DAY,
        revision=1,
        expires_at=message.expiration_date_time,
    )
    RequestedNeed.objects.create(request=row, need=need)
    return row


def follow(auction: Auction) -> None:
    """Do what follows a publication: instructions, and offers."""
    for kind in (dispatch.PLAN_KIND, offering.OFFERS_KIND):
        job_create(kind=kind, key=str(auction.id), payload={"auction": str(auction.id)})
    work(dispatch.PLAN_KIND, offering.OFFERS_KIND)


@pytest.fixture
def found() -> Found:
    return Found()


def test_awards_for_what_is_bought_by_order_wait_and_all_others_do_not(found: Found) -> None:
    names = {award.id: name for name, award in found.day.awards.items()}
    ties = tentative_awards(found.day.auction)
    assert {names[id_] for id_ in ties} == EVENING_UP
    assert set(ties.values()) == {frozenset({found.day.needs["local"].id})}
    assert found.states() == {"inzai-battery-down": InstructionState.PLANNED}


def test_without_needs_by_order_nothing_waits() -> None:
    clock_set(market_at=PUBLISHED, speed_ratio=Decimal(0))
    day = settled_day.published(settled_day.settled_places())
    assert tentative_awards(day.auction) == {}
    follow(day.auction)
    assert DispatchInstruction.objects.count() == 4


def test_what_was_found_is_offered_at_what_it_costs(found: Found) -> None:
    offer = found.offer()
    (option,) = offer.offer_options
    # less consumption is negative; koma 35 to 40 are one run of 12,000 kW
    assert option.isps == (Isp(power=-12_000_000, start=35, duration=6),)
    # 5 half hours of 6,000 kWh at 45, and one at 180: 1,350,000 + 1,080,000
    assert option.price == Decimal(2_430_000)
    assert (offer.currency, option.min_activation_factor) == ("JPY", Decimal("1.00"))
    assert offer.flex_request_message_id == found.request.message_id
    assert offer.conversation_id == found.request.conversation_id
    # an hour to order, from 15:00; sites could still answer until 16:00 of the next day
    assert offer.expiration_date_time == PUBLISHED + timedelta(hours=1)
    follow(found.day.auction)  # again: nothing new
    assert len(found.dso.heard(FlexOffer)) == 1


def test_an_order_starts_the_dispatch(found: Found) -> None:
    said = found.dso.said(found.dso.order(found.offer()))
    assert (said.result, said.reason) == ("Accepted", "")
    (answer,) = found.dso.heard(FlexOrderResponse)
    assert (answer.result, answer.flex_order_message_id) == ("Accepted", said.message_id)
    assert found.states() == {
        **dict.fromkeys(EVENING_UP, InstructionState.PLANNED),
        "inzai-battery-down": InstructionState.PLANNED,
    }
    assert Offer.objects.get().state == OfferState.ORDERED
    # long after: an order stands
    clock_set(market_at=PUBLISHED + timedelta(hours=20), speed_ratio=Decimal(0))
    work(offering.EXPIRE_KIND, dispatch.RELEASE_KIND)
    assert InstructionState.CANCELLED not in found.states().values()


def test_before_the_order_nothing_is_sent_however_late_it_is(found: Found) -> None:
    clock_set(market_at=PUBLISHED + timedelta(minutes=59), speed_ratio=Decimal(0))
    work()
    assert set(found.states()) == {"inzai-battery-down"}


def test_what_nobody_orders_is_let_go_at_the_deadline(found: Found) -> None:
    clock_set(market_at=PUBLISHED + timedelta(hours=1, seconds=3), speed_ratio=Decimal(0))
    work(offering.EXPIRE_KIND)
    assert Offer.objects.get().state == OfferState.EXPIRED
    assert found.states() == {
        **dict.fromkeys(EVENING_UP, InstructionState.CANCELLED),
        "inzai-battery-down": InstructionState.PLANNED,
    }
    gone = DispatchInstruction.objects.filter(state=InstructionState.CANCELLED)
    assert set(gone.values_list("reason", flat=True)) == {NOT_ORDERED}
    said = found.dso.said(found.dso.order(found.offer()))
    assert (said.result, said.reason) == ("Rejected", "Reference message expired")


def test_without_the_offers_job_the_dispatch_lets_go_by_itself() -> None:
    clock_set(market_at=PUBLISHED, speed_ratio=Decimal(0))
    day = settled_day.published(settled_day.settled_places(), by_order=("local",))
    payload = {"auction": str(day.auction.id)}
    job_create(kind=dispatch.PLAN_KIND, key=str(day.auction.id), payload=payload)
    work(dispatch.PLAN_KIND, dispatch.RELEASE_KIND)
    assert DispatchInstruction.objects.count() == 1
    # koma 35 starts at 17:00; sites have until 16:00 to answer, and slow orders ten minutes more
    clock_set(market_at=datetime(2026, 11, 25, 7, 9, tzinfo=UTC), speed_ratio=Decimal(0))
    work(dispatch.RELEASE_KIND)
    assert DispatchInstruction.objects.count() == 1
    clock_set(market_at=datetime(2026, 11, 25, 7, 11, tzinfo=UTC), speed_ratio=Decimal(0))
    work(dispatch.RELEASE_KIND)
    assert DispatchInstruction.objects.filter(state="CANCELLED", reason=NOT_ORDERED).count() == 3


REFUSED_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"isp_duration": "PT15M"}, "ISP duration rejected"),
    ({"flex_offer_message_id": "33333333-3333-4333-8333-333333333333"},
     "Unknown FlexOfferMessageID reference"),
    ({"flex_offer_message_id": None, "unsolicited": True}, "Unknown FlexOfferMessageID reference"),
    ({"period": DAY + timedelta(days=1)}, "Reference Period mismatch"),
    ({"congestion_point": "ean.999999999999"}, "Invalid CongestionPoint"),
    ({"option_reference": "2"}, "Unknown OptionReference"),
    ({"isps": (Isp(power=-12_000_000, start=35, duration=5),)}, "ISP mismatch"),
    ({"isps": (Isp(power=-12_000_000, start=35, duration=7),)}, "ISP mismatch"),
    ({"isps": (Isp(power=12_000_000, start=35, duration=6),)}, "Power mismatch"),
    ({"price": Decimal("2429999.9999")}, "Price mismatch"),
    ({"currency": "EUR"}, "Price mismatch"),
    ({"activation_factor": Decimal("0.99")}, "ActivationFactor rejected"),
    ({"order_reference": "x" * 201}, "OrderReference rejected"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), REFUSED_ORDERS)
def test_an_order_of_anything_else_than_the_offer_is_rejected(
    found: Found, changes: dict[str, Any], reason: str
) -> None:
    said = found.dso.said(found.dso.order(found.offer(), **changes))
    assert (said.result, said.reason.split(" (")[0]) == ("Rejected", reason)
    assert Offer.objects.get().state == OfferState.OPEN
    assert not FlexOrder.objects.exists()
    assert set(found.states()) == {"inzai-battery-down"}
    # the offer can still be ordered as it is
    assert found.dso.said(found.dso.order(found.offer())).result == "Accepted"


def test_the_isps_of_an_order_may_be_cut_otherwise(found: Found) -> None:
    isps = tuple(Isp(power=-12_000_000, start=start) for start in range(35, 41))
    assert found.dso.said(found.dso.order(found.offer(), isps=isps)).result == "Accepted"


def test_an_offer_is_ordered_once_and_an_order_number_used_once(found: Found) -> None:
    offer = found.offer()
    found.dso.said(found.dso.order(offer))
    said = found.dso.said(found.dso.order(offer, order_reference="O-2"))
    assert (said.result, said.reason) == ("Rejected", "FlexOffer already ordered")
    assert FlexOrder.objects.count() == 1


def test_another_operator_cannot_order_the_offer(found: Found) -> None:
    other = Dso(
        cast.organisation("grid-o", "TSO", "他社", "Other"),
        domain="grid-o.example.jp",
        endpoint="https://grid-o.example.jp/",
    )
    said = other.said(other.order(found.offer()))
    assert said.reason.split(" (")[0] == "Unknown FlexOfferMessageID reference"


def test_an_order_that_came_in_time_is_not_let_go_because_workers_are_slow(found: Found) -> None:
    order = found.dso.order(found.offer())
    assert found.dso.say(order) == 200
    clock_set(market_at=PUBLISHED + timedelta(hours=1, minutes=5), speed_ratio=Decimal(0))
    work(offering.EXPIRE_KIND)
    assert Offer.objects.get().state == OfferState.OPEN
    work()
    assert InboundMessage.objects.get(message_id=order.message_id).result == "Accepted"


def test_an_order_that_is_never_read_does_not_hold_its_offer_open(found: Found) -> None:
    assert found.dso.say(found.dso.order(found.offer())) == 200
    clock_set(market_at=PUBLISHED + timedelta(hours=1, minutes=10), speed_ratio=Decimal(0))
    work(offering.EXPIRE_KIND)
    assert Offer.objects.get().state == OfferState.EXPIRED
    work()
    said = InboundMessage.objects.get(kind="FlexOrder")
    assert (said.result, said.reason) == ("Rejected", "Reference message expired")


def test_an_offer_that_is_not_accepted_is_let_go_at_once(found: Found) -> None:
    answer = messages.FlexOfferResponse(
        **found.dso.head(),
        result="Rejected",
        rejection_reason="too dear",
        flex_offer_message_id=found.offer().message_id,
    )
    found.dso.said(answer)
    offer = Offer.objects.get()
    assert (offer.state, offer.reason) == (OfferState.DECLINED, "too dear")
    assert found.states()["shiroi-cap"] == InstructionState.CANCELLED
    sent = SentMessage.objects.get(kind="FlexOffer")
    assert (sent.result, sent.reason) == ("Rejected", "too dear")


def test_the_desk_takes_an_offer_back_until_it_is_ordered(found: Found) -> None:
    from accounts.core.errors import Refused

    offer = Offer.objects.get()
    offering.offer_revoke(offer_id=offer.id, reason="the site is on fire")
    (said,) = found.dso.heard(messages.FlexOfferRevocation)
    assert said.flex_offer_message_id == offer.message_id
    assert found.states()["inzai-defer"] == InstructionState.CANCELLED
    order = found.dso.said(found.dso.order(found.offer()))
    assert order.reason == "Reference message revoked"
    with pytest.raises(Refused, match="open offer"):
        offering.offer_revoke(offer_id=offer.id, reason="again")


def test_offers_of_a_cancelled_result_are_taken_back(found: Found) -> None:
    Auction.objects.filter(id=found.day.auction.id).update(state="CANCELLED")
    job_create(
        kind=offering.REVOKE_KIND,
        key=str(found.day.auction.id),
        payload={"auction": str(found.day.auction.id)},
    )
    work(offering.REVOKE_KIND)
    assert Offer.objects.get().state == OfferState.REVOKED
    assert len(found.dso.heard(messages.FlexOfferRevocation)) == 1


def test_an_offer_moves_only_along_its_table_and_an_order_never(found: Found) -> None:
    found.dso.said(found.dso.order(found.offer()))
    for change in ({"state": OfferState.OPEN}, {"price_jpy": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Offer.objects.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        FlexOrder.objects.update(order_reference="x")


# --- offers that are linked ---------------------------------------------------------------------


class Linked(Found):
    """Two requests whose relief is the same awards: the Inzai line's and the Shiroi line's."""

    def __init__(self) -> None:
        clock_set(market_at=PUBLISHED, speed_ratio=Decimal(0))
        self.day = settled_day.published(
            settled_day.settled_places(), by_order=("local", "shortage")
        )
        grid_t = self.day.places.people.grid_t
        self.dso = Dso(grid_t)
        self.other = Dso(
            grid_t,
            domain="grid-t2.example.jp",
            element="shiroi-line",
            endpoint="https://grid-t2.example.jp/",
        )
        needs = self.day.needs
        for one, name in ((self.dso, "local"), (self.other, "shortage")):
            self.request = one.request()
            requested(one, self.day.auction, self.request, needs[name])
        follow(self.day.auction)


def test_offers_that_share_awards_are_linked_and_confirmed_together() -> None:
    linked = Linked()
    one, two = linked.offer(), linked.other.heard(FlexOffer)[0]
    link = one.offer_options[0].option_reference
    assert link.startswith("1;linked=")
    assert two.offer_options[0].option_reference == link
    first = linked.dso.said(linked.dso.order(one))
    assert (first.result, linked.dso.heard(FlexOrderResponse)) == ("", [])
    assert set(linked.states()) == {"inzai-battery-down"}
    second = linked.other.said(linked.other.order(two))
    assert second.result == "Accepted"
    for side in (linked.dso, linked.other):
        (answer,) = side.heard(FlexOrderResponse)
        assert answer.result == "Accepted"
    assert set(linked.states()) == {*EVENING_UP, "inzai-battery-down"}


def test_an_order_falls_with_the_rest_of_its_link() -> None:
    linked = Linked()
    order = linked.dso.order(linked.offer())
    linked.dso.said(order)
    clock_set(market_at=PUBLISHED + timedelta(hours=2), speed_ratio=Decimal(0))
    work(offering.EXPIRE_KIND)
    (answer,) = linked.dso.heard(FlexOrderResponse)
    assert (answer.result, answer.rejection_reason) == ("Rejected", "Linked offer not ordered")
    assert set(Offer.objects.values_list("state", flat=True)) == {OfferState.EXPIRED}
    states = linked.states()
    assert {states[name] for name in EVENING_UP} == {InstructionState.CANCELLED}
