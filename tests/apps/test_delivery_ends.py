"""Ends of shifts side by side, placement logs, and capacity that is held ready."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from accounts.core.errors import Refused
from aggregator.dispatch.models import (
    AvailabilityNotice,
)
from aggregator.metering import outcomes
from aggregator.metering.activations import activation_note
from aggregator.metering.counting import Facts
from aggregator.metering.fine import FineRow, fine_readings_ingest
from aggregator.metering.models import (
    Delivery,
    PlacementLog,
    ShiftCheck,
    Stage,
)
from aggregator.metering.placements import PlacementRefused, PlacementRow, placements_note
from aggregator.metering.selectors import (
    assessments_effective,
    shift_checks_effective,
)
from aggregator.metering.verifications import (
    ReadingsNotFinal,
    verification_execute,
)
from market.clearing.models import Award, CapacityInterval, Leg
from market.registry.models import MarketProduct
from market.trading.models import Bid, BidForm
from tests import settled_day
from tests.delivery_days import HELD, NIGHT, RichDay, _bid, later, read, rich_day
from tests.delivery_looks import corrected_look, delivery_now, final_look

pytestmark = pytest.mark.django_db
D = Decimal
PDF = b"%PDF-1.4\n%%EOF"


@pytest.fixture
def of() -> RichDay:
    return rich_day(labels=["jp"])


def _log(award: Award, ts: Iterable[int], gpu_h: str, label: str = "jp") -> list[PlacementRow]:
    return [PlacementRow(award_id=award.id, t=t, label=label, moved_gpu_h=D(gpu_h)) for t in ts]


def test_both_ends_of_a_shift_are_verified_together_net_per_element(of: RichDay) -> None:
    verification = final_look(of)
    check = ShiftCheck.objects.get(verification=verification, t=5)
    assert (check.award, check.moved_out_kwh, check.moved_in_kwh) == (
        of.shift_out,
        D(1_000),
        D(1_000),
    )
    assert (check.is_conserved, check.labels_ok, check.has_log) == (True, True, False)
    # 2,000 kW leave Inzai (h = −2/3) and arrive at Shiroi (−1/3), 3 % lost at both:
    # (−2/3 + 1/3) · 2,000 / 0.97 = −687.3 kW on the line
    loss = of.day.places.sites["inzai"].loss_ratio
    expected = (D(-2_000) / 3 / (1 - loss)).quantize(D("0.1"))
    assert check.effect_kw["counted"] == {"inzai-line": str(expected)}


def test_what_does_not_arrive_is_shortfall_at_both_ends(of: RichDay) -> None:
    first = final_look(of)
    later()
    # 600 of 1,000 kWh arrive at Shiroi at t = 5; Inzai's reading stays
    read(of, "shiroi-load", {5: 10_600})
    second = corrected_look(of)
    rows = Delivery.objects.filter(verification=second)
    assert {(row.award_id, row.delivered_kwh, row.shortfall_kwh) for row in rows} == {
        (of.shift_out.id, D(600), D(400)),
        (of.shift_in.id, D(600), D(400)),
    }
    check = shift_checks_effective(verification_id=second.pk).get(t=5)
    assert (check.is_conserved, check.counted_kwh, check.arrived_ratio) == (False, D(600), D("0.6"))
    assert shift_checks_effective(verification_id=first.pk).get(t=5).is_conserved


def test_a_placement_log_bears_out_a_shift_or_does_not(of: RichDay) -> None:
    final_look(of)
    later()
    seller = of.day.places.people.inzai_dc
    rows = _log(of.shift_out, [5, 6, 7], "100") + _log(of.shift_in, [5, 6], "100")
    # at t = 7 half of it ran under a label that Shiroi may not hold
    rows += _log(of.shift_in, [7], "50") + _log(of.shift_in, [7], "50", "medical")
    assert placements_note(organisation=seller, rows=rows, source="test").added == 7
    second = corrected_look(of, "PLACEMENT")
    checks = {row.t: row for row in ShiftCheck.objects.filter(verification=second)}
    assert sorted(checks) == [5, 6, 7]
    assert (checks[5].has_log, checks[5].is_conserved) == (True, True)
    assert (checks[7].is_conserved, checks[7].labels_refused) == (False, ["medical"])
    changed = Delivery.objects.filter(verification=second)
    assert {(row.t, row.delivered_kwh) for row in changed} == {(7, D(500))}
    # the log is put right: both count again
    later()
    again = _log(of.shift_in, [7], "100") + _log(of.shift_in, [7], "0", "medical")
    noted = placements_note(organisation=seller, rows=again, source="test")
    assert (noted.added, noted.revised) == (0, 2)
    third = corrected_look(of, "PLACEMENT")
    assert delivery_now(third, of.shift_out, 7).delivered_kwh == D(1_000)
    assert placements_note(organisation=seller, rows=again, source="test").unchanged == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"t": 20}, "rows[0].t"),
        ({"moved_gpu_h": None}, "rows[0].moved_gpu_h"),
        ({"moved_kwh": D(1)}, "rows[0].moved_gpu_h"),
        ({"moved_gpu_h": D(-1)}, "rows[0].moved_gpu_h"),
        ({"moved_gpu_h": D("NaN")}, "rows[0].moved_gpu_h"),
        ({"label": "\u0000"}, "rows[0].label"),
        ({"award_id": UUID(int=1)}, "rows[0].award"),
    ],
)
def test_a_log_with_a_wrong_row_is_refused_whole(
    of: RichDay, change: dict[str, object], field: str
) -> None:
    row = {"award_id": of.shift_out.id, "t": 5, "label": "jp", "moved_gpu_h": D(1)}
    wrong = PlacementRow(**{**row, **change})  # type: ignore[arg-type]
    good = _log(of.shift_in, [5], "1")
    with pytest.raises(Refused) as refused:
        placements_note(
            organisation=of.day.places.people.inzai_dc, rows=[wrong, *good], source="test"
        )
    assert refused.value.field == field
    assert not PlacementLog.objects.exists()


def test_a_log_is_of_own_shifts_in_one_unit(of: RichDay) -> None:
    rows = _log(of.shift_out, [5], "1")
    with pytest.raises(PlacementRefused, match="yours"):
        placements_note(organisation=of.day.places.people.shiroi_dc, rows=rows, source="test")
    seller = of.day.places.people.inzai_dc
    placements_note(organisation=seller, rows=rows, source="test")
    other = PlacementRow(award_id=of.shift_in.id, t=5, label="jp", moved_kwh=D(1))
    with pytest.raises(PlacementRefused, match="one unit"):
        placements_note(organisation=seller, rows=[other], source="test")


def test_capacity_held_is_assessed_by_what_was_there(of: RichDay) -> None:
    verification = final_look(of)
    rows = list(assessments_effective(verification_id=verification.pk).order_by("t"))
    assert [row.t for row in rows] == list(HELD)
    # the battery stood still: all of its 8,000 kW were there
    assert {(row.available_kw, row.shortfall_kw) for row in rows} == {(D(4_000), D(0))}
    assert {row.is_responsive for row in rows} == {None}
    later()
    # it discharged 2,500 kWh at t = 11 on its own account: 8,000 − 5,000 = 3,000 of 4,000 kW
    read(of, "inzai-battery", {11: -2_500})
    second = corrected_look(of)
    (row,) = second.assessments.all()
    assert (row.t, row.available_kw, row.shortfall_kw) == (11, D(3_000), D(1_000))


def test_a_call_is_assessed_by_the_response(of: RichDay) -> None:
    final_look(of)
    later()
    for t in (10, 11):
        activation_note(award_id=of.held.id, t=t, instructed_kw=D(2_000), actor="user:1")
    read(of, "inzai-battery", {10: -1_000, 11: -500})
    second = corrected_look(of, "ACTIVATION")
    good, bad = second.assessments.order_by("t")
    assert (good.instructed_kwh, good.responded_kwh, good.is_responsive) == (
        D(1_000),
        D(1_000),
        True,
    )
    assert (bad.responded_kwh, bad.is_responsive) == (D(500), False)
    # taken back: no call any more
    later()
    activation_note(award_id=of.held.id, t=11, instructed_kw=D(0), actor="user:1")
    third = corrected_look(of, "ACTIVATION")
    (row,) = third.assessments.all()
    assert (row.t, row.instructed_kwh, row.shortfall_kw) == (11, None, D(0))
    with pytest.raises(Refused, match="4000"):
        activation_note(award_id=of.held.id, t=11, instructed_kw=D("4000.1"), actor="user:1")


def test_unavailability_counts_as_declared_if_told_an_hour_before(of: RichDay) -> None:
    start = settled_day.half_hour(of.day, HELD[0])
    resource = of.day.places.resources["inzai-battery"]
    for number, (t, told) in enumerate(((10, 60), (11, 59)), start=1):
        at = settled_day.half_hour(of.day, t)
        AvailabilityNotice.objects.create(
            number=number,
            resource=resource,
            organisation=resource.site.organisation,
            starts_at=at,
            ends_at=at + timedelta(minutes=30),
            is_available=False,
            reason="点検",
            noted_at=at - timedelta(minutes=told),
        )
    assert start < settled_day.half_hour(of.day, 11)
    rows = assessments_effective(verification_id=final_look(of).pk)
    assert {row.t: row.is_declared for row in rows} == {10: True, 11: False, 12: False}


def test_what_is_not_metered_was_not_available(of: RichDay) -> None:
    read(of, "inzai-battery", {12: None})
    row = assessments_effective(verification_id=final_look(of).pk).get(t=12)
    assert (row.available_kw, row.shortfall_kw) == (None, D(4_000))


def test_the_night_s_shift_is_whole(of: RichDay) -> None:
    verification = final_look(of)
    for award in (of.shift_out, of.shift_in):
        rows = Delivery.objects.filter(verification=verification, award=award)
        assert [row.delivered_kwh for row in rows] == [D(1_000)] * len(NIGHT)


def _not_final_yet(of: RichDay, t: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the battery's reading of one half hour be a 速報 still."""
    place = (of.day.places.resources["inzai-battery"].id, t)
    real = outcomes._facts

    def early(*arguments: object) -> Facts:
        facts = real(*arguments)
        reading = replace(facts.readings[place], stage=int(Stage.PRELIMINARY))
        return replace(facts, readings={**facts.readings, place: reading})

    monkeypatch.setattr(outcomes, "_facts", early)


