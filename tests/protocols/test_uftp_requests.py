"""UFTP: what a grid operator asks for becomes needs of the auction, or is rejected by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.clock.services import clock_set
from accounts.parties.models import User
from aggregator.protocols.uftp import messages
from aggregator.protocols.uftp.messages import FlexRequestResponse, Isp, RequestIsp
from aggregator.protocols.uftp.models import FlexRequest, RequestedNeed, Reservation
from market.trading.models import Need, NeedState
from tests import cast
from tests.uftping import DAY, Dso

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 3, tzinfo=UTC)  # 12:00 in Japan, two hours before the gate


@pytest.fixture
def open_day() -> cast.MarketDay:
    clock_set(market_at=NOON, speed_ratio=Decimal(0))
    return cast.open_day()


@pytest.fixture
def dso(open_day: cast.MarketDay) -> Dso:
    return Dso(open_day.places.people.grid_t)


def refused(dso: Dso, message: messages.Payload) -> str:
    """Say something that is rejected; return the standard's reason, without what was expected."""
    before = (Need.objects.count(), FlexRequest.objects.count(), Reservation.objects.count())
    said = dso.said(message)
    assert said.result == "Rejected"
    after = (Need.objects.count(), FlexRequest.objects.count(), Reservation.objects.count())
    assert before == after  # nothing half stored
    return said.reason.split(" (")[0]


def test_a_request_becomes_a_need_of_the_same_auction(open_day: cast.MarketDay, dso: Dso) -> None:
    message = dso.request()
    assert dso.said(message).result == "Accepted"
    (answer,) = dso.heard(FlexRequestResponse)
    assert (answer.result, answer.flex_request_message_id, answer.conversation_id) == (
        "Accepted", message.message_id, message.conversation_id,
    )  # fmt: skip
    need = RequestedNeed.objects.get().need
    assert (need.auction, need.organisation) == (open_day.auction, dso.participant.organisation)
    assert (need.kind, need.direction, need.flow_sign) == ("LOCAL", "UP", 1)
    assert need.congestion_point.code == "inzai-line"
    # the requested ISPs alone: 35 to 40 are t = 34 to 39
    assert need.quantity_kw == cast.during(cast.EVENING, 12_000)
    assert set(need.cap_jpy_per_kwh) == {Decimal(180)}
    assert need.is_by_order
    # it stands beside what came by the portal
    assert Need.objects.filter(auction=open_day.auction, state=NeedState.PUBLISHED).count() == 4


def test_more_consumption_is_asked_for_with_plus_and_relieves_the_other_way(dso: Dso) -> None:
    isps = (
        RequestIsp(min_power=-1_500, max_power=0, start=1),
        RequestIsp(min_power=0, max_power=2_000_050, start=2, disposition="Requested"),
    )
    assert dso.said(dso.request(isps=isps)).result == "Accepted"
    up, down = (RequestedNeed.objects.get(need__direction=way).need for way in ("UP", "DOWN"))
    assert (up.flow_sign, down.flow_sign) == (1, -1)
    assert up.quantity_kw[:2] == [Decimal("1.5"), 0]
    assert down.quantity_kw[:2] == [0, Decimal("2000.1")]  # 2,000.05 kW, rounded up


def test_a_revision_takes_the_place_of_the_one_before(dso: Dso) -> None:
    dso.said(dso.request())
    isps = (RequestIsp(min_power=0, max_power=1_000_000, start=3, disposition="Requested"),)
    assert dso.said(dso.request(revision=5, isps=isps)).result == "Accepted"
    states = dict(Need.objects.filter(is_by_order=True).values_list("direction", "state"))
    assert states == {"UP": NeedState.WITHDRAWN, "DOWN": NeedState.PUBLISHED}
    assert refused(dso, dso.request(revision=5)) == "Subordinate Sequence Number"
    assert dso.said(dso.request(revision=6)).result == "Accepted"
    codes = Need.objects.filter(is_by_order=True, state=NeedState.PUBLISHED)
    assert [(row.direction, row.revision) for row in codes] == [("UP", 2)]


