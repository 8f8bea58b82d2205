"""Who stands in for a site that declines or is silent, read from the rows of a real day."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.dispatch import services
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.replacements import NO_REPLACEMENT
from market.clearing.models import Award, AwardInterval, Leg
from market.trading.models import Bid, BidContent, BidForm, Mechanism
from tests import cast
from tests.dispatching import freeze, instruction, jst, sent_day, work

pytestmark = pytest.mark.django_db
S = InstructionState


def _bid(day: cast.MarketDay, unit: str, steps: list[tuple[str, str]], *, name: str) -> Bid:
    resource = day.places.resources[unit]
    bid = Bid.objects.create(
        client_bid_id=name,
        auction=day.auction,
        organisation=resource.site.organisation,
        resource=resource,
        form=BidForm.STEPS,
        mechanism=Mechanism.STOP,
        received_at=day.auction.gate_closure_at,
        leaf_sha256="0" * 64,
    )
    content = {
        "direction": "UP",
        "curves": [
            {
                "first_t": 34,
                "last_t": 39,
                "steps": [{"quantity_kw": kw, "ask_jpy_per_kwh": ask} for kw, ask in steps],
            }
        ],
    }
    BidContent.objects.create(bid=bid, content=content)
    return bid


def _declined(day: cast.MarketDay, name: str) -> DispatchInstruction:
    row = instruction(day, name)
    services.instruction_opt_out(
        instruction_id=row.id, organisation=row.organisation, reason="ポンプ故障"
    )
    work(services.REPLACE_KIND)
    row.refresh_from_db()
    return row


def test_the_cheapest_offers_left_with_the_same_effect_stand_in() -> None:
    day = sent_day()
    # Shiroi declines 6,000. Inzai relieves the line twice as well; its load has 12,000 less
    # the 9,000 awarded left, which its new offer asks 40 yen for the first 2,000 of, then 60
    stop = _bid(day, "inzai-load", [("2000", "40.00"), ("2000", "60.00")], name="stop")
    lost = _declined(day, "shiroi-cap")
    assert lost.state == S.REPLACED
    stand_in = lost.replaced_by.get()
    assert (stand_in.bid, stand_in.version, stand_in.award) == (stop, 2, lost.award)
    assert stand_in.organisation == day.places.people.inzai_dc
    evening = list(stand_in.intervals.values_list("t", "quantity_kw"))
    assert evening == [(t, Decimal(3_000)) for t in cast.EVENING]
    # (2,000 · 40 + 1,000 · 60) / 3,000 = 46.666… rounded up: never below the ask
    prices = set(stand_in.intervals.values_list("replacement_price_jpy_per_kwh", flat=True))
    assert prices == {Decimal("46.67")}
    assert lost.reason == "ポンプ故障; replaced: 50% of what was lost"


def test_a_place_with_less_effect_does_not_stand_in() -> None:
    day = sent_day()
    # Shiroi relieves the Inzai line by 1/3 kW per kW, the lost battery by 2/3
    _bid(day, "shiroi-load", [("4000", "1.00")], name="cheap-but-far")
    lost = _declined(day, "inzai-battery-up")
    assert (lost.state, lost.reason) == (S.OPTED_OUT, f"ポンプ故障; {NO_REPLACEMENT}")
    assert not lost.replaced_by.exists()


def test_no_stand_in_costs_more_than_the_needs_would_pay() -> None:
    day = sent_day()
    # Shiroi serves the line by 1/3 of 180 yen and the area's need of 60 yen: 120 yen at most
    _bid(day, "inzai-load", [("1000", "120.00"), ("1000", "120.01")], name="dear")
    lost = _declined(day, "shiroi-cap")
    quantities = set(lost.replaced_by.get().intervals.values_list("quantity_kw", flat=True))
    assert quantities == {Decimal(1_000)}


def test_what_is_awarded_already_is_not_sold_twice() -> None:
    day = sent_day()
    # the load's limit of 12,000 holds 9,000 of the award: 3,000 are left for both bids together
    _bid(day, "inzai-load", [("2000", "40.00")], name="a")
    _bid(day, "inzai-load", [("2000", "41.00")], name="b")
    lost = _declined(day, "shiroi-cap")
    quantities = sorted(row.intervals.first().quantity_kw for row in lost.replaced_by.all())
    assert quantities == [Decimal(1_000), Decimal(2_000)]


def test_a_silent_site_is_replaced_too_and_the_stand_in_is_asked_at_once() -> None:
    day = sent_day()
    _bid(day, "inzai-load", [("3000", "40.00")], name="stop")
    for name in ("inzai-battery-up", "inzai-defer"):
        services.instruction_acknowledge(
            instruction_id=instruction(day, name).id, organisation=day.places.people.inzai_dc
        )
    freeze(jst(16.25))
    work()
    lost = instruction(day, "shiroi-cap")
    assert lost.state == S.REPLACED
    stand_in = lost.replaced_by.get()
    # start 17:00; the regular deadline is past: a quarter of the half hour of response time
    assert (stand_in.state, stand_in.respond_by_at) == (S.SENT, jst(16.375))


def test_a_replacement_is_made_once_however_often_the_job_runs() -> None:
    from accounts.jobs.models import Job

    day = sent_day()
    _bid(day, "inzai-load", [("3000", "40.00")], name="stop")
    lost = _declined(day, "shiroi-cap")
    Job.objects.filter(kind=services.REPLACE_KIND).delete()
    services.job_create(kind=services.REPLACE_KIND, key=str(lost.id))
    work(services.REPLACE_KIND)
    assert lost.replaced_by.count() == 1


def test_a_resource_that_declined_is_not_asked_to_stand_in() -> None:
    day = sent_day()
    _bid(day, "inzai-load", [("3000", "40.00")], name="stop")
    # neither for itself, nor for another
    for name in ("inzai-defer", "shiroi-cap"):
        assert _declined(day, name).state == S.OPTED_OUT


def test_half_hours_that_have_begun_are_not_asked_for_again() -> None:
    day = sent_day()
    _bid(day, "inzai-load", [("3000", "40.00")], name="stop")
    row = instruction(day, "shiroi-cap")
    services.instruction_opt_out(
        instruction_id=row.id, organisation=row.organisation, reason="late"
    )
    freeze(jst(18))  # the worker was down: t = 34, 35 are over, 36 has begun
    work(services.REPLACE_KIND)
    row.refresh_from_db()
    asked = list(row.replaced_by.get().intervals.values_list("t", flat=True))
    assert asked == [37, 38, 39]


def test_when_one_end_of_a_shift_declines_the_other_does_not_act() -> None:
    day = sent_day()
    resource = day.places.resources["inzai-load"]
    made = []
    for leg, direction, unit in (
        (Leg.SHIFT_OUT, "UP", resource),
        (Leg.SHIFT_IN, "DOWN", day.places.resources["shiroi-load"]),
    ):
        award = Award.objects.create(
            run=day.run,
            auction=day.auction,
            bid=day.bids["inzai-defer"],
            organisation=day.places.people.inzai_dc,
            resource=unit,
            leg=leg,
            direction=direction,
        )
        AwardInterval.objects.create(
            award=award, t=44, start_at=jst(22), quantity_kw=500, price_jpy_per_kwh=10
        )
        made.append(award)
    services.job_create(
        kind=services.PLAN_KIND, key="shift", payload={"auction": str(day.auction.id)}
    )
    freeze(jst(16))
    work(services.PLAN_KIND)
    work(services.SEND_KIND)
    out, into = (DispatchInstruction.objects.get(award=award) for award in made)
    assert (out.state, into.state) == (S.SENT, S.SENT)
    services.instruction_opt_out(
        instruction_id=out.id, organisation=day.places.people.inzai_dc, reason="fault"
    )
    into.refresh_from_db()
    assert (into.state, into.reason) == (S.OPTED_OUT, services.OTHER_END)
    # a bid's other awards, which are no shift, go on
    assert instruction(day, "inzai-defer").state == S.SENT
