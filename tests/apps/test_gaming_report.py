"""The report on gaming out of stored rows: who, when, how far, and on what evidence."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction

from accounts.audit.models import AuditEntry
from accounts.core.errors import NotFound, Refused
from accounts.jobs.models import Job, JobState
from accounts.jobs.services import job_claim
from aggregator.dispatch.models import AvailabilityNotice
from aggregator.metering.gaming import (
    gaming_finding_decide,
    gaming_findings,
    gaming_month_request,
    gaming_report,
    gaming_report_request,
    gaming_report_run,
)
from aggregator.metering.models import DeclaredSchedule, GamingFinding, Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute
from tests import cast, settled_day

pytestmark = pytest.mark.django_db

TO_ON = cast.DAY + timedelta(days=1)


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def meters(day: cast.MarketDay) -> dict[str, Any]:
    return settled_day.metered(day)


def _report() -> dict[str, list[GamingFinding]]:
    found: dict[str, list[GamingFinding]] = {}
    for row in gaming_report(from_on=cast.DAY, to_on=TO_ON):
        found.setdefault(row.indicator, []).append(row)
    return found


def _revised(meters: dict[str, Any], day: cast.MarketDay, values: dict[int, int]) -> None:
    """Correct the Inzai load, `values` by half hours from the delivery day's midnight."""
    number = meters["inzai-load"].point_number
    rows = [
        ReadingRow(number, settled_day.half_hour(day, n), Decimal(kwh), 0, int(Stage.FINAL))
        for n, kwh in values.items()
    ]
    readings_ingest(rows=rows, source="correction")


