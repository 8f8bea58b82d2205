"""Calls of reserved capacity and test dispatches: told at once, answered, noted, scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.jobs.models import Job
from accounts.jobs.selectors import jobs_due
from accounts.jobs.services import job_claim
from accounts.parties.models import User
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from aggregator.dispatch import services, trials
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import DispatchInstruction, InstructionState, ServedNeed, Trial
from aggregator.metering.calls import capacity_activate
from aggregator.metering.models import CapacityActivation, Meter
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.trials import SILENT, trial_score
from aggregator.protocols.openadr3 import publishing
from aggregator.protocols.openadr3.models import Event
from market.clearing.models import Award
from market.registry.models import MarketProduct, Prequalification
from market.trading.models import Bid, BidContent, BidForm, Mechanism
from tests import cast, delivery_days
from tests.dispatching import Ven, ack_report, freeze, jst, planned_day, work

pytestmark = pytest.mark.django_db
S = InstructionState
D = Decimal
LOAD = "inzai-dc-1-load"
TRIED: dict[str, Callable[..., Any]] = {
    trials.SEND_KIND: publishing.trial_publish,
    trials.SCORE_KIND: trial_score,
}


def grid(day: cast.MarketDay | cast.Places) -> Sight:
    people = day.people if isinstance(day, cast.Places) else day.places.people
    known = User.objects.filter(username="planner").first()
    return sight_of(known or cast.member("planner", people.grid_t, Role.GRID_PLANNER))


@pytest.fixture
def held() -> tuple[cast.MarketDay, Award]:
    """Return a day with 4,000 kW of the battery held from 05:00 to 06:30, of 15 minutes."""
    day = planned_day()
    award = delivery_days.held(day)
    ServedNeed.objects.create(
        award=award, need=day.needs["local"], organisation=day.places.people.grid_t
    )
    freeze(jst(5.1))
    return day, award


def test_a_call_is_told_at_once_with_a_share_of_the_products_time_to_answer(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    made = capacity_activate(
        award_id=award.id, quantities_kw={10: D(4_000), 11: D(2_000)}, by=grid(day)
    )
    assert made is not None
    work(services.SEND_KIND)
    made.refresh_from_db()
    # of 900 s a quarter: 225 s
    assert (made.state, made.call, made.respond_by_at) == (
        S.SENT, 1, jst(5.1) + timedelta(seconds=225),
    )  # fmt: skip
    body = Event.objects.get(instruction=made).body
    assert [each["payloads"][0]["values"] for each in body["intervals"]] == [[-4000], [-2000]]
    called = CapacityActivation.objects.order_by("t").values_list("t", "instructed_kw")
    assert list(called) == [(10, D(4_000)), (11, D(2_000))]


def test_a_newer_call_takes_the_place_of_the_one_before(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    first = capacity_activate(award_id=award.id, quantities_kw={11: D(4_000)}, by=grid(day))
    second = capacity_activate(award_id=award.id, quantities_kw={11: D(1_000)}, by=grid(day))
    assert first is not None
    assert second is not None
    first.refresh_from_db()
    assert (first.state, second.version, second.call) == (S.CANCELLED, 2, 2)
    assert capacity_activate(award_id=award.id, quantities_kw={11: D(0)}, by=grid(day)) is None
    second.refresh_from_db()
    assert second.state == S.CANCELLED
    latest = CapacityActivation.objects.order_by("-revision").first()
    assert latest is not None
    assert latest.instructed_kw == 0


def _left_in_the_book(day: cast.MarketDay, *steps: tuple[str, str]) -> None:
    """Leave an offer of Inzai's load in the book, from 05:00 to 07:00."""
    bid = Bid.objects.create(
        client_bid_id="left",
        auction=day.auction,
        organisation=day.places.people.inzai_dc,
        resource=day.places.resources["inzai-load"],
        form=BidForm.STEPS,
        mechanism=Mechanism.STOP,
        received_at=day.auction.gate_closure_at,
        leaf_sha256="0" * 64,
    )
    curve = {
        "first_t": 10,
        "last_t": 13,
        "steps": [{"quantity_kw": kw, "ask_jpy_per_kwh": ask} for kw, ask in steps],
    }
    BidContent.objects.create(bid=bid, content={"direction": "UP", "curves": [curve]})


