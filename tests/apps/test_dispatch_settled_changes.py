"""A changed order is verified and paid by the version in force at each half hour."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.parties.models import Organisation
from aggregator.core.settlement import Share
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
)
from aggregator.metering.models import Delivery, Stage, StandInDelivery
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute
from aggregator.settlement import staging
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.runs import settlement_run_execute
from tests import cast, delivery_days, settled_day

pytestmark = pytest.mark.django_db
D = Decimal
S = InstructionState


def _versions(
    day: cast.MarketDay,
    name: str,
    changed: dict[int, tuple[int, str | None, bool]],
    *,
    state: str = S.FINISHED,
) -> DispatchInstruction:
    """Give an award its order and, from the first changed half hour on, the version after it."""
    award = day.awards[name]
    spans = list(award.intervals.order_by("t"))
    common = {
        "award": award,
        "bid": award.bid,
        "organisation": award.organisation,
        "resource": award.resource,
        "direction": award.direction,
    }
    first_t = min(changed)
    is_longer = first_t > spans[-1].t
    times = {
        "starts_at": spans[0].start_at,
        "ends_at": settled_day.half_hour(day, spans[-1].t + 1),
        "send_at": spans[0].start_at,
        "respond_by_at": spans[0].start_at,
    }
    first = DispatchInstruction.objects.create(
        **common,
        **times,
        acknowledged_at=spans[0].start_at,
        state=S.EXTENDED if is_longer else S.PARTIAL,
        finished_at=spans[0].start_at,
    )
    InstructionInterval.objects.bulk_create(
        InstructionInterval(
            instruction=first, t=row.t, start_at=row.start_at, quantity_kw=row.quantity_kw
        )
        for row in spans
    )
    start_at = settled_day.half_hour(day, first_t)
    made = DispatchInstruction.objects.create(
        **common,
        version=2,
        replaces=first,
        takes_over_at=start_at,
        payer=day.places.people.grid_t if is_longer else None,
        starts_at=start_at,
        ends_at=settled_day.half_hour(day, max(changed) + 1),
        send_at=start_at,
        respond_by_at=start_at,
        acknowledged_at=start_at,
        state=state,
        finished_at=start_at if state == S.CANCELLED else None,
    )
    InstructionInterval.objects.bulk_create(
        InstructionInterval(
            instruction=made,
            t=t,
            start_at=settled_day.half_hour(day, t),
            quantity_kw=kw,
            replacement_price_jpy_per_kwh=price and D(price),
            is_added=is_added,
        )
        for t, (kw, price, is_added) in changed.items()
    )
    return made


def _settled(day: cast.MarketDay) -> SettlementRun:
    settled_day.metered(day)
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    return settlement_run_execute(auction_id=day.auction.id)


def _lines(
    run: SettlementRun, day: cast.MarketDay, name: str
) -> dict[tuple[str, int | None], Decimal]:
    found: dict[tuple[str, int | None], Decimal] = {}
    for row in SettlementLine.objects.filter(run=run, award=day.awards[name]):
        house = row.payer.organisation.code == "wattbit"
        sign = 1 if house else -1
        key = (row.item, row.t)
        found[key] = found.get(key, D(0)) + sign * row.amount_exact_jpy
    return found


def test_less_is_paid_for_what_it_still_orders_without_a_penalty() -> None:
    day = settled_day.published(settled_day.settled_places())
    # the scarce half hour, in which the site delivers 3,500 of 4,500 kWh, is cut to 6,000 kW
    rest = dict.fromkeys((37, 38, 39), (9_000, None, False))
    made = _versions(day, "inzai-defer", {36: (6_000, "150.00", False), **rest})
    run = _settled(day)
    own = Delivery.objects.get(award=day.awards["inzai-defer"], t=36)
    assert (own.delivered_kwh, own.cause, own.is_excused) == (0, "EXCUSED", True)
    counted = StandInDelivery.objects.get(instruction=made)
    # 3,000 kWh are ordered now, and 3,500 came
    assert (counted.t, counted.ordered_kwh, counted.delivered_kwh, counted.over_kwh) == (
        36, 3_000, 3_000, 500,
    )  # fmt: skip
    assert not StandInDelivery.objects.exclude(t=36).exists()
    lines = _lines(run, day, "inzai-defer")
    assert lines["SELLER_ENERGY", 36] == 675_000  # as sold: 4,500 at 150
    assert lines["SHORTFALL_REFUND", 36] == -675_000
    assert lines["REPLACEMENT", 36] == 450_000  # 3,000 at 150
    assert ("SHORTFALL_PENALTY", 36) not in lines
    # what is not ordered any more goes back to the buyers
    assert lines["SHORTFALL_CREDIT", 36] == 225_000
    # the others stay as they were sold
    assert lines["SELLER_ENERGY", 37] == 270_000
    assert ("REPLACEMENT", 37) not in lines
    assert settlement_replay(run_id=run.pk).is_identical


def test_longer_is_paid_by_who_agreed_to_it_and_costs_the_buyers_nothing() -> None:
    day = settled_day.published(settled_day.settled_places())
    made = _versions(day, "inzai-battery-up", {40: (4_000, "70.00", True)})
    meters = settled_day.metered(day)
    readings_ingest(
        rows=[
            ReadingRow(
                point_number=meters["inzai-battery"].point_number,
                start_at=settled_day.half_hour(day, 40),
                energy_kwh=D(-1_500),
                stage=Stage.FINAL,
            )
        ],
        source="correction",
    )
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    run = settlement_run_execute(auction_id=day.auction.id)
    counted = StandInDelivery.objects.get(instruction=made)
    assert (counted.ordered_kwh, counted.delivered_kwh, counted.shortfall_kwh) == (
        2_000, 1_500, 500,
    )  # fmt: skip
    rows = SettlementLine.objects.filter(run=run, item="REPLACEMENT").order_by("id")
    moved = {(row.payer.organisation.code, row.payee.organisation.code): row.amount_exact_jpy
             for row in rows}  # fmt: skip
    # 1,500 kWh at 70
    assert moved == {("wattbit", "inzai-dc"): 105_000, ("grid-t", "wattbit"): 105_000}
    assert not SettlementLine.objects.filter(run=run, item="SHORTFALL_CREDIT", t=40).exists()
    # the award's own half hours are as they were
    own = Delivery.objects.filter(award=day.awards["inzai-battery-up"])
    assert set(own.values_list("shortfall_kwh", flat=True)) == {D(0)}
    assert settlement_replay(run_id=run.pk).is_identical


def test_what_a_changed_order_still_asks_carries_the_penalty_of_any_order() -> None:
    day = settled_day.published(settled_day.settled_places())
    # 3,500 of 4,000 kWh come: 500 are missing, 400 may
    rest = dict.fromkeys((37, 38, 39), (9_000, None, False))
    _versions(day, "inzai-defer", {36: (8_000, "150.00", False), **rest})
    run = _settled(day)
    lines = _lines(run, day, "inzai-defer")
    assert lines["REPLACEMENT", 36] == 525_000  # 3,500 at 150
    # half the price of 100 kWh more, as of an order that nobody changed
    assert lines["SHORTFALL_PENALTY", 36] == -7_500
    # 675,000 back as sold, less 525,000, and the penalty
    assert lines["SHORTFALL_CREDIT", 36] == 157_500
    assert settlement_replay(run_id=run.pk).is_identical


def test_what_is_missing_of_a_changed_order_is_charged_as_imbalance_where_rules_say_so() -> None:
    settlement = {**settled_day.SETTLEMENT, "imbalance_borne_by": "SELLER"}
    day = settled_day.published(settled_day.settled_places(settlement))
    price = Decimal(str(day.auction.ruleset.rules["clearing"]["deviation_price_jpy_per_kwh"]))
    assert price > 0
    # 3,500 of 4,000 kWh come: 500 are missing, whatever is tolerated
    rest = dict.fromkeys((37, 38, 39), (9_000, None, False))
    _versions(day, "inzai-defer", {36: (8_000, "150.00", False), **rest})
    run = _settled(day)
    caused = SettlementLine.objects.filter(run=run, item="IMBALANCE_CAUSED", t=36)
    moved = [(row.payer.code, row.payee.code, row.amount_exact_jpy) for row in caused]
    award = day.awards["inzai-defer"]
    assert {row.award_id for row in caused} == {award.id}
    assert sorted(moved) == [
        ("clearing", "imbalance-03", 500 * price),
        ("member", "clearing", 500 * price),
    ]
    assert settlement_replay(run_id=run.pk).is_identical


@pytest.mark.parametrize("state", [S.OPTED_OUT, S.CANCELLED])
def test_a_change_that_was_declined_or_taken_back_carries_none(state: str) -> None:
    day = settled_day.published(settled_day.settled_places())
    rest = dict.fromkeys((37, 38, 39), (9_000, None, False))
    _versions(day, "inzai-defer", {36: (8_000, "150.00", False), **rest}, state=state)
    lines = _lines(_settled(day), day, "inzai-defer")
    assert lines["SHORTFALL_REFUND", 36] == -675_000
    assert lines["SHORTFALL_CREDIT", 36] == 675_000
    assert not {("REPLACEMENT", 36), ("SHORTFALL_PENALTY", 36)} & lines.keys()


def test_who_pays_for_what_it_takes_pays_for_what_a_changed_order_leaves_of_it() -> None:
    day = settled_day.published(settled_day.settled_places())
    award = day.awards["inzai-battery-down"]
    _versions(day, "inzai-battery-down", dict.fromkeys(cast.MIDDAY, (2_000, "-6.00", False)))
    run = _settled(day)
    lines = _lines(run, day, "inzai-battery-down")
    for t in cast.MIDDAY:
        # 2,500 kWh at 6 were sold to it, and go back; it takes 1,000
        assert lines["SELLER_ENERGY", t] == -15_000
        assert lines["SHORTFALL_REFUND", t] == 15_000
        took = SettlementLine.objects.get(
            run=run, award=award, item="REPLACEMENT", t=t, payer__organisation__code="inzai-dc"
        )
        assert (took.payee.organisation.code, took.amount_exact_jpy) == ("wattbit", 6_000)
        # the buyers return what they were to receive for the rest: 9,000
        assert lines["REPLACEMENT", t] == -15_000
    assert settlement_replay(run_id=run.pk).is_identical


@pytest.mark.parametrize(
    ("weights", "borne"),
    [
        ({}, {"grid-t": D(25_000)}),
        # 1,000 kWh at 25: two thirds and one third of 25,000, to the millionth
        ({"grid-t": 2, "grid-u": 1}, {"grid-t": D("16666.666667"), "grid-u": D("8333.333333")}),
    ],
    ids=["its operator", "who bought it"],
)
def test_what_stands_in_for_called_capacity_is_paid_by_who_bought_it(
    monkeypatch: pytest.MonkeyPatch, weights: dict[str, int], borne: dict[str, Decimal]
) -> None:
    day = settled_day.published(settled_day.settled_places())
    held = delivery_days.held(day)
    if weights:
        cast.organisation("grid-u", cast.OrganisationKind.TSO, "グリッドU", "Grid-U")
        monkeypatch.setattr(
            staging,
            "capacity_buyers",
            lambda result: {
                (str(held.product_id), held.resource.site.area_id, 11): tuple(
                    Share(
                        account=result.parties.member(Organisation.objects.get(code=code)),
                        weight=D(weight),
                        need=str(day.needs["local"].id),
                    )
                    for code, weight in weights.items()
                )
            },
        )
    load = day.places.resources["inzai-load"]
    start_at = settled_day.half_hour(day, 11)
    common = {
        "award": held,
        "direction": held.direction,
        "starts_at": start_at,
        "ends_at": settled_day.half_hour(day, 12),
        "send_at": start_at,
        "respond_by_at": start_at,
    }
    lost = DispatchInstruction.objects.create(
        **common, bid=held.bid, organisation=held.organisation, resource=held.resource, call=1,
        state=S.REPLACED,
    )  # fmt: skip
    made = DispatchInstruction.objects.create(
        **common, bid=day.bids["inzai-defer"], organisation=load.site.organisation, resource=load,
        version=2, replaces=lost, payer=day.places.people.grid_t, acknowledged_at=start_at,
        state=S.FINISHED,
    )  # fmt: skip
    InstructionInterval.objects.create(
        instruction=made, t=11, start_at=start_at, quantity_kw=2_000, is_added=True,
        replacement_price_jpy_per_kwh=25,
    )  # fmt: skip
    meters = settled_day.metered(day)
    readings_ingest(
        rows=[
            ReadingRow(
                point_number=meters["inzai-load"].point_number,
                start_at=start_at,
                energy_kwh=settled_day.USUAL_KWH - 1_000,
                stage=Stage.FINAL,
            )
        ],
        source="correction",
    )
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    run = settlement_run_execute(auction_id=day.auction.id)
    rows = SettlementLine.objects.filter(run=run, award=held, item="REPLACEMENT")
    moved = {(row.payer.organisation.code, row.payee.organisation.code): row.amount_exact_jpy
             for row in rows}  # fmt: skip
    assert moved == {
        ("wattbit", "inzai-dc"): 25_000,
        **{(code, "wattbit"): amount for code, amount in borne.items()},
    }
    assert not SettlementLine.objects.filter(run=run, award=held, item="SHORTFALL_CREDIT").exists()
    assert settlement_replay(run_id=run.pk).is_identical
