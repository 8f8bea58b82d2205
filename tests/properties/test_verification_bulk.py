"""Counting an auction set by set is counting it order by order, whatever happened."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.clock.selectors import market_now
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.metering.bulk import outcome_in_bulk, source_of_auctions
from aggregator.metering.models import DeclaredSchedule, ForceMajeure, Stage
from aggregator.metering.outcome_rows import DELIVERY_COLUMNS, delivery_values
from aggregator.metering.outcomes import Outcome, outcome_of
from aggregator.metering.selectors import deliveries_effective
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute, verifications_correct
from market.clearing.models import Award, AwardInterval, ClearingRun, RunState, SnapshotRecord
from market.trading.models import Auction, AuctionState
from tests import cast, settled_day
from tests.delivery_days import NIGHT, RichDay, rich_day

D = Decimal
UNITS = ("inzai-load", "inzai-battery", "shiroi-load")
METHODS = (
    "HIGH_4_OF_5", "HIGH_4_OF_5_CAP20", "MID_4_OF_6", "LOW_4_OF_5", "TEN_OF_TEN", "MATCH_DAY",
    "SIMILAR_DAYS", "SAME_DAY_3_2", "BEFORE", "BEFORE_AFTER", "DECLARED", "METER_ONLY",
)  # fmt: skip
# An hour of the day itself, or of the days and the evenings a baseline stands on.
READINGS = st.lists(
    st.tuples(
        st.sampled_from(UNITS),
        st.one_of(st.sampled_from([*cast.EVENING, *cast.MIDDAY, *NIGHT]), st.integers(-240, 47)),
        st.integers(-9_000, 12_000) | st.none(),
        st.sampled_from([0, 0, 0, 1, 3]),
    ),
    max_size=12,
    unique_by=lambda row: row[:2],
)
EXCUSES = st.lists(
    st.tuples(
        st.sampled_from(["inzai", "shiroi", "inzai-load", None]),
        st.integers(0, 47),
        st.integers(1, 300),
    ),
    max_size=2,
)
ANSWERS = st.dictionaries(
    st.sampled_from(["inzai-defer", "inzai-battery-up", "shiroi-cap"]),
    st.sampled_from(
        [InstructionState.OPTED_OUT, InstructionState.REPLACED, InstructionState.CANCELLED]
    ),
    max_size=2,
)


def _more_awards(day: cast.MarketDay) -> None:
    """Let one meter carry orders of both directions, and of another auction of the day."""
    other = Auction.objects.get(id=day.auction.id)
    other.pk, other.code, other.gate_number = None, "the-other", 99
    other.state = AuctionState.PUBLISHED
    other.save(force_insert=True)
    snapshot = SnapshotRecord.objects.create(auction=other, sha256="1" * 64, content=b"{}")
    run = ClearingRun.objects.create(
        auction=other, snapshot=snapshot, state=RunState.PUBLISHED, published_at=market_now()
    )
    for auction, of_run, unit, direction, slots, kw in (
        (day.auction, day.run, "inzai-load", "DOWN", cast.EVENING, D("4000.1")),
        (day.auction, day.run, "shiroi-load", "UP", cast.MIDDAY, D("333.3")),
        (other, run, "shiroi-load", "UP", cast.EVENING, D("1234.5")),
        (other, run, "inzai-battery", "UP", cast.EVENING, D("0.1")),
    ):
        resource = day.places.resources[unit]
        usual = next(award for award in day.awards.values() if award.resource_id == resource.id)
        award = Award.objects.create(
            run=of_run,
            auction=auction,
            bid=usual.bid,
            organisation=usual.organisation,
            resource=resource,
            leg="BLOCK",
            direction=direction,
        )
        AwardInterval.objects.bulk_create(
            AwardInterval(
                award=award,
                t=t,
                start_at=settled_day.half_hour(day, t),
                quantity_kw=kw,
                price_jpy_per_kwh=D(10),
            )
            for t in slots
        )


@pytest.fixture
def plain(db: None) -> RichDay:
    """Publish a day on which every resource can be counted at once."""
    day = settled_day.published(settled_day.settled_places())
    meters = settled_day.metered(day)
    _more_awards(day)
    DeclaredSchedule.objects.bulk_create(
        DeclaredSchedule(
            resource=day.places.resources[unit],
            delivery_on=day.auction.delivery_on,
            schedule_kwh=[D(9_000) + t for t in range(48)],
            available_at=day.auction.gate_closure_at - timedelta(days=30),
        )
        for unit in UNITS[:2]
    )
    unused: Any = None
    return RichDay(
        day=day, meters=meters, shift_out=unused, shift_in=unused, held=unused, stand_in=unused
    )


@pytest.fixture
def rich(db: None) -> RichDay:
    """Publish a day with a shift, a stand-in and capacity held beside it."""
    return rich_day(labels=["jp"])


def _happen(
    of: RichDay, readings: list[Any], excuses: list[Any], answers: dict[str, str], stage: int
) -> None:
    readings_ingest(
        rows=[
            ReadingRow(
                of.meters[unit].point_number,
                settled_day.half_hour(of.day, t),
                None if kwh is None else D(kwh),
                2 if kwh is None else quality,
                stage,
            )
            for unit, t, kwh, quality in readings
        ],
        source="property",
    )
    for whom, first, minutes in excuses:
        starts_at = settled_day.half_hour(of.day, first) + timedelta(minutes=7)
        ForceMajeure.objects.create(
            organisation=of.day.places.people.platform,
            site=of.day.places.sites.get(whom),
            resource=of.day.places.resources.get(whom),
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=minutes),
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
    for name, state in answers.items():
        lost = of.day.awards[name]
        if DispatchInstruction.objects.filter(award=lost).exists():
            continue
        starts_at = settled_day.half_hour(of.day, cast.EVENING[0])
        DispatchInstruction.objects.create(
            award=lost,
            bid=lost.bid,
            organisation=lost.organisation,
            resource=lost.resource,
            direction=lost.direction,
            state=state,
            starts_at=starts_at,
            ends_at=settled_day.half_hour(of.day, cast.EVENING[-1] + 1),
            send_at=starts_at - timedelta(hours=6),
            respond_by_at=starts_at - timedelta(hours=1),
            finished_at=starts_at + timedelta(hours=1),
            reason="the desk",
        )


def _found(outcome: Outcome) -> dict[Any, Any]:
    found: dict[Any, Any] = {
        id_: (of.method, of.variant, of.reason, of.baseline) for id_, of in outcome.found.items()
    }
    columns = outcome.found_columns
    if columns is None:
        return found
    for n, id_ in enumerate(columns.resource_ids):
        baseline = None
        if columns.is_based[n]:
            baseline = (
                [D(wh).scaleb(-3) for wh in columns.values_wh[n].tolist()],
                D(int(columns.adjustment_wh[n])).scaleb(-3),
                list(columns.days_used[n]),
            )
        assert id_ not in found
        found[id_] = (columns.methods[n], columns.variants[n], columns.reasons[n], baseline)
    return found


def _plain(found: dict[Any, Any]) -> dict[Any, Any]:
    return {
        id_: (*rest, baseline)
        if baseline is None or isinstance(baseline, tuple)
        else (
            *rest,
            (list(baseline.baseline_kwh), baseline.adjustment_kwh, list(baseline.days_used)),
        )
        for id_, (*rest, baseline) in found.items()
    }


def _compare(of: RichDay, method: str, *, is_patient: bool) -> int:
    auction = Auction.objects.select_related("ruleset").get(id=of.day.auction.id)
    auction.ruleset.rules["baseline"] = {"methods": {"DC_LOAD": method, "BATTERY": "BEFORE"}}
    as_of = market_now()
    stage = "FINAL" if is_patient else "PRELIMINARY"
    alone = outcome_of(auction, stage=stage, as_of=as_of, is_patient=is_patient)
    source = source_of_auctions([auction], as_of=as_of) if method != "BEFORE" else None
    together = outcome_in_bulk(
        auction, stage=stage, as_of=as_of, is_patient=is_patient, source=source
    )
    rows = [] if together.columns is None else together.columns.values()
    rows += [delivery_values(row) for row in together.rows]
    wanted = sorted((delivery_values(row) for row in alone.rows), key=lambda row: row[:2])
    assert sorted(rows, key=lambda row: row[:2]) == wanted
    assert together.shortfall_kwh == alone.shortfall_kwh
    assert _plain(_found(together)) == _plain(_found(alone))
    assert (together.stand_ins, together.checks) == (alone.stand_ins, alone.checks)
    assert together.assessments == alone.assessments
    return 0 if together.columns is None else len(together.columns) - len(together.rows)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    readings=READINGS,
    excuses=EXCUSES,
    answers=ANSWERS,
    method=st.sampled_from(METHODS),
    stage=st.sampled_from([Stage.PRELIMINARY, Stage.FINAL]),
    is_patient=st.booleans(),
)
def test_a_day_counted_set_by_set_is_the_day_counted_order_by_order(  # noqa: PLR0917 - drawn
    plain: RichDay,
    readings: list[Any],
    excuses: list[Any],
    answers: dict[str, str],
    method: str,
    stage: int,
    is_patient: bool,  # noqa: FBT001 - drawn
) -> None:
    with transaction.atomic():
        _happen(plain, readings, excuses, answers, stage)
        assert _compare(plain, method, is_patient=is_patient) > 0
        transaction.set_rollback(True)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(readings=READINGS, excuses=EXCUSES, method=st.sampled_from(METHODS))
def test_a_day_of_shifts_and_stand_ins_counts_alike_either_way(
    rich: RichDay, readings: list[Any], excuses: list[Any], method: str
) -> None:
    with transaction.atomic():
        _happen(rich, readings, excuses, {}, Stage.FINAL)
        _compare(rich, method, is_patient=True)
        transaction.set_rollback(True)


def _auctions() -> list[Auction]:
    return list(Auction.objects.select_related("ruleset").order_by("gate_number"))


def _counts_as_one_look(auction: Auction, verification_id: int) -> None:
    """Compare what counts after a chain with one look at everything, order by order."""
    alone = outcome_of(auction, stage="FINAL", as_of=market_now(), is_patient=True)
    wanted = sorted((delivery_values(row) for row in alone.rows), key=lambda row: row[:2])
    rows = deliveries_effective(verification_id=verification_id).order_by("award_id", "t")
    assert list(rows.values_list(*DELIVERY_COLUMNS)) == wanted


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    readings=READINGS,
    excuses=EXCUSES,
    answers=ANSWERS,
    stage=st.sampled_from([Stage.PRELIMINARY, Stage.FINAL, Stage.FINAL]),
)
def test_auctions_corrected_together_count_as_one_look_at_everything(
    plain: RichDay, readings: list[Any], excuses: list[Any], answers: dict[str, str], stage: int
) -> None:
    with transaction.atomic():
        # half hours nobody has metered when they are looked at first; readings are guarded
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(
                "DELETE FROM metering_intervalreading WHERE start_at = ANY(%s)",
                [[settled_day.half_hour(plain.day, t) for t in cast.EVENING[:2]]],
            )
            cursor.execute("SET LOCAL session_replication_role = origin")
        _happen(plain, [], [], answers, stage)
        first = [verification_execute(auction_id=of.id, stage="FINAL") for of in _auctions()]
        _happen(plain, readings, excuses, {}, stage)
        found = verifications_correct(auctions=_auctions(), cause_kind="READING")
        for auction, verification, before in zip(_auctions(), found, first, strict=True):
            assert verification.corrects_id in (None, before.pk)
            assert verification.auction_id == before.auction_id == auction.id
            _counts_as_one_look(auction, verification.pk)
        again = verifications_correct(auctions=_auctions(), cause_kind="READING")
        assert again == found
        transaction.set_rollback(True)


def test_correcting_two_auctions_asks_no_more_than_correcting_one(plain: RichDay) -> None:
    for of in _auctions():
        verification_execute(auction_id=of.id, stage="FINAL")
    read = dict.fromkeys(UNITS, 9000)
    _happen(plain, [(unit, cast.EVENING[0], kwh, 0) for unit, kwh in read.items()], [], {}, 3)
    asked: list[int] = []
    for auctions in (_auctions()[:1], _auctions()):
        with transaction.atomic():
            asked.append(0)

            def counted(execute: Any, *rest: Any) -> Any:
                asked[-1] += 1
                return execute(*rest)

            with connection.execute_wrapper(counted):
                found = verifications_correct(auctions=auctions, cause_kind="READING")
            assert all(verification.corrects_id for verification in found)
            transaction.set_rollback(True)
    assert asked[0] == asked[1]
