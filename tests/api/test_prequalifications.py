"""Prequalification: rules with reasons, steps by the right side only, evidence kept as it came."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction

from accounts.audit.models import AuditEntry
from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from aggregator.metering.services import meter_register
from market.registry.models import (
    Area,
    MarketProduct,
    Prequalification,
    PrequalificationStep,
    Resource,
    Ruleset,
    Site,
)
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

PREQUALIFICATIONS = "/api/v1/prequalifications"
GIVEN: dict[str, Any] = {
    "resource": "inzai-dc-1-battery",
    "product": "dkw-up-3h",
    "area": "03",
    "quantity_kw": "8000",
    "security_confirmed_to_on": "2027-04-01",
}
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
RULES = [
    "in-use",
    "consent",
    "site-in-area",
    "connection",
    "metering",
    "product-minimum",
    "limits",
    "response-time",
    "duration",
    "cybersecurity",
]


@pytest.fixture
def places(db: None) -> cast.Places:
    """Return the triangle; Inzai's battery is fit for a ΔkW product of three hours."""
    where = cast.places()
    Ruleset.objects.create(
        version="2026-10-01",
        valid_from_on="2026-10-01",
        rules={
            **cast.RULES,
            "products": [{"id": "dkw-up-3h", "direction": "UP", "sustained_h": 3.0}],
        },
    )
    MarketProduct.objects.create(
        code="dkw-up-3h",
        name="上げ3時間",
        name_en="Up, 3 h",
        response_s=2_700,
        quantity_min_kw=1_000,
        quantity_tick_kw="0.1",
    )
    battery = where.resources["inzai-battery"]
    Resource.objects.filter(id=battery.id).update(response_s=5)
    meter_register(point_number="031" + "7" * 19, resource=battery)
    cast.market_time(datetime(2026, 11, 24, 0, tzinfo=UTC))
    return where


@pytest.fixture
def owner(places: cast.Places, as_member: AsMember) -> DoorClient:
    """Return a trader of the operator of Inzai."""
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


@pytest.fixture
def planner(places: cast.Places, as_member: AsMember) -> DoorClient:
    """Return a planner of Grid-T."""
    return as_member(Role.GRID_PLANNER, "grid-t")


def _asked(client: DoorClient, **changes: Any) -> dict[str, Any]:
    made = client.post(PREQUALIFICATIONS, {**GIVEN, **changes})
    assert made.status_code == 201, made.content
    body: dict[str, Any] = made.json()
    return body


def _step(client: DoorClient, body: dict[str, Any], verb: str, **given: Any) -> Any:
    """Take a step with the version of `body`."""
    return client.post(
        f"{PREQUALIFICATIONS}/{body['id']}/{verb}",
        given,
        headers={"If-Match": f'"{body["version"]}"'},
    )


def _broken(body: dict[str, Any]) -> list[str]:
    return [finding["rule"] for finding in body["findings"] if not finding["passed"]]


def test_a_fit_resource_is_checked_at_once_and_every_rule_has_a_reason(owner: DoorClient) -> None:
    body = _asked(owner)
    assert (body["state"], body["tso"], body["quantity_kw"]) == ("CHECKED", "grid-t", "8000.0")
    assert [finding["rule"] for finding in body["findings"]] == RULES
    assert _broken(body) == []
    reasons = {finding["rule"]: finding["detail"] for finding in body["findings"]}
    # (32,000 - 2,000) kWh x 0.95 = 28,500 kWh for 8,000 kW x 3 h = 24,000 kWh
    assert reasons["duration"] == "24000 kWh over 3 h of 28500.0 kWh above the reserve."
    assert reasons["limits"] == "8000.0 kW of at most 8000.0 kW UP."
    assert all(finding["detail_ja"] for finding in body["findings"])
    assert [(step["from_state"], step["to_state"]) for step in body["steps"]] == [
        ("", "REQUESTED"),
        ("REQUESTED", "CHECKED"),
    ]
    entries = AuditEntry.objects.filter(action__startswith="market.prequalification.")
    assert [entry.action.rpartition(".")[2] for entry in entries.order_by("id")] == [
        "requested",
        "checked",
    ]


