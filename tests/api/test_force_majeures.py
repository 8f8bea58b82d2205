"""Doors of force majeure and placement logs: who may ask, decide and send, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.parties.roles import Role
from aggregator.metering.models import ForceMajeure, PlacementLog
from tests import settled_day
from tests.api.conftest import AsMember
from tests.delivery_days import RichDay, rich_day

pytestmark = pytest.mark.django_db
URL = "/api/v1/force-majeures"
LOGS = "/api/v1/placements"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@pytest.fixture
def of() -> RichDay:
    return rich_day(labels=["jp"])


def _form(of: RichDay, **changes: Any) -> dict[str, Any]:
    start = settled_day.half_hour(of.day, 35)
    form = {
        "file": SimpleUploadedFile("落雷.pdf", PDF, "application/pdf"),
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=1)).isoformat(),
        "reason": "落雷による停電",
        "site": "inzai-dc-1",
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


def test_who_ran_the_site_asks_and_another_decides(of: RichDay, as_member: AsMember) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    asked = owner.post(URL, _form(of), format="multipart")
    assert asked.status_code == 201, asked.content
    row = asked.json()
    assert (row["state"], row["site"], row["resource"]) == ("REQUESTED", "inzai-dc-1", None)
    one = f"{URL}/{row['id']}"
    decision = {"outcome": "ACCEPTED", "reason": "記録のとおり"}
    assert owner.post(f"{one}/decision", decision).status_code == 403
    judge = as_member(Role.SETTLEMENT, "wattbit")
    assert judge.post(f"{one}/decision", decision | {"outcome": "MAYBE"}).status_code == 400
    decided = judge.post(f"{one}/decision", decision)
    assert (decided.status_code, decided.json()["state"]) == (200, "ACCEPTED")
    again = judge.post(f"{one}/decision", decision)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert [item["id"] for item in owner.get(f"{URL}?state=ACCEPTED").json()["items"]] == [
        row["id"]
    ]
    file = owner.get(f"{one}/evidence")
    assert file.content == PDF
    assert "attachment" in file["Content-Disposition"]


def test_strangers_see_nothing_and_rivals_ask_for_nothing(
    of: RichDay, as_member: AsMember, as_stranger: Any
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    one = owner.post(URL, _form(of), format="multipart").json()["id"]
    assert as_stranger.get(URL).json()["items"] == []
    assert as_stranger.get(f"{URL}/{one}/evidence").status_code == 404
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    assert rival.post(URL, _form(of), format="multipart").status_code == 403
    everybody = _form(of, site=None)
    assert owner.post(URL, everybody, format="multipart").status_code == 403
    judge = as_member(Role.SETTLEMENT, "wattbit")
    assert judge.post(URL, _form(of, site=None), format="multipart").status_code == 201
    # what concerns everybody is shown to everybody
    assert len(as_stranger.get(URL).json()["items"]) == 1
    assert ForceMajeure.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"starts_at": "2026-11-25T10:00:00"}, "starts_at"),
        ({"ends_at": "never"}, "ends_at"),
        ({"reason": None}, "reason"),
        ({"file": None}, "file"),
        ({"resource": "inzai-dc-1-load"}, "resource"),
        ({"colour": "red"}, "colour"),
        (
            {"file": SimpleUploadedFile("a.pdf", b"<script>", "application/pdf")},
            "file",
        ),
    ],
)
def test_a_request_with_a_wrong_field_is_refused(
    of: RichDay, as_member: AsMember, changes: dict[str, Any], field: str
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    answer = owner.post(URL, _form(of, **changes), format="multipart")
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert not ForceMajeure.objects.exists()


def test_a_log_is_sent_as_json_or_as_csv(of: RichDay, as_member: AsMember) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    rows = [
        {"award": str(of.shift_out.id), "t": 5, "label": "jp", "moved_gpu_h": "100.5"},
        {"award": str(of.shift_in.id), "t": 5, "label": "jp", "moved_gpu_h": "100.5"},
    ]
    sent = owner.post(LOGS, {"rows": rows})
    assert (sent.status_code, sent.json()) == (201, {"added": 2, "revised": 0, "unchanged": 0})
    table = f"award,t,label,moved_gpu_h\n{of.shift_in.id},5,jp,90\n{of.shift_in.id},6,,70\n"
    sent = owner.post(LOGS, data=table, content_type="text/csv")
    assert (sent.status_code, sent.json()) == (201, {"added": 1, "revised": 1, "unchanged": 0})
    shown = owner.get(f"{LOGS}?award={of.shift_in.id}").json()["items"]
    assert [(row["t"], row["label"], row["moved_gpu_h"], row["revision"]) for row in shown] == [
        (5, "jp", "100.500", 1),
        (5, "jp", "90.000", 2),
        (6, "", "70.000", 1),
    ]
    assert shown[0]["resource"] == "shiroi-dc-1-load"


def test_a_log_of_others_or_with_a_wrong_row_is_refused_whole(
    of: RichDay, as_member: AsMember, as_stranger: Any
) -> None:
    good = {"award": str(of.shift_out.id), "t": 5, "label": "jp", "moved_gpu_h": "1"}
    assert as_stranger.post(LOGS, {"rows": [good]}).json()["field"] == "rows[0].award"
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    for wrong, field in (
        ({"t": "5"}, "rows[1].t"),
        ({"t": 20}, "rows[1].t"),
        ({"moved_gpu_h": "1e3"}, "rows[1].moved_gpu_h"),
        ({"moved_gpu_h": "-1"}, "rows[1].moved_gpu_h"),
        ({"moved_gpu_h": "NaN"}, "rows[1].moved_gpu_h"),
        ({"moved_kwh": "1"}, "rows[1].moved_gpu_h"),
        ({"label": 7}, "rows[1].label"),
        ({}, "rows[1].label"),
    ):
        answer = owner.post(LOGS, {"rows": [good, {**good, **wrong}]})
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not PlacementLog.objects.exists()
    assert owner.get(LOGS).json()["items"] == []