def test_an_honest_day_has_no_findings(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    assert _report() == {}


def test_load_raised_on_baseline_days_is_found_with_its_days(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    # The evenings of the last eight days were raised from 10,000 to 13,010 on Tue 24 and more on
    # each day before; of the five candidates the lowest, Tue 24, is dropped. Neither it nor any
    # day of the window counts among the days the others are compared with.
    raised = {t - 48 * n: 13_000 + 10 * n for n in range(1, 9) for t in cast.EVENING}
    _revised(meters, day, raised)
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    (found,) = _report()["BASELINE_INFLATION"]
    assert found.resource.code == "inzai-dc-1-load"
    assert found.statistic_ratio > found.threshold_ratio == 3
    assert set(found.evidence["baseline_days_kwh"]) == {
        "2026-11-20", "2026-11-19", "2026-11-18", "2026-11-17",
    }  # fmt: skip
    # 6 half hours of 13,050 kWh
    assert found.evidence["baseline_days_kwh"]["2026-11-20"] == "78300.000"
    assert set(found.evidence["matched_days_kwh"].values()) == {"60000.000"}


def test_half_hours_that_were_told_late_or_changed_are_found(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    # One of the twelve half hours ordered of the load is changed within 確定: 1/6 of six.
    _revised(meters, day, {36: 6_000})
    (found,) = _report()["LATE_DATA"]
    assert found.statistic_ratio == Decimal("0.166667")
    assert found.evidence["changed_count"] == 1


def test_a_stop_told_before_the_gate_and_sold_is_found(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    resource = day.places.resources["inzai-load"]
    AvailabilityNotice.objects.create(
        number=1,
        resource=resource,
        organisation=resource.site.organisation,
        starts_at=settled_day.half_hour(day, 34),
        ends_at=settled_day.half_hour(day, 37),
        is_available=False,
        reason="定期点検",
        noted_at=day.auction.gate_closure_at - timedelta(days=2),
    )
    (found,) = _report()["PLANNED_OUTAGE"]
    # Three of six half hours.
    assert (found.resource, found.statistic_ratio) == (resource, Decimal("0.500000"))


def test_a_plan_raised_where_relief_is_sold_is_found(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    resource = day.places.resources["inzai-load"]
    DeclaredSchedule.objects.create(
        resource=resource,
        delivery_on=cast.DAY,
        schedule_kwh=[12_000 if t in cast.EVENING else 10_000 for t in range(48)],
        available_at=day.auction.gate_closure_at - timedelta(hours=1),
    )
    (found,) = _report()["INC_DEC"]
    # 12,000 against 10,000 of the days before.
    assert (found.resource, found.statistic_ratio) == (resource, Decimal("0.200000"))
    assert found.evidence["is_pivotal"] is False


def test_more_sold_than_a_resource_can_change_is_found(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    resource = day.places.resources["inzai-load"]
    type(resource).objects.filter(pk=resource.pk).update(limit_up_kw=6_000)
    (found,) = _report()["DOUBLE_SALE"]
    # 9,000 of 6,000 kW, six times.
    assert (found.resource, found.statistic_ratio) == (resource, Decimal("1.500000"))
    assert len(found.evidence["half_hours"]) == 6


def test_a_report_may_be_run_again_and_by_its_job(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _revised(meters, day, {36: 6_000})
    first = _report()["LATE_DATA"]
    job = gaming_report_request(from_on=cast.DAY, to_on=TO_ON)
    assert gaming_report_request(from_on=cast.DAY, to_on=TO_ON) == job
    claim = job_claim(job_id=job.id)
    assert claim is not None
    gaming_report_run(claim=claim)
    assert Job.objects.get(id=job.id).state == JobState.DONE
    assert GamingFinding.objects.count() == 1
    assert _report()["LATE_DATA"] == first
    assert AuditEntry.objects.filter(action="metering.gaming.found").count() == 1


def test_the_month_that_is_over_is_put_on_the_list_once(day: cast.MarketDay) -> None:
    cast.market_time(cast.day_start(cast.date(2026, 12, 2)))
    job = gaming_month_request()
    assert job.payload == {"from_on": "2026-11-01", "to_on": "2026-12-01"}
    assert gaming_month_request() == job


def test_a_finding_is_explained_or_confirmed_and_never_forgotten(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _revised(meters, day, {36: 6_000})
    (finding,) = _report()["LATE_DATA"]
    with pytest.raises(Refused, match="explanation"):
        gaming_finding_decide(
            finding_id=finding.pk, state="EXPLAINED", explanation=" ", decided_by="desk"
        )
    done = gaming_finding_decide(
        finding_id=finding.pk, state="EXPLAINED", explanation="計量器の故障", decided_by="desk"
    )
    assert (done.state, done.decided_by) == ("EXPLAINED", "desk")
    gaming_finding_decide(
        finding_id=finding.pk, state="CONFIRMED", explanation="故障の記録なし", decided_by="desk"
    )
    with pytest.raises(Refused, match="follows"):
        gaming_finding_decide(
            finding_id=finding.pk, state="EXPLAINED", explanation="x", decided_by="desk"
        )
    with pytest.raises(NotFound):
        gaming_finding_decide(finding_id=0, state="EXPLAINED", explanation="x", decided_by="d")
    for change in ({"state": "NEW"}, {"statistic_ratio": 0}):
        with pytest.raises(DatabaseError), transaction.atomic():
            GamingFinding.objects.filter(pk=finding.pk).update(**change)
    assert list(gaming_findings(from_on=cast.DAY, to_on=TO_ON)) == [finding]


def test_the_command_prints_findings_and_refuses_days_to_come(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _revised(meters, day, {36: 6_000})
    text = StringIO()
    call_command("gaming", str(cast.DAY), str(TO_ON), stdout=text)
    assert "LATE_DATA" in text.getvalue()
    assert text.getvalue().splitlines()[-1] == "1 findings"
    with pytest.raises(CommandError, match="over"):
        call_command("gaming", str(cast.DAY), str(TO_ON + timedelta(days=5)))


def test_a_reduction_that_reappears_at_the_operators_other_site_is_found(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    # Shiroi's hall passes to the operator of Inzai, and rises by 3,000 kWh in the evening instead
    # of falling: what it sold is not delivered, and what Inzai did is partly undone.
    site = day.places.sites["shiroi"]
    type(site).objects.filter(pk=site.pk).update(
        organisation=day.places.sites["inzai"].organisation
    )
    number = meters["shiroi-load"].point_number
    readings_ingest(
        rows=[
            ReadingRow(number, settled_day.half_hour(day, t), Decimal(13_000), 0, int(Stage.FINAL))
            for t in cast.EVENING
        ],
        source="correction",
    )
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    (found,) = _report()["PHANTOM_SHIFT"]
    # On the line a kW at Inzai weighs 2/3 and at Shiroi 1/3. Paid: the battery's 18,000 and the
    # deferral's 26,000 kWh at 2/3 = 29,333; nothing at Shiroi. Net: the same less 1/3 of the
    # 18,000 kWh that Shiroi rose = 23,333: 6,000 / 29,333 = 0.204545.
    assert found.statistic_ratio == Decimal("0.204545")
    assert found.evidence["element"] == "inzai-line"
    assert found.resource.site.code == "inzai-dc-1"