@pytest.mark.parametrize(
    ("rule", "spoil", "change"),
    [
        (
            "metering",
            lambda: Resource.objects.update(response_s=5),
            {"resource": "inzai-dc-1-load"},
        ),
        ("response-time", lambda: _resource(response_s=None), {}),
        ("response-time", lambda: _resource(response_s=2_701), {}),
        ("limits", lambda: _resource(limit_up_kw=7_999), {}),
        ("product-minimum", lambda: None, {"quantity_kw": "999.9"}),
        ("duration", lambda: _store(reserve_kwh=Decimal("6736.9")), {}),
        ("consent", lambda: Site.objects.update(facility_owner=_hall()), {}),
        ("connection", lambda: Site.objects.filter(code="inzai-dc-1").update(bus_code="gone"), {}),
        ("site-in-area", lambda: _area_of(tso=_hall()), {"area": "04"}),
        ("site-in-area", lambda: Area.objects.filter(code="03").update(tso=None), {}),
        ("cybersecurity", lambda: None, {"security_confirmed_to_on": None}),
        ("cybersecurity", lambda: None, {"security_confirmed_to_on": "2026-11-24"}),
        ("in-use", lambda: Site.objects.update(retired_at=datetime(2026, 11, 1, tzinfo=UTC)), {}),
    ],
)
def test_each_rule_that_is_broken_is_named(
    owner: DoorClient, rule: str, spoil: Any, change: dict[str, Any]
) -> None:
    spoil()
    body = _asked(owner, **change)
    broken = _broken(body)
    if rule == "in-use":  # what is retired may not be sold either
        assert broken == ["in-use", "consent"]
    else:
        assert broken == [rule]
    assert body["state"] == "REQUESTED"


def _resource(**changes: Any) -> None:
    Resource.objects.filter(code=GIVEN["resource"]).update(**changes)


def _store(**changes: Any) -> None:
    store = Resource.objects.get(code=GIVEN["resource"]).storage
    type(store).objects.filter(pk=store.pk).update(**changes)


def _hall() -> Any:
    return cast.organisation("hall", OrganisationKind.FACILITY_OWNER, "ホール", "Hall")


def _area_of(*, tso: Any) -> None:
    Area.objects.create(code="04", name="中部", name_en="Chubu", frequency_hz=60, tso=tso)


def test_the_operator_mends_and_has_it_checked_again(owner: DoorClient) -> None:
    _resource(response_s=None)
    body = _asked(owner, security_confirmed_to_on=None)
    assert _broken(body) == ["response-time", "cybersecurity"]
    _resource(response_s=60)
    again = _step(owner, body, "check", security_confirmed_to_on="2027-01-01").json()
    assert (again["state"], again["security_confirmed_to_on"]) == ("CHECKED", "2027-01-01")
    _resource(response_s=9_999)
    worse = _step(owner, again, "check").json()
    assert (worse["state"], _broken(worse)) == ("REQUESTED", ["response-time"])
    assert _step(owner, again, "check").status_code == 412


