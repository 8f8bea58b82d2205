"""UFTP after delivery: released is unpaid, settlements are compared, meters and plans are told.

The day is :mod:`tests.settled_day`'s. Grid-T's local need costs 2,430,000; of the deferral's
shortfall at t = 36 it gets 153,000 back, so its order comes to 2,277,000.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from accounts.jobs.services import job_create
from aggregator.core.settlement import Item
from aggregator.dispatch import services as dispatch
from aggregator.dispatch.confirming import orders_apply
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.schedules import schedule_declare
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute
from aggregator.protocols.uftp import messages, offering, services, settling, telling
from aggregator.protocols.uftp.messages import (
    ContractIsp,
    ContractPeriod,
    ContractSettlement,
    DPrognosis,
    FlexSettlement,
    FlexSettlementResponse,
    Isp,
    Metering,
    SettlementIsp,
)
from aggregator.protocols.uftp.models import (
    ConnectionAddress,
    OrderSettlement,
    Participant,
    SentMessage,
)
from aggregator.settlement.models import Dispute, SettlementLine
from aggregator.settlement.runs import settlement_run_execute
from tests import cast, settled_day
from tests.protocols.test_uftp_market import NOON, PUBLISHED, Found
from tests.uftping import DAY, Dso, work

pytestmark = pytest.mark.django_db
DUE_JPY = Decimal(2_430_000 - 153_000)
EAN = "E1234567890123456"


def settle(found: Found) -> None:
    """Meter, verify and settle the day."""
    settled_day.metered(found.day)
    verification_execute(auction_id=found.day.auction.id, stage="FINAL")
    settlement_run_execute(auction_id=found.day.auction.id)


def ordered() -> Found:
    """Return the day with its order, delivered and settled."""
    found = Found()
    assert found.dso.said(found.dso.order(found.offer(), order_reference="O-1")).result
    settle(found)
    return found


def settlement(dso: Dso, **changes: Any) -> FlexSettlement:
    """Say what Grid-T means to pay for O-1."""
    price = changes.pop("price", Decimal(2_430_000))
    net = changes.pop("net", DUE_JPY)
    order = {
        "order_reference": "O-1",
        "period": DAY,
        "congestion_point": dso.address.address,
        "price": price,
        "penalty": price - net,
        "net_settlement": net,
        "isps": (
            SettlementIsp(
                start=35,
                duration=6,
                baseline_power=40_000_000,
                ordered_flex_power=changes.pop("power", -12_000_000),
                actual_power=28_000_000,
                delivered_flex_power=-12_000_000,
            ),
        ),
    } | changes.pop("order", {})
    contract = ContractSettlement(
        contract_id="FW-2026",
        periods=(
            ContractPeriod(period=DAY, isps=(ContractIsp(start=1, duration=48, reserved_power=0),)),
        ),
    )
    said = {
        "result": "Accepted",
        "period_start": DAY,
        "period_end": DAY,
        "currency": "JPY",
        "order_settlements": (messages.OrderSettlement(**order),),
        "contract_settlements": (contract,),
    }
    return FlexSettlement(**dso.head(**(said | changes)))


def statuses(dso: Dso) -> list[tuple[str, str, str | None]]:
    (answer,) = dso.heard(FlexSettlementResponse)
    return [(row.order_reference, row.disposition, row.dispute_reason) for row in answer.statuses]


# --- what is owed -------------------------------------------------------------------------------


def test_what_was_not_ordered_is_paid_by_nobody_to_nobody() -> None:
    found = Found()
    clock_set(market_at=PUBLISHED + timedelta(hours=2), speed_ratio=Decimal(0))
    work(offering.EXPIRE_KIND)
    settle(found)
    needs = {name: need.id for name, need in found.day.needs.items()}
    grid = found.day.places.people.grid_t.id
    owed: dict[str, Decimal] = {}
    for line in SettlementLine.objects.select_related("payer", "payee"):
        for side, sign in ((line.payer, -1), (line.payee, 1)):
            if side.organisation_id in (
                grid,
                found.day.places.people.inzai_dc.id,
                found.day.places.people.shiroi_dc.id,
            ):
                name = side.organisation.code
                owed[name] = owed.get(name, Decimal(0)) + sign * line.amount_exact_jpy
    # of the whole day only midday is left: Inzai pays 90,000 for 15,000 kWh at 6, to Grid-T
    assert owed == {"grid-t": Decimal(90_000), "inzai-dc": Decimal(-90_000), "shiroi-dc": 0}
    local = SettlementLine.objects.filter(need_id=needs["local"])
    charged = sum(line.amount_exact_jpy for line in local.filter(item=Item.NEED_CHARGE))
    back = sum(line.amount_exact_jpy for line in local.filter(item=Item.SHORTFALL_CREDIT))
    assert charged == back == Decimal(2_430_000)
    assert not SettlementLine.objects.filter(item=Item.SHORTFALL_PENALTY).exists()


# --- settlements --------------------------------------------------------------------------------


def test_a_settlement_like_ours_is_accepted() -> None:
    found = ordered()
    assert found.dso.said(settlement(found.dso)).result == "Accepted"
    assert statuses(found.dso) == [("O-1", "Accepted", None)]
    row = OrderSettlement.objects.get()
    assert (row.net_jpy, row.ours_exact_jpy, row.dispute) == (DUE_JPY, DUE_JPY, None)
    assert not Dispute.objects.exists()


def test_less_than_a_yen_is_no_difference() -> None:
    found = ordered()
    found.dso.said(settlement(found.dso, net=DUE_JPY - Decimal("0.9999")))
    assert statuses(found.dso)[0][1] == "Accepted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"net": DUE_JPY - 1},
            "NetSettlement is 2277000 JPY by our metering and settlement, not 2276999",
        ),
        ({"price": Decimal(2_000_000)}, "Price is 2430000 JPY, not 2000000"),
        ({"power": -11_000_000}, "OrderedFlexPower of ISP 35 is -12000000 W, not -11000000 W"),
        ({"order": {"penalty": Decimal(0)}}, "NetSettlement is Price less Penalty"),
        (
            {"order": {"period": DAY - timedelta(days=1)}, "period_start": DAY - timedelta(days=1)},
            "Period is 2026-11-25, not 2026-11-24",
        ),
        (
            {"order": {"congestion_point": "ean.999999999999"}},
            "CongestionPoint is ean.123456789012345678",
        ),
    ],
)
def test_a_difference_opens_a_dispute_about_the_orders_lines(
    changes: dict[str, Any], reason: str
) -> None:
    found = ordered()
    assert found.dso.said(settlement(found.dso, **changes)).result == "Accepted"
    assert statuses(found.dso) == [("O-1", "Disputed", reason)]
    dispute = Dispute.objects.get()
    assert dispute.organisation == found.dso.participant.organisation
    assert reason in dispute.reason
    # minus what it pays, plus what it gets: the lines are the order's
    assert dispute.disputed_exact_jpy == -DUE_JPY
    # said again, it is the same dispute
    found.dso.said(settlement(found.dso, **changes))
    assert Dispute.objects.count() == 1
    assert OrderSettlement.objects.filter(dispute=dispute).count() == 2


def test_an_order_that_is_unknown_is_disputed_and_one_left_out_refused() -> None:
    found = ordered()
    said = found.dso.said(settlement(found.dso, order={"order_reference": "O-2"}))
    assert (said.result, said.reason) == ("Rejected", "Missing Settlement Items (O-1)")
    assert statuses(found.dso) == [("O-2", "Disputed", "Missing Settlement Items (O-1)")]
    both = (
        settlement(found.dso).order_settlements
        + settlement(found.dso, order={"order_reference": "O-2"}).order_settlements
    )
    found.dso.said(settlement(found.dso, order_settlements=both))
    answer = found.dso.heard(FlexSettlementResponse)[-1]
    assert [(row.order_reference, row.disposition) for row in answer.statuses] == [
        ("O-1", "Accepted"), ("O-2", "Disputed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"period_start": DAY + timedelta(days=1)}, "PeriodStart rejected"),
        ({"order": {"period": DAY + timedelta(days=1)}}, "Period out of bounds"),
        ({"currency": "EUR"}, "Currency rejected"),
    ],
)
def test_a_settlement_that_cannot_be_is_rejected(changes: dict[str, Any], reason: str) -> None:
    found = ordered()
    said = found.dso.said(settlement(found.dso, **changes))
    assert (said.result, said.reason.split(" (")[0]) == ("Rejected", reason)
    assert not OrderSettlement.objects.exists()


def test_before_we_have_settled_the_answer_waits_and_in_the_end_says_so() -> None:
    found = Found()
    found.dso.said(found.dso.order(found.offer(), order_reference="O-1"))
    message = settlement(found.dso)
    assert found.dso.say(message) == 200
    work(services.DECIDE_KIND)
    assert found.dso.heard(FlexSettlementResponse) == []
    job = Job.objects.filter(kind=services.DECIDE_KIND).latest("created_at")
    assert (job.state, job.due_at) == ("READY", PUBLISHED + settling.LOOK_AGAIN)
    clock_set(market_at=PUBLISHED + settling.PATIENCE, speed_ratio=Decimal(0))
    work(services.DECIDE_KIND)
    assert statuses(found.dso) == [("O-1", "Disputed", settling.NOT_SETTLED)]


# --- what an aggregator tells -------------------------------------------------------------------


def connected(dso: Dso, meter: Any, *, started_on: date = date(2026, 4, 1)) -> ConnectionAddress:
    return ConnectionAddress.objects.create(
        congestion_address=dso.address, meter=meter, ean=EAN, started_on=started_on
    )


def test_plans_are_told_once_the_gate_has_closed() -> None:
    clock_set(market_at=NOON, speed_ratio=Decimal(0))
    day = cast.open_day()
    dso = Dso(day.places.people.grid_t)
    from aggregator.metering.services import meter_register

    unit = day.places.resources["inzai-load"]
    connected(dso, meter_register(point_number=f"03{1:020d}", resource=unit))
    plan = [Decimal(10_000)] * 24 + [Decimal(-500)] + [Decimal(0)] * 23
    schedule_declare(resource=unit, delivery_on=DAY, schedule_kwh=plan)
    dso.said(dso.request())
    work(telling.PROGNOSIS_KIND)
    assert dso.heard(DPrognosis) == []
    clock_set(market_at=day.auction.gate_closure_at, speed_ratio=Decimal(0))
    work(telling.PROGNOSIS_KIND)
    (said,) = dso.heard(DPrognosis)
    # kWh in half an hour are twice as many kW; every ISP of the day is spoken of
    assert said.isps == (
        Isp(power=20_000_000, start=1, duration=24),
        Isp(power=-1_000_000, start=25, duration=1),
        Isp(power=0, start=26, duration=23),
    )
    assert (said.revision, said.congestion_point) == (1, dso.address.address)
    dso.said(
        messages.DPrognosisResponse(
            **dso.head(), result="Accepted", d_prognosis_message_id=said.message_id
        )
    )
    assert SentMessage.objects.get(kind="D-Prognosis").result == "Accepted"


def test_without_a_plan_no_prognosis_is_told(open_day: cast.MarketDay) -> None:
    dso = Dso(open_day.places.people.grid_t)
    dso.said(dso.request())
    clock_set(market_at=open_day.auction.gate_closure_at, speed_ratio=Decimal(0))
    work(telling.PROGNOSIS_KIND)
    assert dso.heard(DPrognosis) == []


@pytest.fixture
def open_day() -> cast.MarketDay:
    clock_set(market_at=NOON, speed_ratio=Decimal(0))
    return cast.open_day()


def test_a_days_meters_are_told_and_corrections_are_the_next_revision() -> None:
    found = Found()
    meters = settled_day.metered(found.day)
    connected(found.dso, meters["inzai-battery"])
    job_create(
        kind=telling.METERING_KIND,
        key=str(found.day.auction.id),
        payload={"auction": str(found.day.auction.id)},
    )
    work(telling.METERING_KIND)
    (said,) = found.dso.heard(Metering)
    power, taken, fed = said.profiles
    assert [(one.profile_type, one.unit) for one in said.profiles] == [
        ("Power", "kW"), ("ImportEnergy", "kWh"), ("ExportEnergy", "kWh"),
    ]  # fmt: skip
    values = {name: {isp.start: isp.value for isp in one.isps} for name, one in
              (("power", power), ("taken", taken), ("fed", fed))}  # fmt: skip
    # koma 35: the battery fed 3,000 kWh in; koma 21: it took 2,500
    assert (values["power"][35], values["taken"][35], values["fed"][35]) == (-6_000, 0, 3_000)
    assert (values["power"][21], values["taken"][21], values["fed"][21]) == (5_000, 2_500, 0)
    assert len(power.isps) == 48
    assert (said.revision, said.ean) == (1, EAN)
    # nothing new, nothing told
    clock_set(
        market_at=found.day.auction.delivery_start + timedelta(days=2), speed_ratio=Decimal(0)
    )
    work(telling.METERING_KIND)
    assert len(found.dso.heard(Metering)) == 1
    corrected = ReadingRow(
        point_number=meters["inzai-battery"].point_number,
        start_at=settled_day.half_hour(found.day, 34),
        energy_kwh=Decimal(-2_999),
        stage=3,
    )
    readings_ingest(rows=[corrected], source="late")
    clock_set(
        market_at=found.day.auction.delivery_start + timedelta(days=3), speed_ratio=Decimal(0)
    )
    work(telling.METERING_KIND)
    again = found.dso.heard(Metering)[1]
    assert (again.revision, again.conversation_id) == (2, said.conversation_id)
    assert again.profiles[2].isps[34].value == Decimal(2_999)


def test_meters_with_gaps_are_told_after_a_day() -> None:
    found = Found()
    meters = settled_day.metered(found.day, without=("inzai-load", 3))
    connected(found.dso, meters["inzai-load"])
    job_create(
        kind=telling.METERING_KIND,
        key=str(found.day.auction.id),
        payload={"auction": str(found.day.auction.id)},
    )
    work(telling.METERING_KIND)
    assert found.dso.heard(Metering) == []
    clock_set(
        market_at=found.day.auction.delivery_start + timedelta(days=2), speed_ratio=Decimal(0)
    )
    work(telling.METERING_KIND)
    (said,) = found.dso.heard(Metering)
    assert len(said.profiles[0].isps) == 47
    assert 4 not in {isp.start for isp in said.profiles[0].isps}


def test_a_common_reference_operator_is_told_whom_we_act_for() -> None:
    found = Found()
    meters = settled_day.metered(found.day)
    connected(found.dso, meters["inzai-load"])
    cro = Participant.objects.create(
        domain="cro.example.jp",
        role="CRO",
        organisation=found.day.places.people.grid_t,
        endpoint="https://cro.example.jp/",
    )
    sent = telling.portfolio_send(participant=cro)
    assert sent is not None
    assert sent.kind == "AGRPortfolioUpdate"
    assert telling.portfolio_send(participant=cro) == sent  # once a day
    assert telling.portfolio_send(participant=found.dso.participant) is None


def test_who_was_to_pay_for_energy_that_nobody_ordered_pays_nothing() -> None:
    # the surplus, too, is bought by order: at midday Inzai was to pay 90,000 for 15,000 kWh at 6
    clock_set(market_at=PUBLISHED, speed_ratio=Decimal(0))
    day = settled_day.published(
        settled_day.settled_places(), by_order=("local", "shortage", "surplus")
    )
    job_create(
        kind=dispatch.PLAN_KIND, key=str(day.auction.id), payload={"auction": str(day.auction.id)}
    )
    work(dispatch.PLAN_KIND)
    orders_apply(
        auction_id=day.auction.id,
        ordered=(),
        released=[need.id for need in day.needs.values()],
        cause="test",
    )
    assert set(DispatchInstruction.objects.values_list("state", flat=True)) == {"CANCELLED"}
    settled_day.metered(day)
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    settlement_run_execute(auction_id=day.auction.id)
    owed: dict[str, Decimal] = {}
    for line in SettlementLine.objects.select_related("payer", "payee"):
        for side, sign in ((line.payer, -1), (line.payee, 1)):
            name = side.organisation.code if side.organisation else side.code
            owed[name] = owed.get(name, Decimal(0)) + sign * line.amount_exact_jpy
    assert set(owed.values()) == {Decimal(0)}
    given_back = SettlementLine.objects.filter(
        item=Item.SHORTFALL_REFUND, payee__organisation=day.places.people.inzai_dc
    )
    assert sum(line.amount_exact_jpy for line in given_back) == Decimal(90_000)


def test_the_pure_rule_gives_back_to_who_was_to_pay_only_what_nobody_ordered() -> None:
    from aggregator.core.delivery import Direction
    from aggregator.core.settlement import AwardPosition, House, award_lines
    from aggregator.core.terms import rules_from_mapping

    house = House(clearing="clearing", fee="fee", rounding="rounding")
    rules = rules_from_mapping(settled_day.SETTLEMENT)

    def refunds(*, is_released: bool) -> list[tuple[str, str, Decimal]]:
        lines = award_lines(
            AwardPosition(
                award="a",
                t=20,
                direction=Direction.DOWN,
                price_jpy_per_kwh=Decimal(6),
                ordered_kwh=Decimal(2_500),
                shortfall_kwh=Decimal(2_500),
                seller="inzai",
                is_excused=True,
                is_released=is_released,
            ),
            rules=rules,
            house=house,
        )
        return [
            (line.payer, line.payee, line.amount_exact_jpy)
            for line in lines
            if line.item == Item.SHORTFALL_REFUND
        ]

    assert refunds(is_released=False) == []
    assert refunds(is_released=True) == [("clearing", "inzai", Decimal(15_000))]
