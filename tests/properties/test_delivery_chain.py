"""Whatever comes later, in whatever order: a chain of corrections counts as one fresh look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.clock.selectors import market_now
from aggregator.core.delivery import Direction, Ordered, deliver
from aggregator.metering.activations import activation_note
from aggregator.metering.models import (
    CapacityAssessment,
    Delivery,
    DeliveryVerification,
    ForceMajeure,
    ShiftCheck,
    StandInDelivery,
)
from aggregator.metering.outcome_rows import (
    ASSESSMENT_COLUMNS,
    CHECK_COLUMNS,
    DELIVERY_COLUMNS,
    STAND_IN_COLUMNS,
    assessment_values,
    check_values,
    delivery_values,
    stand_in_values,
)
from aggregator.metering.outcomes import outcome_of
from aggregator.metering.placements import PlacementRow, placements_note
from aggregator.metering.selectors import (
    assessments_effective,
    deliveries_effective,
    shift_checks_effective,
    stand_ins_effective,
)
from aggregator.metering.verifications import verification_correct, verification_execute
from market.trading.models import Auction
from tests import settled_day
from tests.delivery_days import HELD, NIGHT, RichDay, later, read, rich_day

D = Decimal
UNITS = ("inzai-load", "inzai-battery", "shiroi-load")
# half hours with orders, with capacity held, and with neither
SLOTS = st.sampled_from([*NIGHT, *HELD, 15, 22, 34, 35, 36, 39])


@pytest.fixture
def of(db: None) -> RichDay:
    return rich_day(labels=["jp"])


READINGS = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(UNITS),
        "values": st.dictionaries(
            SLOTS, st.none() | st.integers(-3_000, 12_000), min_size=1, max_size=4
        ),
    }
)
EXCUSES = st.fixed_dictionaries(
    {
        "whom": st.sampled_from(["inzai", "shiroi", "inzai-load", None]),
        "first": SLOTS,
        "minutes": st.integers(1, 200),
    }
)
LOGS = st.fixed_dictionaries(
    {
        "end": st.sampled_from(["out", "in"]),
        "t": st.sampled_from(list(NIGHT)),
        "label": st.sampled_from(["", "jp", "medical"]),
        "gpu_h": st.integers(0, 200),
    }
)
CALLS = st.fixed_dictionaries(
    {"t": st.sampled_from(list(HELD)), "kw": st.sampled_from([0, 1_000, 4_000])}
)
STEPS = st.lists(st.one_of(READINGS, EXCUSES, LOGS, CALLS), min_size=1, max_size=3)


def _happen(of: RichDay, step: dict[str, Any]) -> None:
    if "unit" in step:
        read(of, step["unit"], step["values"])
    elif "whom" in step:
        _excuse(of, step)
    elif "end" in step:
        award = of.shift_out if step["end"] == "out" else of.shift_in
        row = PlacementRow(
            award_id=award.id, t=step["t"], label=step["label"], moved_gpu_h=D(step["gpu_h"])
        )
        placements_note(organisation=of.day.places.people.inzai_dc, rows=[row], source="property")
    else:
        activation_note(
            award_id=of.held.id, t=step["t"], instructed_kw=D(step["kw"]), actor="user:1"
        )


def _excuse(of: RichDay, step: dict[str, Any]) -> None:
    starts_at = settled_day.half_hour(of.day, step["first"]) + timedelta(minutes=7)
    whom, places = step["whom"], of.day.places
    ForceMajeure.objects.create(
        organisation=places.people.platform,
        site=places.sites.get(whom),
        resource=places.resources.get(whom),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=step["minutes"]),
        reason="x",
        evidence_name="a.pdf",
        evidence_type="application/pdf",
        evidence_size_bytes=1,
        evidence_sha256="0" * 64,
        evidence=b"x",
        state="ACCEPTED",
        requested_by="user:1",
        requested_at=market_now(),
        decided_by="user:2",
        decided_at=market_now(),
        decision="x",
    )


def _counts(verification: DeliveryVerification) -> list[set[tuple[Any, ...]]]:
    """Return what counts after a verification, table by table."""
    id_ = verification.pk
    tables: list[tuple[Any, tuple[str, ...]]] = [
        (deliveries_effective(verification_id=id_), DELIVERY_COLUMNS),
        (stand_ins_effective(verification_id=id_), STAND_IN_COLUMNS),
        (shift_checks_effective(verification_id=id_), CHECK_COLUMNS),
        (assessments_effective(verification_id=id_), ASSESSMENT_COLUMNS),
    ]
    return [{_plain(row) for row in rows.values_list(*columns)} for rows, columns in tables]


def _fresh(of: RichDay, verification: DeliveryVerification) -> list[set[tuple[Any, ...]]]:
    """Return what one look at everything finds, as it was known to a verification."""
    auction = Auction.objects.select_related("ruleset").get(id=of.day.auction.id)
    found = outcome_of(auction, stage="FINAL", as_of=market_now())
    return [
        {_plain(delivery_values(row)) for row in found.rows},
        {_plain(stand_in_values(row)) for row in found.stand_ins},
        {_plain(check_values(row)) for row in found.checks},
        {_plain(assessment_values(row)) for row in found.assessments},
    ]


def _plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        f"{value:.6f}" if isinstance(value, D) else json.dumps(value, sort_keys=True, default=str)
        for value in values
    )


@contextmanager
def _undone() -> Iterator[None]:
    """Leave an example without a trace."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rounds=st.lists(STEPS, min_size=1, max_size=3))