REFUSED_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"isp_duration": "PT15M"}, "ISP duration rejected"),
    ({"isp_duration": "P1D"}, "ISP duration rejected"),
    ({"time_zone": "Europe/Amsterdam"}, "TimeZone rejected"),
    ({"congestion_point": "ean.999999999999"}, "Invalid CongestionPoint"),
    ({"period": DAY + timedelta(days=1)}, "Period out of bounds"),
    ({"period": DAY - timedelta(days=300)}, "Period out of bounds"),
    ({"expiration_date_time": NOON}, "ExpirationDateTime out of bounds"),
    ({"expiration_date_time": NOON + timedelta(hours=2)}, "ExpirationDateTime out of bounds"),
    ({"contract_id": "another"}, "Unknown ContractID"),
    ({"isps": (RequestIsp(min_power=-1, max_power=0, start=49),)}, "ISPs out of bounds"),
    (
        {"isps": (RequestIsp(min_power=-1, max_power=0, start=48, duration=2),)},
        "ISPs out of bounds",
    ),
    (
        {"isps": (RequestIsp(min_power=-1, max_power=0, start=1, duration=3),
                  RequestIsp(min_power=-1, max_power=0, start=3))},
        "ISP conflict",
    ),
    ({"isps": (RequestIsp(min_power=-5, max_power=5, start=1),)}, "Requested Power discrepancy"),
    ({"isps": (RequestIsp(min_power=0, max_power=0, start=1),)}, "Requested Power discrepancy"),
    ({"isps": (RequestIsp(min_power=5, max_power=4, start=1),)}, "Power discrepancy"),
    (
        {"isps": (RequestIsp(min_power=-5, max_power=0, start=1, disposition="Available"),)},
        "Lacking Requested Disposition",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), REFUSED_REQUESTS)
def test_a_request_that_cannot_be_is_rejected_by_the_standards_name(
    dso: Dso, changes: dict[str, Any], reason: str
) -> None:
    assert refused(dso, dso.request(**changes)) == reason
    (answer,) = dso.heard(FlexRequestResponse)
    assert answer.result == "Rejected"
    assert answer.rejection_reason.startswith(reason)


def test_half_an_hour_may_be_spelled_otherwise(dso: Dso) -> None:
    assert dso.said(dso.request(isp_duration="PT1800S")).result == "Accepted"


def test_the_place_of_another_operator_or_without_a_forecast_is_rejected(
    open_day: cast.MarketDay, dso: Dso
) -> None:
    other = Dso(
        cast.organisation("grid-o", "TSO", "他社", "Other"),
        domain="grid-o.example.jp",
        endpoint="https://grid-o.example.jp/",
    )
    # its own address for an element that is Grid-T's
    assert refused(other, other.request()) == "Invalid CongestionPoint"
    # Grid-T's address in another's mouth
    other.address.delete()
    assert refused(other, other.request()) == "Invalid CongestionPoint"
    # an element of which the auction has no forecast
    dso.address.element = "nowhere"
    dso.address.save()
    assert refused(dso, dso.request()) == "Period out of bounds"


def test_a_request_at_or_after_the_gate_is_rejected(open_day: cast.MarketDay, dso: Dso) -> None:
    clock_set(market_at=open_day.auction.gate_closure_at, speed_ratio=Decimal(0))
    assert refused(dso, dso.request()) == "Period out of bounds"


# --- reservations -------------------------------------------------------------------------------


def test_what_stays_reserved_is_noted_as_it_was_said(dso: Dso) -> None:
    said = messages.FlexReservationUpdate(
        **dso.flex(),
        contract_id="FW-2026",
        reference="R-1",
        isps=(Isp(power=-500, start=1, duration=2), Isp(power=0, start=48)),
    )
    assert dso.said(said).result == "Accepted"
    row = Reservation.objects.get()
    assert row.power_w == [-500, -500, *[None] * 45, 0]
    assert (row.contract_id, row.reference, row.period_on) == ("FW-2026", "R-1", DAY)
    (answer,) = dso.heard(messages.FlexReservationUpdateResponse)
    assert answer.flex_reservation_update_message_id == said.message_id


def test_a_reservation_of_no_contract_is_rejected(dso: Dso) -> None:
    said = messages.FlexReservationUpdate(
        **dso.flex(), contract_id="x", reference="R", isps=(Isp(power=0, start=1),)
    )
    assert refused(dso, said) == "Unknown ContractID"


def test_staff_follow_a_message_to_what_it_became(dso: Dso, client: Client) -> None:
    message = dso.request()
    inbound = dso.said(message)
    client.force_login(User.objects.create(username="staff", is_staff=True))
    page = client.get(reverse("admin:uftp_inboundmessage_change", args=[inbound.pk]))
    became = FlexRequest.objects.get(inbound=inbound)
    assert reverse("admin:uftp_flexrequest_change", args=[became.pk]) in page.content.decode()
    assert message.message_id in page.content.decode()


@pytest.mark.parametrize(("version", "result"), [("3.0.0", "Rejected"), ("3.1.7", "Accepted")])
def test_another_version_is_rejected_by_name_and_a_patch_of_ours_is_not(
    dso: Dso, version: str, result: str
) -> None:
    said = dso.said(dso.request(version=version))
    why = "" if result == "Accepted" else "Invalid Message (version 3.1, not 3.0.0)"
    assert (said.result, said.reason) == (result, why)
    # what buys nothing is answered whatever it says
    assert dso.said(messages.TestMessage(**dso.head(), version="3.0.0")).result == "Accepted"