def test_capacity_held_is_not_paid_on_values_that_may_change(
    of: RichDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    _not_final_yet(of, HELD[-1], monkeypatch)
    verification_execute(auction_id=of.day.auction.id, stage="PRELIMINARY")
    with pytest.raises(ReadingsNotFinal):
        final_look(of)


def test_what_a_store_held_is_not_found_from_values_that_may_change(
    of: RichDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    _not_final_yet(of, 0, monkeypatch)
    # nobody told what it held: its readings before it is held ready do not count
    verification_execute(auction_id=of.day.auction.id, stage="PRELIMINARY")
    _bid(of.day, "inzai-battery", BidForm.STORAGE, {"first_t": 0, "start_kwh": "9000"})
    with pytest.raises(ReadingsNotFinal):
        final_look(of)


def test_a_response_is_not_paid_on_short_readings_that_may_change(of: RichDay) -> None:
    MarketProduct.objects.filter(code="dkw-fast").update(response_s=10)
    activation_note(award_id=of.held.id, t=10, instructed_kw=D(2_000), actor="user:1")
    start_at = settled_day.half_hour(of.day, 10)
    rows = [
        FineRow(
            of.meters["inzai-battery"].point_number,
            start_at + timedelta(minutes=5 * n),
            5,
            D(0),
            stage=int(Stage.FINAL if n else Stage.PRELIMINARY),
        )
        for n in range(6)
    ]
    fine_readings_ingest(rows=rows, source="gateway")
    with pytest.raises(ReadingsNotFinal):
        final_look(of)
    fine_readings_ingest(rows=[rows[0]._replace(stage=int(Stage.FINAL))], source="gateway")
    final_look(of)


def test_two_calls_of_one_meter_are_not_paid_twice_for_one_change(of: RichDay) -> None:
    bid = Bid.objects.create(
        client_bid_id="second",
        auction=of.held.auction,
        organisation=of.held.organisation,
        resource=of.held.resource,
        form=BidForm.CAPACITY,
        mechanism=of.held.bid.mechanism,
        received_at=of.held.bid.received_at,
        leaf_sha256="0" * 64,
    )
    other = Award.objects.create(
        run=of.held.run,
        auction=of.held.auction,
        bid=bid,
        organisation=of.held.organisation,
        resource=of.held.resource,
        leg=Leg.RESERVED,
        direction=of.held.direction,
        product=of.held.product,
    )
    CapacityInterval.objects.create(
        award=other,
        t=10,
        start_at=settled_day.half_hour(of.day, 10),
        quantity_kw=D(4_000),
        price_jpy_per_kw_30min=D(1),
    )
    for award in (of.held, other):
        activation_note(award_id=award.id, t=10, instructed_kw=D(2_000), actor="user:1")
    read(of, "inzai-battery", {10: -1_000})
    later()
    rows = assessments_effective(verification_id=final_look(of).pk).filter(t=10)
    # 1,000 kWh on two calls of 1,000 kWh each are 500 on each
    assert [(row.responded_kwh, row.is_responsive) for row in rows] == [(D(500), False)] * 2
