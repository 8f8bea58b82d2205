"""The baseline test of a resource, what it assigns, and what verification makes of that."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from accounts.audit.models import AuditEntry
from accounts.core.errors import Refused
from aggregator.core.baseline_variants import Method, parameters_written, variant_from_mapping
from aggregator.core.baselines import XOfY
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval
from aggregator.metering.assignments import (
    MethodAssigned,
    TermBegun,
    assigned_methods,
    assignments_on,
    baseline_test,
    baseline_test_latest,
)
from aggregator.metering.calendar import day_start
from aggregator.metering.fine import FineRow, fine_readings_ingest
from aggregator.metering.models import (
    Baseline,
    BaselineAssignment,
    BaselineTest,
    DeclaredSchedule,
    Stage,
)
from aggregator.metering.rules import baseline_rules_from_mapping
from aggregator.metering.schedules import gate_of, schedule_declare
from aggregator.metering.services import ReadingRow, meter_register, readings_ingest
from aggregator.metering.verifications import verification_execute
from market.registry.models import Ruleset
from tests import cast, settled_day

pytestmark = pytest.mark.django_db

POINT = "0310000000000000000101"
NOW_ON = date(2026, 11, 24)
TERM = (date(2026, 12, 1), date(2027, 1, 1))
HALF_HOUR = timedelta(minutes=30)
RULES = {
    "test": {
        "candidates": ["HIGH_4_OF_5_RAW", "BEFORE"],
        "history_days": 14,
        "starts": [20],
        "length": 2,
        "events_min": 5,
    }
}


def _places(rules: dict[str, Any]) -> cast.Places:
    Ruleset.objects.create(
        version="2026-09-01",
        valid_from_on=date(2026, 9, 1),
        rules={**cast.RULES, "baseline": rules},
    )
    return cast.places()


def _kwh(day: date, t: int) -> Decimal:
    """Make a level that changes from day to day, and 100 kWh more in t = 20, 21."""
    return Decimal(10_000 if day.day % 2 else 9_000) + (100 if t in (20, 21) else 0)


@pytest.fixture
def load() -> cast.Resource:
    where = _places(RULES)
    cast.market_time(day_start(NOW_ON) + timedelta(hours=12))
    resource = where.resources["inzai-load"]
    meter_register(point_number=POINT, resource=resource)
    rows = []
    for n in range(1, 60):
        day = NOW_ON - timedelta(days=n)
        rows += [
            ReadingRow(POINT, day_start(day) + t * HALF_HOUR, _kwh(day, t), 0, 3) for t in range(48)
        ]
    readings_ingest(rows=rows, source="history")
    return resource


def _as_of() -> datetime:
    return day_start(NOW_ON) + timedelta(hours=12)


def test_the_method_with_the_least_error_is_assigned_for_the_term(load: cast.Resource) -> None:
    assignment = baseline_test(resource=load, as_of=_as_of(), term=TERM)
    assert assignment is not None
    # The 14 days before Tuesday 24 are 10 to 23 November; Monday 23 is a holiday, so nine
    # weekdays are left: 10–13, 16–20 = 10, 11, 12, 13, 16, 17, 18, 19, 20: four odd, five even.
    # BEFORE is 100 kWh too low everywhere: −100 / ((4 · 10,100 + 5 · 9,100) / 9) =
    # −100 · 9 / 85,900 = −0.010477; its CV-RMSE is the same. The mean is 9,544.4 kWh or
    # 19,088.9 kW; 2 · 0.010477 · 19,088.889 = 399.989, up to 400.0 kW.
    assert (assignment.variant, assignment.method) == ("BEFORE", "BEFORE")
    assert assignment.bias_ratio == Decimal("-0.010477")
    assert assignment.cv_rmse_ratio == Decimal("0.010477")
    assert assignment.smallest_kw == Decimal("400.0")
    assert (assignment.valid_from_on, assignment.valid_to_on) == TERM
    by_name = {row["variant"]: row for row in assignment.test.figures}
    assert set(by_name) == {"HIGH_4_OF_5_RAW", "BEFORE"}
    assert by_name["BEFORE"]["events_count"] == 9
    assert Decimal(by_name["HIGH_4_OF_5_RAW"]["cv_rmse_ratio"]) > assignment.cv_rmse_ratio
    assert AuditEntry.objects.filter(action="metering.baseline.tested").count() == 1


def test_the_same_test_again_changes_nothing_and_another_is_told(load: cast.Resource) -> None:
    first = baseline_test(resource=load, as_of=_as_of(), term=TERM)
    again = baseline_test(resource=load, as_of=_as_of(), term=TERM)
    assert first == again
    assert BaselineTest.objects.count() == 1
    with pytest.raises(MethodAssigned, match="BEFORE"):
        baseline_test(resource=load, as_of=_as_of(), term=(TERM[1] - timedelta(days=1), TERM[1]))
    following = (TERM[1], TERM[1] + timedelta(days=31))
    assert baseline_test(resource=load, as_of=_as_of(), term=following) is not None


def test_what_was_known_later_does_not_count(load: cast.Resource) -> None:
    early = day_start(date(2026, 10, 1))
    with pytest.raises(Refused, match="not to come"):
        baseline_test(resource=load, as_of=_as_of() + timedelta(days=1), term=TERM)
    # In September nothing had been read yet: a test without an assignment, with its reason.
    assert baseline_test(resource=load, as_of=early, term=TERM) is None
    test = baseline_test_latest(resource_id=load.pk, on=TERM[0])
    assert test is not None
    assert (test.variant, test.reason) == ("", "no candidate on 5 events or more")


@pytest.mark.parametrize(
    "term",
    [(NOW_ON, date(2026, 12, 31)), (NOW_ON - timedelta(days=3), date(2026, 12, 31))],
)
def test_a_term_that_has_begun_gets_no_method(load: cast.Resource, term: tuple[date, date]) -> None:
    with pytest.raises(TermBegun):
        baseline_test(resource=load, as_of=_as_of(), term=term)


def test_an_empty_term_and_a_resource_without_a_meter_are_refused(load: cast.Resource) -> None:
    with pytest.raises(Refused, match="1 to 400"):
        baseline_test(resource=load, as_of=_as_of(), term=(TERM[0], TERM[0]))
    bare = cast.Resource.objects.get(code="shiroi-dc-1-load")
    with pytest.raises(Refused, match="with a meter"):
        baseline_test(resource=bare, as_of=_as_of(), term=TERM)


def test_what_is_assigned_is_found_on_the_days_of_the_term_only(load: cast.Resource) -> None:
    baseline_test(resource=load, as_of=_as_of(), term=TERM)
    for on, expected in (
        (TERM[0] - timedelta(days=1), {}),
        (TERM[0], {load.pk: Method.BEFORE}),
        (TERM[1] - timedelta(days=1), {load.pk: Method.BEFORE}),
        (TERM[1], {}),
    ):
        found = assigned_methods(resource_ids=[load.pk], on=on)
        assert {key: variant.method for key, variant in found.items()} == expected
    (row,) = assignments_on(on=TERM[0])
    assert (row.resource, row.smallest_kw) == (load, Decimal("400.0"))


def test_the_database_lets_no_two_methods_overlap_and_none_change(load: cast.Resource) -> None:
    first = baseline_test(resource=load, as_of=_as_of(), term=TERM)
    assert first is not None
    test = BaselineTest.objects.get()
    test.pk, test.term_to_on, test.input_sha256 = None, TERM[1] + timedelta(days=1), "1" * 64
    test.save(force_insert=True)
    values = {
        name: getattr(first, name)
        for name in (
            "resource", "variant", "method", "parameters", "smallest_kw", "bias_ratio",
            "cv_rmse_ratio", "low_ratio", "high_ratio", "assigned_at",
        )
    }  # fmt: skip
    span = {"valid_from_on": TERM[1] - timedelta(days=1), "valid_to_on": TERM[1]}
    with pytest.raises(IntegrityError, match="already"), transaction.atomic():
        BaselineAssignment.objects.create(test=test, **values, **span)
    with pytest.raises(DatabaseError), transaction.atomic():
        BaselineAssignment.objects.filter(pk=first.pk).update(variant="DECLARED")


def _assign(resource: cast.Resource, name: str, mapping: dict[str, Any], on: date) -> None:
    variant = variant_from_mapping(name, mapping)
    test = BaselineTest.objects.create(
        resource=resource,
        as_of=day_start(on) - timedelta(days=2),
        history_from_on=on - timedelta(days=30),
        history_to_on=on - timedelta(days=2),
        term_from_on=on,
        term_to_on=on + timedelta(days=1),
        ruleset=Ruleset.objects.first(),
        figures=[],
        mean_kw=20_000,
        variant=name,
        input_sha256="0" * 64,
    )
    BaselineAssignment.objects.create(
        resource=resource,
        test=test,
        variant=name,
        method=str(variant.method),
        parameters=parameters_written(variant),
        valid_from_on=on,
        valid_to_on=on + timedelta(days=1),
        smallest_kw=0,
        bias_ratio=0,
        cv_rmse_ratio=0,
        low_ratio=0,
        high_ratio=0,
        assigned_at=day_start(on) - timedelta(days=2),
    )


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


def test_verification_stands_on_the_method_that_is_assigned(day: cast.MarketDay) -> None:
    settled_day.metered(day)
    resource = day.places.resources["inzai-load"]
    # Two hours before the evening the load reads 9,000 in t = 32, 33 alone: the hour before it.
    meter = resource.meter.point_number
    rows = [
        ReadingRow(meter, settled_day.half_hour(day, t), Decimal(9_000), 0, 3) for t in (32, 33)
    ]
    readings_ingest(rows=rows, source="correction")
    _assign(resource, "HOUR_BEFORE", {"method": "BEFORE"}, day.auction.delivery_on)
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    row = Baseline.objects.get(resource=resource)
    assert (row.method, row.variant) == ("BEFORE", "HOUR_BEFORE")
    assert set(row.baseline_kwh[34:40]) == {Decimal(9_000)}
    # The other load keeps the method of its kind.
    other = Baseline.objects.get(resource=day.places.resources["shiroi-load"])
    assert (other.method, other.variant) == ("HIGH_4_OF_5", "HIGH_4_OF_5")


def test_the_last_minutes_before_the_instruction_are_a_baseline(day: cast.MarketDay) -> None:
    meters = settled_day.metered(day)
    resource = day.places.resources["inzai-load"]
    _assign(
        resource, "LAST_5_MIN", {"method": "JUST_BEFORE", "minutes": 5}, day.auction.delivery_on
    )
    sent_at = settled_day.half_hour(day, 33)
    # 300 kWh a minute for five minutes: 18,000 kW, that is 9,000 kWh in a half hour.
    fine_readings_ingest(
        rows=[
            FineRow(
                meters["inzai-load"].point_number,
                sent_at - timedelta(minutes=n),
                1,
                Decimal(300),
                stage=Stage.FINAL,
            )
            for n in range(1, 6)
        ],
        source="fine",
    )
    award = day.awards["inzai-defer"]
    instruction = DispatchInstruction.objects.create(
        award=award,
        bid=award.bid,
        organisation=award.organisation,
        resource=resource,
        direction="UP",
        starts_at=settled_day.half_hour(day, 34),
        ends_at=settled_day.half_hour(day, 40),
        send_at=sent_at,
        respond_by_at=sent_at + timedelta(minutes=5),
        state="SENT",
        sent_at=sent_at,
    )
    InstructionInterval.objects.bulk_create(
        InstructionInterval(
            instruction=instruction,
            t=t,
            start_at=settled_day.half_hour(day, t),
            quantity_kw=9_000,
        )
        for t in cast.EVENING
    )
    verification_execute(auction_id=day.auction.id, stage="PRELIMINARY")
    row = Baseline.objects.get(resource=resource)
    assert (row.method, row.reason) == ("JUST_BEFORE", "")
    assert set(row.baseline_kwh[34:40]) == {Decimal(9_000)}


def test_a_plan_is_locked_at_the_gate(day: cast.MarketDay) -> None:
    resource = day.places.resources["inzai-load"]
    on, closes_at = day.auction.delivery_on, day.auction.gate_closure_at
    assert gate_of(on) == closes_at
    cast.market_time(closes_at - timedelta(seconds=1))
    schedule = schedule_declare(resource=resource, delivery_on=on, schedule_kwh=[1] * 48)
    assert schedule.available_at == closes_at - timedelta(seconds=1)
    cast.market_time(closes_at)
    for plan in ([1] * 48, [2] * 48):
        with pytest.raises(Refused, match="gate has not closed"):
            schedule_declare(resource=resource, delivery_on=on, schedule_kwh=plan)


def test_the_database_refuses_a_plan_after_the_gate(day: cast.MarketDay) -> None:
    resource = day.places.resources["inzai-load"]
    on, closes_at = day.auction.delivery_on, day.auction.gate_closure_at
    with pytest.raises(IntegrityError, match="gate"), transaction.atomic():
        DeclaredSchedule.objects.create(
            resource=resource,
            delivery_on=on,
            schedule_kwh=[1] * 48,
            available_at=closes_at,
        )


def test_parameters_variants_and_methods_come_from_the_ruleset() -> None:
    rules = baseline_rules_from_mapping(
        {
            "weekday_days": 6,
            "window": None,
            "cap_ratio": "0.2",
            "variants": {"CALM": {"method": "X_OF_Y", "rank": "MIDDLE", "weekday_days": 6}},
            "methods": {"DC_LOAD": "CALM"},
            "test": {"candidates": ["CALM"], "starts": [30], "noise_factor": "3"},
            "gaming": {"z_ratio": "4", "frozen_days": 5},
        }
    )
    usual = rules.variants["HIGH_4_OF_5"].rules
    assert isinstance(usual, XOfY)
    assert (usual.weekday_days, usual.window, usual.cap_ratio) == (6, None, Decimal("0.2"))
    assert rules.variant_of_kind("DC_LOAD").name == "CALM"
    assert rules.variant_of_kind("BATTERY").method == Method.METER_ONLY
    assert (rules.test.candidates, rules.test.trial.starts) == (("CALM",), (30,))
    assert (rules.gaming.z_ratio, rules.gaming.frozen_days) == (Decimal(4), 5)


@pytest.mark.parametrize(
    "mapping",
    [
        {"colour": "red"},
        {"weekday_days": "5"},
        {"variants": []},
        {"variants": {"": {"method": "BEFORE"}}},
        {"variants": {"X" * 25: {"method": "BEFORE"}}},
        {"variants": {"A": "BEFORE"}},
        {"methods": {"DC_LOAD": "NOWHERE"}},
        {"methods": {"MOON": "BEFORE"}},
        {"test": {"candidates": ["METER_ONLY"]}},
        {"test": {"candidates": ["NOWHERE"]}},
        {"test": {"history_days": 0}},
        {"test": {"starts": "20"}},
        {"test": {"starts": [47]}},
        {"gaming": {"z_ratio": "0"}},
        {"gaming": {"moon": 1}},
    ],
)
def test_a_section_that_says_something_unknown_is_refused(mapping: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        baseline_rules_from_mapping(mapping)