def test_the_grid_operator_grants_prolongs_suspends_and_restores(
    owner: DoorClient, planner: DoorClient
) -> None:
    body = _asked(owner)
    without = _step(planner, body, "decide", state="TEMPORARY")
    assert (without.status_code, without.json()["field"]) == (400, "valid_until_at")
    until = {"state": "TEMPORARY", "valid_until_at": "2026-12-24T00:00:00+09:00"}
    body = _step(planner, body, "decide", **until).json()
    assert (body["state"], body["valid_until_at"]) == ("TEMPORARY", "2026-12-23T15:00:00Z")
    longer = {**until, "valid_until_at": "2027-01-24T00:00:00+09:00"}
    body = _step(planner, body, "decide", **longer).json()
    assert body["valid_until_at"] == "2027-01-23T15:00:00Z"
    body = _step(planner, body, "decide", state="QUALIFIED").json()
    assert (body["state"], body["valid_until_at"]) == ("QUALIFIED", None)
    silent = _step(planner, body, "decide", state="SUSPENDED")
    assert (silent.status_code, silent.json()["field"]) == (400, "reason")
    body = _step(planner, body, "decide", state="SUSPENDED", reason="試験不合格").json()
    assert (body["state"], body["state_reason"]) == ("SUSPENDED", "試験不合格")
    body = _step(planner, body, "decide", state="QUALIFIED").json()
    assert (body["state"], body["state_reason"]) == ("QUALIFIED", "")
    assert [step["to_state"] for step in body["steps"]] == [
        "REQUESTED",
        "CHECKED",
        "TEMPORARY",
        "TEMPORARY",
        "QUALIFIED",
        "SUSPENDED",
        "QUALIFIED",
    ]
    assert body["steps"][-1]["organisation"] == "grid-t"


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({"state": "SUSPENDED", "reason": "x"}, 409, None),  # from CHECKED
        ({"state": "WITHDRAWN", "reason": "x"}, 400, "state"),
        ({"state": "CHECKED"}, 400, "state"),
        ({"state": "TEMPORARY", "valid_until_at": "2026-11-24T00:00:00Z"}, 400, "valid_until_at"),
        ({"state": "TEMPORARY", "valid_until_at": "2027-01-01T00:00:00"}, 400, "valid_until_at"),
        ({"state": "TEMPORARY", "valid_until_at": "2027-01-01"}, 400, "valid_until_at"),
        ({"state": "REJECTED"}, 400, "reason"),
        ({"state": "REJECTED", "reason": "x" * 301}, 400, "reason"),
        ({}, 400, "state"),
    ],
)
def test_a_wrong_step_is_refused_by_name(
    owner: DoorClient, planner: DoorClient, given: dict[str, Any], status: int, field: str | None
) -> None:
    body = _asked(owner)
    refused = _step(planner, body, "decide", **given)
    assert refused.status_code == status, refused.content
    assert refused.json()["field"] == (field or "state")
    assert Prequalification.objects.get().state == "CHECKED"


def test_nothing_unfit_is_granted_whatever_was_checked_before(
    owner: DoorClient, planner: DoorClient
) -> None:
    body = _asked(owner)
    _resource(limit_up_kw=7_000)
    refused = _step(planner, body, "decide", state="QUALIFIED")
    assert (refused.status_code, refused.json()["code"]) == (400, "not-fit")
    assert "['limits']" in refused.json()["detail"]
    broken = _asked(owner, product="dkw-up-3h", area="03", resource="inzai-dc-1-load")
    assert broken["state"] == "REQUESTED"
    assert _step(planner, broken, "decide", state="QUALIFIED").status_code == 409
    assert _step(planner, broken, "decide", state="REJECTED", reason="x").status_code == 200