def test_a_chain_counts_as_one_look_at_everything(
    of: RichDay, rounds: list[list[dict[str, Any]]]
) -> None:
    with _undone():
        verification = verification_execute(auction_id=of.day.auction.id, stage="FINAL")
        assert _counts(verification) == _fresh(of, verification)
        for steps in rounds:
            later()
            before = verification
            for step in steps:
                _happen(of, step)
            verification = verification_correct(auction_id=of.day.auction.id, cause_kind="READING")
            assert _counts(verification) == _fresh(of, verification)
            if verification != before:
                assert verification.corrects == before
                _only_what_differs(before, verification)
            # asked again, it writes nothing
            again = verification_correct(auction_id=of.day.auction.id, cause_kind="READING")
            assert again == verification
        _adds_up(verification)


def _only_what_differs(before: DeliveryVerification, after: DeliveryVerification) -> None:
    earlier = {(row[0], row[1]): row for row in _counts(before)[0]}
    for row in Delivery.objects.filter(verification=after).values_list(*DELIVERY_COLUMNS):
        now = _plain(row)
        assert earlier[now[0], now[1]] != now


def _adds_up(verification: DeliveryVerification) -> None:
    id_ = verification.pk
    lost = {
        (row.award_id, row.t): row.ordered_kwh - row.delivered_kwh
        for row in deliveries_effective(verification_id=id_)
    }
    for row in deliveries_effective(verification_id=id_):
        assert row.ordered_kwh == row.delivered_kwh + row.shortfall_kwh
    for row in stand_ins_effective(verification_id=id_):
        assert row.ordered_kwh == row.delivered_kwh + row.shortfall_kwh
        # no kWh twice: what stands in and what was delivered is at most what was ordered
        lost[row.award_id, row.t] -= row.covered_kwh
    assert min(lost.values()) >= 0
    assert not CapacityAssessment.objects.filter(shortfall_kw__lt=0).exists()
    assert ShiftCheck.objects.exists()
    assert StandInDelivery.objects.exists()


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.one_of(
            READINGS.filter(lambda step: len(step["values"]) > 0),
            LOGS,
        ),
        min_size=2,
        max_size=4,
        unique_by=lambda step: (
            step.get("unit") or step["end"],
            *(() if "unit" in step else (step["t"], step["label"])),
        ),
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_changes_nothing(
    of: RichDay, steps: list[dict[str, Any]], order: Any
) -> None:
    shuffled = list(steps)
    order.shuffle(shuffled)
    found = []
    for sequence, is_one_by_one in ((steps, True), (shuffled, False)):
        with _undone():
            verification = verification_execute(auction_id=of.day.auction.id, stage="FINAL")
            for step in sequence:
                later()
                _happen(of, step)
                if is_one_by_one:
                    verification_correct(auction_id=of.day.auction.id, cause_kind="READING")
            verification = verification_correct(auction_id=of.day.auction.id, cause_kind="READING")
            found.append(_counts(verification))
    assert found[0] == found[1]


KWH = st.integers(0, 10**8).map(lambda wh: D(wh) / 1000)


@given(
    orders=st.lists(
        st.builds(
            Ordered,
            award=st.uuids().map(str),
            direction=st.sampled_from(list(Direction)),
            ordered_kwh=KWH,
        ),
        max_size=5,
        unique_by=lambda order: order.award,
    ),
    baseline_kwh=st.none() | KWH,
    metered_kwh=st.none() | st.integers(-(10**8), 10**8).map(lambda wh: D(wh) / 1000),
)
def test_what_was_ordered_is_delivered_or_short(
    orders: list[Ordered], baseline_kwh: Decimal | None, metered_kwh: Decimal | None
) -> None:
    rows = deliver(orders, baseline_kwh=baseline_kwh, metered_kwh=metered_kwh)
    assert rows == deliver(orders[::-1], baseline_kwh=baseline_kwh, metered_kwh=metered_kwh)
    assert {row.award for row in rows} == {order.award for order in orders}
    for row in rows:
        assert row.ordered_kwh == row.delivered_kwh + row.shortfall_kwh
        assert row.delivered_kwh >= 0
        assert row.shortfall_kwh >= 0