def _called_and_silent(day: cast.MarketDay, award: Award) -> DispatchInstruction:
    made = capacity_activate(
        award_id=award.id, quantities_kw={10: D(4_000), 11: D(4_000)}, by=grid(day)
    )
    assert made is not None
    work(services.SEND_KIND)
    freeze(jst(5.1) + timedelta(seconds=226))
    work(services.EXPIRE_KIND)
    work(services.REPLACE_KIND)
    work(services.SEND_KIND)
    made.refresh_from_db()
    return made


def test_a_silent_call_is_replaced_from_the_merit_order_at_no_more_than_the_calls_price(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    # V1 is 30 yen, and nothing is lost on the way
    _left_in_the_book(day, ("1000", "20.00"), ("1000", "30.00"), ("1000", "30.01"))
    lost = _called_and_silent(day, award)
    assert lost.state == S.REPLACED
    assert lost.reason == "no answer by the response deadline; replaced: 50% of what was lost"
    stand_in = lost.replaced_by.get()
    # the half hour that runs is lost; of the next the operator pays 2,000 of 4,000 kW
    row = stand_in.intervals.get()
    assert (row.t, row.quantity_kw, row.replacement_price_jpy_per_kwh, row.is_added) == (
        11, D(2_000), D("25.00"), True,
    )  # fmt: skip
    assert (stand_in.payer, stand_in.call) == (day.places.people.grid_t, None)
    # of the product's 900 s a quarter, as for the call itself
    assert (stand_in.state, stand_in.respond_by_at) == (
        S.SENT, jst(5.1) + timedelta(seconds=226 + 225),
    )  # fmt: skip
    assert Job.objects.filter(kind=services.ALARM_KIND, key__startswith="instruction.unr").exists()


def test_a_call_that_nobody_stands_in_for_is_a_second_alarm(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    _left_in_the_book(day, ("1000", "30.01"))
    lost = _called_and_silent(day, award)
    assert (lost.state, lost.replaced_by.count()) == (S.UNREACHED, 0)
    alarms = Job.objects.filter(kind=services.ALARM_KIND, payload__priority=1)
    assert sorted(row.payload["kind"] for row in alarms) == [
        "instruction.unreached", "instruction.unreplaced",
    ]  # fmt: skip


def test_a_call_is_declined_while_it_waits_and_replaced_and_a_new_call_stops_who_stands_in(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    _left_in_the_book(day, ("2000", "20.00"))
    lost = capacity_activate(
        award_id=award.id, quantities_kw={10: D(4_000), 11: D(4_000)}, by=grid(day)
    )
    assert lost is not None
    work(services.SEND_KIND)
    # 05:00 has begun, the deadline has not passed
    services.instruction_opt_out(
        instruction_id=lost.id, organisation=lost.organisation, reason="inverter down"
    )
    work(services.REPLACE_KIND)
    lost.refresh_from_db()
    assert lost.state == S.REPLACED
    again = capacity_activate(award_id=award.id, quantities_kw={12: D(1_000)}, by=grid(day))
    assert again is not None
    assert (again.version, again.call) == (3, 2)
    assert lost.replaced_by.get().state == S.CANCELLED


def test_a_silent_stand_in_for_a_call_is_replaced_in_turn(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    _left_in_the_book(day, ("1000", "20.00"))
    lost = _called_and_silent(day, award)
    shiroi = day.places.resources["shiroi-load"]
    bid = Bid.objects.create(
        client_bid_id="second", auction=day.auction, resource=shiroi,
        organisation=day.places.people.shiroi_dc, form=BidForm.STEPS, mechanism=Mechanism.STOP,
        received_at=day.auction.gate_closure_at, leaf_sha256="0" * 64,
    )  # fmt: skip
    curve = {
        "first_t": 11, "last_t": 11, "steps": [{"quantity_kw": "800", "ask_jpy_per_kwh": "30.00"}],
    }  # fmt: skip
    BidContent.objects.create(bid=bid, content={"direction": "UP", "curves": [curve]})
    freeze(jst(5.1) + timedelta(seconds=226 + 226))
    work(services.EXPIRE_KIND)
    work(services.REPLACE_KIND)
    first = lost.replaced_by.get()
    assert first.state == S.REPLACED
    # dearer than who was silent, and still within the price of the call
    second = first.replaced_by.get()
    assert (second.resource, second.payer) == (shiroi, day.places.people.grid_t)
    assert second.intervals.get().quantity_kw == 800


def test_nobody_calls_what_was_not_reserved_for_them(
    held: tuple[cast.MarketDay, Award],
) -> None:
    day, award = held
    stranger = cast.organisation("grid-u", cast.OrganisationKind.TSO, "U", "U")
    other = sight_of(cast.member("planner-u", stranger, Role.GRID_PLANNER))
    for by, award_id in ((other, award.id), (grid(day), day.awards["inzai-defer"].id)):
        with pytest.raises(NotFound):
            capacity_activate(award_id=award_id, quantities_kw={11: D(1)}, by=by)
    assert not CapacityActivation.objects.exists()


@pytest.mark.parametrize(
    ("quantities", "field"),
    [
        ({}, "quantities_kw"),
        ({11: D("4000.1")}, "quantities_kw.11"),
        ({9: D(1)}, "quantities_kw.9"),
    ],
)
def test_a_call_beyond_what_is_held_is_refused_whole(
    held: tuple[cast.MarketDay, Award], quantities: dict[int, Decimal], field: str
) -> None:
    day, award = held
    with pytest.raises((Refused, NotFound)) as refusal:
        capacity_activate(award_id=award.id, quantities_kw=quantities, by=grid(day))
    assert refusal.value.field == field
    assert not CapacityActivation.objects.exists()


def tried(places: cast.Places, **changes: Any) -> Trial:
    resource = places.resources["inzai-load"]
    product, _ = MarketProduct.objects.get_or_create(
        code="slow",
        defaults={"name": "三次", "name_en": "Tertiary", "response_s": 900,
                  "quantity_min_kw": 1, "quantity_tick_kw": 1},
    )  # fmt: skip
    row, _ = Prequalification.objects.get_or_create(
        resource=resource,
        product=product,
        area=places.area,
        defaults={
            "organisation": places.people.inzai_dc,
            "quantity_kw": 2_000,
            "state": "CHECKED",
            "requested_at": market_now(),
        },
    )
    asked = {
        "prequalification_id": row.id,
        "direction": "UP",
        "quantity_kw": D(2_000),
        "starts_at": jst(10),
        "ends_at": jst(11),
        "by": grid(places),
        **changes,
    }
    return trials.trial_order(**asked)


def run() -> None:
    for _ in range(20):
        due = [(job_id, kind) for job_id, kind in jobs_due() if kind in TRIED]
        if not due:
            return
        for job_id, kind in due:
            claim = job_claim(job_id=job_id)
            if claim is not None:
                TRIED[kind](claim=claim)


def metered(meter: Meter, *values: tuple[float, float]) -> None:
    readings_ingest(
        rows=[
            ReadingRow(
                point_number=meter.point_number, start_at=jst(hour), energy_kwh=D(repr(kw)) / 2
            )
            for hour, kw in values
        ],
        source="test",
    )


@pytest.fixture
def places() -> cast.Places:
    freeze(jst(8))
    return cast.places()


def sent(places: cast.Places) -> tuple[Trial, Meter, Ven]:
    meter = Meter.objects.create(
        point_number=f"03{7:020d}", resource=places.resources["inzai-load"]
    )
    ven = Ven(places.people.inzai_dc).enrol(LOAD)
    row = tried(places)
    run()
    row.refresh_from_db()
    assert row.state == "PLANNED"  # nobody is told its hour before its time
    freeze(jst(9.75))
    run()
    event = Event.objects.get(key=f"trial:{row.id}")
    assert event.body["intervals"][0]["payloads"][0] == {
        "type": "DISPATCH_SETPOINT_RELATIVE", "values": [-2000],
    }  # fmt: skip
    assert ven.post("reports", ack_report(event, name=LOAD)).status_code == 201
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"
    return row, meter, ven


def test_a_test_is_told_scored_and_its_evidence_kept(places: cast.Places) -> None:
    row, meter, _ = sent(places)
    freeze(jst(11))
    run()
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"  # its readings are still to come
    metered(meter, (8.5, 20_000), (9, 20_200), (10, 18_100), (10.5, 18_300))
    freeze(jst(11.1))
    run()
    row.refresh_from_db()
    # before 20,100 on average; 2,000 of 2,000 and 1,800 of 2,000
    assert (row.state, row.score_ratio) == ("PASSED", D("0.9500"))
    assert row.evidence["during"] == [
        [jst(10).isoformat(), "18100.000", "2000.000"],
        [jst(10.5).isoformat(), "18300.000", "1800.000"],
    ]
    written = json.dumps(row.evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row.evidence_sha256 == hashlib.sha256(written.encode()).hexdigest()


def test_a_site_that_does_too_little_fails_and_the_desk_hears_of_it(places: cast.Places) -> None:
    row, meter, _ = sent(places)
    freeze(jst(11.1))
    metered(meter, (8.5, 20_000), (9, 20_000), (10, 18_000), (10.5, 18_500))
    run()
    row.refresh_from_db()
    # a good mean, but 1,500 of 2,000 in the second half hour
    assert (row.state, row.score_ratio) == ("FAILED", D("0.8750"))
    assert Job.objects.filter(kind=services.ALARM_KIND, key=f"trial.failed:{row.id}").exists()


def test_what_is_never_metered_counts_as_not_done(places: cast.Places) -> None:
    row, meter, _ = sent(places)
    freeze(jst(11.1))
    metered(meter, (8.5, 20_000), (9, 20_000), (10, 18_000))
    run()
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"
    freeze(jst(17.1))
    run()
    row.refresh_from_db()
    assert (row.state, row.score_ratio) == ("FAILED", D("0.5000"))


def test_a_silent_site_fails_its_test(places: cast.Places) -> None:
    row = tried(places)
    freeze(jst(9.75))
    run()
    freeze(jst(11))
    run()
    row.refresh_from_db()
    assert (row.state, row.reason) == ("FAILED", SILENT)
    with pytest.raises(InstructionClosed):
        trials.trial_answer(trial_id=row.id, accepted=True, reason="")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quantity_kw": D(2_001)}, "quantity_kw"),
        ({"direction": "SIDEWAYS"}, "direction"),
        ({"starts_at": jst(10.1)}, "starts_at"),
        ({"starts_at": jst(8)}, "starts_at"),
        ({"ends_at": jst(17)}, "ends_at"),
    ],
)
def test_a_wrong_test_names_what_is_wrong(
    places: cast.Places, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        tried(places, **change)
    assert refusal.value.field == field


def test_tests_do_not_overlap_and_only_the_grid_operator_orders_one(places: cast.Places) -> None:
    tried(places)
    with pytest.raises(Conflict):
        tried(places, starts_at=jst(10.5), ends_at=jst(11.5))
    trader = sight_of(cast.member("trader", places.people.inzai_dc, Role.OPERATOR_TRADER))
    with pytest.raises(NotPermitted):
        tried(places, by=trader, starts_at=jst(12), ends_at=jst(13))


def test_the_desk_orders_a_test_and_calls_it_off(places: cast.Places) -> None:
    trader = sight_of(cast.member("trader", places.people.inzai_dc, Role.OPERATOR_TRADER))
    desk = sight_of(cast.member("desk", places.people.platform, Role.MARKET_DESK))
    row = tried(places, by=desk)
    assert (row.state, row.ordered_by) == ("PLANNED", desk.actor)
    freeze(jst(9.75))
    run()  # the site was told, so its trader sees it, and may not call it off
    with pytest.raises(NotPermitted):
        trials.trial_cancel(trial_id=row.id, reason="no", by=trader)
    off = trials.trial_cancel(trial_id=row.id, reason="a storm", by=desk)
    assert (off.state, off.reason) == ("CANCELLED", "a storm")
    run()
    # the site is told that nothing is asked of it any more, in both half hours
    event = Event.objects.get(key=f"trial:{row.id}")
    assert [one["payloads"][0]["values"] for one in event.body["intervals"]] == [[0], [0]]