def test_one_request_at_a_time_and_a_new_one_after_the_end(
    owner: DoorClient, planner: DoorClient
) -> None:
    body = _asked(owner)
    twin = owner.post(PREQUALIFICATIONS, GIVEN)
    assert (twin.status_code, twin.json()["code"]) == (409, "conflict")
    gone = _step(owner, body, "withdraw", reason="改造のため").json()
    assert (gone["state"], gone["state_reason"]) == ("WITHDRAWN", "改造のため")
    for verb, given in (("check", {}), ("withdraw", {})):
        assert _step(owner, gone, verb, **given).status_code == 409
    assert _step(planner, gone, "decide", state="QUALIFIED").status_code == 409
    assert _asked(owner)["id"] != body["id"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"quantity_kw": "0"}, 400, "quantity_kw"),
        ({"quantity_kw": "1.05"}, 400, "quantity_kw"),
        ({"quantity_kw": "1e3"}, 400, "quantity_kw"),
        ({"product": "none"}, 400, "product"),
        ({"area": 3}, 400, "area"),
        ({"security_confirmed_to_on": "soon"}, 400, "security_confirmed_to_on"),
        ({"resource": "shiroi-dc-1-load"}, 404, None),
        ({"resource": "nothing"}, 404, None),
        ({"state": "QUALIFIED"}, 400, "state"),
    ],
)
def test_a_wrong_request_is_refused_by_field(
    owner: DoorClient, change: dict[str, Any], status: int, field: str | None
) -> None:
    refused = owner.post(PREQUALIFICATIONS, {**GIVEN, **change})
    assert (refused.status_code, refused.json().get("field")) == (status, field), refused.json()
    assert not Prequalification.objects.exists()


def test_each_step_is_taken_by_its_side_and_seen_by_both_and_the_desk(
    owner: DoorClient, planner: DoorClient, as_member: AsMember, as_stranger: DoorClient
) -> None:
    body = _asked(owner)
    other_area = cast.organisation("grid-w", OrganisationKind.TSO, "西", "West")
    path = f"{PREQUALIFICATIONS}/{body['id']}"
    viewer = as_member(Role.OPERATOR_VIEWER, "inzai-dc")
    approver = as_member(Role.GRID_APPROVER, "grid-t")
    desk = as_member(Role.MARKET_DESK, "wattbit")
    for client in (owner, planner, viewer, approver, desk):
        assert client.get(path).json() == body
        (row,) = client.get(PREQUALIFICATIONS, {"state": "CHECKED"}).json()["items"]
        assert row == {name: body[name] for name in body if name != "steps"}
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    west = as_member(Role.GRID_PLANNER, other_area)
    for client in (rival, as_stranger, west):
        for sub in ("", "/comments", "/files"):
            assert client.get(path + sub).status_code == 404
        assert client.get(PREQUALIFICATIONS).json()["items"] == []
        assert client.post(f"{path}/comments", {"text": "x"}).status_code == 404
    decide = {"state": "QUALIFIED"}
    for client, status in (
        (owner, 403), (viewer, 403), (approver, 403), (desk, 403), (rival, 403), (west, 404),
    ):  # fmt: skip
        assert _step(client, body, "decide", **decide).status_code == status
    for client, status in ((planner, 403), (viewer, 403), (desk, 403), (rival, 404)):
        assert _step(client, body, "withdraw").status_code == status
        assert _step(client, body, "check").status_code == status
    assert as_stranger.post(PREQUALIFICATIONS, GIVEN).status_code == 404
    assert planner.post(PREQUALIFICATIONS, GIVEN).status_code == 403


def test_both_sides_write_and_the_desk_reads(
    owner: DoorClient, planner: DoorClient, as_member: AsMember
) -> None:
    comments = f"{PREQUALIFICATIONS}/{_asked(owner)['id']}/comments"
    texts = ("試験日は？\n12月1日でよいですか。", "はい。")
    for client, text in ((planner, texts[0]), (owner, texts[1])):
        assert client.post(comments, {"text": text}).status_code == 201
    desk = as_member(Role.MARKET_DESK, "wattbit")
    seen = desk.get(comments).json()["items"]
    assert [(row["organisation"], row["text"]) for row in seen] == [
        ("grid-t", texts[0]),
        ("inzai-dc", texts[1]),
    ]
    for client in (desk, as_member(Role.OPERATOR_VIEWER, "inzai-dc")):
        assert client.post(comments, {"text": "x"}).status_code == 403
    for text in ("", "  ", "x" * 2_001, 7, "\x00", None):
        refused = owner.post(comments, {"text": text})
        assert refused.status_code == 400
    assert len(desk.get(comments).json()["items"]) == 2


