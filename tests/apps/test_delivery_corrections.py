"""Corrections count again what changed and nothing else; answers and excuses."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.clock.selectors import market_now
from accounts.core.errors import NotPermitted, Refused
from accounts.core.files import file_checked
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim
from accounts.parties.sight import Sight, sight_of
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionState,
)
from aggregator.metering.excuses import (
    ExcuseDecided,
    force_majeure_decide,
    force_majeure_request,
)
from aggregator.metering.models import (
    Baseline,
    Delivery,
    DeliveryVerification,
    ForceMajeure,
    StandInDelivery,
)
from aggregator.metering.selectors import (
    deliveries_effective,
    stand_ins_effective,
)
from aggregator.metering.verifications import (
    NotVerified,
    delivery_verify,
)
from market.registry.models import Site
from tests import cast, settled_day
from tests.delivery_days import RichDay, later, read, rich_day
from tests.delivery_looks import corrected_look, delivery_now, final_look

pytestmark = pytest.mark.django_db
D = Decimal
PDF = b"%PDF-1.4\n%%EOF"


@pytest.fixture
def of() -> RichDay:
    return rich_day(labels=["jp"])


def test_a_correction_holds_only_the_rows_that_differ(of: RichDay) -> None:
    first = final_look(of)
    whole = Delivery.objects.filter(verification=first).count()
    assert whole == 4 * 6 + 2 * 6
    later()
    # the battery gave 2,400 of 3,000 kWh at t = 35
    read(of, "inzai-battery", {35: -2_400})
    second = corrected_look(of)
    assert (second.corrects, second.revision, second.cause_kind) == (first, 2, "READING")
    (row,) = Delivery.objects.filter(verification=second)
    assert (row.award, row.t) == (of.day.awards["inzai-battery-up"], 35)
    assert (row.delivered_kwh, row.shortfall_kwh, row.reading_revision) == (D(2_400), D(600), 2)
    assert deliveries_effective(verification_id=second.pk).count() == whole
    assert deliveries_effective(verification_id=first.pk).get(
        award=row.award, t=35
    ).delivered_kwh == D(3_000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT delivered_kwh FROM deliveries_replaced(%s)", [second.pk])
        assert cursor.fetchall() == [(D(3_000),)]
        cursor.execute(
            "SELECT count(*), sum(delivered_kwh) FROM deliveries_effective(%s)", [second.pk]
        )
        count, delivered = cursor.fetchone()
    rows = deliveries_effective(verification_id=second.pk).values_list("delivered_kwh", flat=True)
    assert (count, delivered) == (whole, sum(rows))


def test_a_correction_that_changes_nothing_writes_nothing(of: RichDay) -> None:
    first = final_look(of)
    assert corrected_look(of) == first
    assert final_look(of) == first
    later()
    read(of, "inzai-battery", {35: -2_400})
    second = corrected_look(of)
    assert corrected_look(of) == second
    assert final_look(of) == second
    assert Job.objects.filter(kind="aggregator.settlement.run_execute").count() == 2
    payload = Job.objects.get(key=f"{of.day.auction.id}:2").payload
    assert payload["verification"] == str(second.pk)


def test_later_readings_have_a_job_look_again_once_an_hour(of: RichDay) -> None:
    kind = "aggregator.metering.delivery_verify"
    assert not Job.objects.filter(kind=kind).exists()
    final_look(of)
    later()
    read(of, "inzai-battery", {35: -2_400})
    read(of, "inzai-battery", {36: -2_400})
    job = Job.objects.get(kind=kind)
    hour = market_now().replace(minute=0, second=0, microsecond=0)
    assert job.due_at == hour + timedelta(hours=1)
    later()
    claim = job_claim(job_id=job.id)
    assert claim is not None
    second = delivery_verify(claim=claim)
    assert second is not None
    assert (second.cause_kind, second.deliveries.count()) == ("READING", 2)
    assert Job.objects.get(id=job.id).state == "DONE"


def test_what_is_not_verified_can_not_be_corrected(of: RichDay) -> None:
    with pytest.raises(NotVerified):
        corrected_look(of)


def test_one_verification_is_corrected_once(of: RichDay) -> None:
    first = final_look(of)
    later()
    read(of, "inzai-battery", {35: -2_400})
    corrected_look(of)
    with pytest.raises(IntegrityError), transaction.atomic():
        DeliveryVerification.objects.create(
            auction=of.day.auction,
            revision=9,
            stage="FINAL",
            as_of=first.as_of,
            ruleset=first.ruleset,
            input_sha256="0" * 64,
            corrects=first,
            cause_kind="READING",
        )


def test_a_correction_reads_few_rows_and_few_times(of: RichDay) -> None:
    final_look(of)
    later()
    read(of, "inzai-battery", {35: -2_400})
    with CaptureQueriesContext(
        connection,
    ) as queries:
        corrected_look(of)
    readings = [q["sql"] for q in queries if "FROM metering_intervalreading" in q["sql"]]
    # what came since, by when it became available: no history, no month
    assert len(readings) == 1
    assert "available_at >" in readings[0]
    assert Baseline.objects.count() == 3


def test_a_declined_award_delivered_nothing_whatever_its_meter_says(of: RichDay) -> None:
    verification = final_look(of)
    # Shiroi cut 3,000 kWh all the same: its meter says so, and it was not asked any more
    row = delivery_now(verification, of.day.awards["shiroi-cap"], 35)
    assert (row.cause, row.delivered_kwh, row.shortfall_kwh) == ("REPLACED", D(0), D(3_000))
    assert (row.baseline_kwh, row.metered_kwh) == (D(10_000), D(7_000))
    DispatchInstruction.objects.create(
        award=of.day.awards["inzai-battery-up"],
        bid=of.day.awards["inzai-battery-up"].bid,
        organisation=of.day.awards["inzai-battery-up"].organisation,
        resource=of.day.awards["inzai-battery-up"].resource,
        direction="UP",
        state=InstructionState.OPTED_OUT,
        starts_at=settled_day.half_hour(of.day, 34),
        ends_at=settled_day.half_hour(of.day, 40),
        send_at=settled_day.half_hour(of.day, 20),
        respond_by_at=settled_day.half_hour(of.day, 32),
    )
    later()
    read(of, "inzai-battery", {35: -2_999})
    again = corrected_look(of)
    row = delivery_now(again, of.day.awards["inzai-battery-up"], 35)
    assert (row.cause, row.delivered_kwh) == ("OPTED_OUT", D(0))


def test_a_stand_in_delivers_under_its_own_instruction(of: RichDay) -> None:
    verification = final_look(of)
    rows = stand_ins_effective(verification_id=verification.pk).order_by("t")
    assert [row.t for row in rows] == list(cast.EVENING)
    row = rows[1]
    # Inzai's load gave 6,000: 4,500 deferred, 1,500 for Shiroi, at places with the same losses
    assert (row.delivered_kwh, row.covered_kwh, row.cause) == (D(1_500), D(1_500), "STOOD_IN")
    assert row.instruction.organisation == of.day.places.people.inzai_dc
    # in the scarce half hour 3,500 of 6,000: 4,500 and 1,500 share it, 2,625 and 875
    scarce = rows.get(t=cast.SCARCE)
    assert (scarce.delivered_kwh, scarce.shortfall_kwh) == (D(875), D(625))
    own = delivery_now(verification, of.day.awards["inzai-defer"], cast.SCARCE)
    assert own.delivered_kwh == D(2_625)


def test_stand_ins_never_cover_more_than_was_lost(of: RichDay) -> None:
    # sites with different losses: 3 % at the lost place, 1 % here: a kWh here is 0.97 / 0.99 there
    sites = of.day.places.sites
    for name, loss in (("shiroi", "0.03"), ("inzai", "0.01")):
        type(sites[name]).objects.filter(id=sites[name].id).update(loss_ratio=D(loss))
    row = stand_ins_effective(verification_id=final_look(of).pk).get(t=35)
    # 1,500 · 0.97 / 0.99 = 1,469.6969…
    assert row.covered_kwh == D("1469.696")
    lost = Delivery.objects.filter(award=of.day.awards["shiroi-cap"], t=35).get()
    assert lost.delivered_kwh + row.covered_kwh <= lost.ordered_kwh


def test_a_stand_in_covers_by_the_losses_its_day_was_cleared_with(db: None) -> None:
    # sold with 3 % at the lost place and 1 % here; what the registry says later is of later days
    book = {
        "places": [
            {"id": "shiroi-dc-1", "bus": "b1", "loss_ratio": 0.03},
            {"id": "inzai-dc-1", "bus": "b2", "loss_ratio": 0.01},
        ]
    }
    of = rich_day(book=json.dumps(book).encode())
    Site.objects.update(loss_ratio=D("0.2"))
    row = stand_ins_effective(verification_id=final_look(of).pk).get(t=35)
    assert (row.delivered_kwh, row.covered_kwh) == (D(1_500), D("1469.696"))


def test_an_instruction_taken_back_by_the_desk_is_excused(of: RichDay) -> None:
    award = of.day.awards["inzai-battery-up"]
    DispatchInstruction.objects.create(
        award=award,
        bid=award.bid,
        organisation=award.organisation,
        resource=award.resource,
        direction="UP",
        state=InstructionState.CANCELLED,
        reason="grid is calm",
        finished_at=settled_day.half_hour(of.day, 37),
        starts_at=settled_day.half_hour(of.day, 34),
        ends_at=settled_day.half_hour(of.day, 40),
        send_at=settled_day.half_hour(of.day, 20),
        respond_by_at=settled_day.half_hour(of.day, 32),
    )
    verification = final_look(of)
    before, after = (delivery_now(verification, award, t) for t in (36, 37))
    assert (before.cause, before.is_excused, before.delivered_kwh) == ("", False, D(3_000))
    assert (after.cause, after.is_excused, after.delivered_kwh) == ("EXCUSED", True, D(0))


def test_what_was_not_metered_says_so(of: RichDay) -> None:
    read(of, "inzai-battery", {35: None})
    row = delivery_now(final_look(of), of.day.awards["inzai-battery-up"], 35)
    assert (row.cause, row.delivered_kwh, row.metered_kwh) == ("NOT_METERED", D(0), None)


def _request(of: RichDay, **changes: object) -> ForceMajeure:
    starts_at = settled_day.half_hour(of.day, 35)
    return force_majeure_request(
        **{  # type: ignore[arg-type]
            "organisation": of.day.places.people.inzai_dc,
            "site": of.day.places.sites["inzai"],
            "starts_at": starts_at,
            # touches t = 35 and 36
            "ends_at": starts_at + timedelta(minutes=31),
            "reason": "落雷による停電",
            "evidence": file_checked("a.pdf", "application/pdf", PDF),
            "actor": "user:1",
            **changes,
        }
    )


def _desk(of: RichDay) -> Sight:
    user = cast.member("settler", of.day.places.people.platform, "settlement")
    return sight_of(user)


def test_an_accepted_force_majeure_excuses_what_it_touches(of: RichDay) -> None:
    first = final_look(of)
    later()
    asked = _request(of)
    assert corrected_look(of, "FORCE_MAJEURE") == first
    force_majeure_decide(
        force_majeure_id=asked.id, decision="ACCEPTED", reason="記録のとおり", by=_desk(of)
    )
    job = Job.objects.get(kind="aggregator.metering.delivery_verify")
    assert job.payload["cause_id"] == str(asked.id)
    second = corrected_look(of, "FORCE_MAJEURE")
    changed = Delivery.objects.filter(verification=second)
    assert {(row.award.resource.site.code, row.t) for row in changed} == {
        ("inzai-dc-1", 35),
        ("inzai-dc-1", 36),
    }
    short = changed.get(shortfall_kwh__gt=0)
    assert (short.cause, short.is_excused) == ("EXCUSED", True)
    # what was delivered stays delivered
    assert short.delivered_kwh == D(2_625)
    assert StandInDelivery.objects.filter(verification=second, is_excused=True).count() == 2


def test_nobody_decides_on_their_own_request_nor_twice(of: RichDay) -> None:
    desk = _desk(of)
    asked = _request(of, actor=desk.actor, organisation=of.day.places.people.platform)
    decision = {"force_majeure_id": asked.id, "decision": "ACCEPTED", "reason": "ok"}
    with pytest.raises(NotPermitted, match="another"):
        force_majeure_decide(**decision, by=desk)
    with pytest.raises(NotPermitted):
        force_majeure_decide(**decision, by=sight_of(of.day.places.people.owner))
    other = sight_of(cast.member("second", of.day.places.people.platform, "settlement"))
    force_majeure_decide(**{**decision, "decision": "REJECTED"}, by=other)
    with pytest.raises(ExcuseDecided):
        force_majeure_decide(**decision, by=other)
    with pytest.raises(IntegrityError), transaction.atomic():
        ForceMajeure.objects.filter(id=asked.id).update(state="REQUESTED")
    with pytest.raises(IntegrityError), transaction.atomic():
        ForceMajeure.objects.filter(id=asked.id).update(reason="anders")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": "start"}, "ends_at"),
        ({"reason": " "}, "reason"),
        ({"starts_at": "future"}, "starts_at"),
        ({"site": None}, "site"),
        ({"organisation": "shiroi"}, "site"),
    ],
)
def test_a_request_that_may_not_be_made_is_refused(
    of: RichDay, changes: dict[str, object], field: str
) -> None:
    start = settled_day.half_hour(of.day, 35)
    values = {"start": start, "future": start + timedelta(days=9)}
    changed = {name: values.get(str(value), value) for name, value in changes.items()}
    if "starts_at" in changed:
        changed["ends_at"] = start + timedelta(days=10)
    if changed.get("organisation") == "shiroi":
        changed["organisation"] = of.day.places.people.shiroi_dc
    with pytest.raises(Refused) as refused:
        _request(of, **changed)
    assert refused.value.field == field
    assert not ForceMajeure.objects.exists()