def test_what_is_written_in_one_instant_is_listed_in_the_order_of_writing(
    owner: DoorClient, planner: DoorClient
) -> None:
    here = f"{PREQUALIFICATIONS}/{_asked(owner)['id']}"  # the market's clock stands still
    texts = [f"{number}" for number in range(12)]  # by luck 1 in 12! = 479,001,600
    for client, text in zip((planner, owner) * 6, texts, strict=True):
        assert client.post(f"{here}/comments", {"text": text}).status_code == 201
        sent = _send(client, f"{here}/files", f"{text}.json", "application/json", text.encode())
        assert sent.status_code == 201, sent.content
    rows = owner.get(f"{here}/comments").json()["items"]
    assert [row["text"] for row in rows] == texts
    assert len({row["written_at"] for row in rows}) == 1
    files = owner.get(f"{here}/files", {"limit": 7}).json()
    rest = owner.get(f"{here}/files", {"limit": 7, "cursor": files["next"]}).json()
    names = [row["name"] for row in files["items"] + rest["items"]]
    assert names == [f"{text}.json" for text in texts]


def _send(client: DoorClient, path: str, name: str, kind: str, content: bytes) -> Any:
    file = SimpleUploadedFile(name, content, content_type=kind)
    return client.post(path, {"file": file}, format="multipart")


def test_a_file_comes_back_byte_for_byte_as_an_attachment(
    owner: DoorClient, planner: DoorClient, as_stranger: DoorClient
) -> None:
    files = f"{PREQUALIFICATIONS}/{_asked(owner)['id']}/files"
    made = _send(owner, files, "試験.pdf", "application/pdf", PDF)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["name"], body["size_bytes"], body["organisation"]) == (
        "試験.pdf",
        len(PDF),
        "inzai-dc",
    )
    assert body["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert planner.get(files).json() == {"items": [body], "next": None}
    fetched = planner.get(f"{files}/{body['id']}", headers={"Accept": "application/pdf"})
    assert (fetched.status_code, fetched.content) == (200, PDF)
    assert fetched.headers["Content-Type"] == "application/pdf"
    assert fetched.headers["Content-Disposition"].startswith("attachment;")
    assert fetched.headers["X-Content-Type-Options"] == "nosniff"
    assert as_stranger.get(f"{files}/{body['id']}").status_code == 404
    other = _asked(owner, resource="inzai-dc-1-load")
    assert planner.get(f"{PREQUALIFICATIONS}/{other['id']}/files/{body['id']}").status_code == 404


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("a.png", "image/png", PDF),
        ("a.html", "text/html", b"<script>"),
        ("a.pdf", "application/pdf", b""),
        ("a.pdf", "application/pdf", b"%PDF-1.7\n" + b"0" * 5_000_000),
        ("a.json", "application/json", b"{"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    owner: DoorClient, name: str, kind: str, content: bytes
) -> None:
    files = f"{PREQUALIFICATIONS}/{_asked(owner)['id']}/files"
    assert _send(owner, files, name, kind, content).status_code in (400, 413)
    assert owner.get(files).json()["items"] == []


def test_the_desk_hands_in_no_file(owner: DoorClient, as_member: AsMember) -> None:
    files = f"{PREQUALIFICATIONS}/{_asked(owner)['id']}/files"
    desk = as_member(Role.MARKET_DESK, "wattbit")
    assert _send(desk, files, "a.pdf", "application/pdf", PDF).status_code == 403


def test_the_database_lets_states_move_along_the_table_only(owner: DoorClient) -> None:
    _asked(owner)
    for change in ({"state": "SUSPENDED"}, {"quantity_kw": 1}, {"state": "TEMPORARY"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Prequalification.objects.update(**change)
    for rows in (PrequalificationStep.objects, Prequalification.objects.get().steps):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.all().delete()
