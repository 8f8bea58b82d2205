"""Readings and meters at the doors: every wrong row is told, nothing partial unless asked."""

from __future__ import annotations

import gzip
import json
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.audit.models import AuditEntry
from accounts.parties.roles import Role
from aggregator.metering.models import IntervalReading, Meter, Quality, Stage
from aggregator.metering.services import ReadingRow, meter_register, readings_ingest
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
PATH = "/api/v1/readings"
INZAI, BATTERY, SHIROI, GRID = (f"03{n:020d}" for n in (101, 102, 103, 104))
START = "2026-11-25T00:00:00+09:00"
CSV_HEAD = "point_number,start_at,energy_kwh,quality,stage\n"


@pytest.fixture
def where(db: None) -> cast.Places:
    """Make places with meters; the day is over, it is 03:00 of the next one in Japan."""
    cast.market_time(cast.day_start(cast.DAY) + timedelta(hours=27))
    where = cast.places()
    meter_register(point_number=INZAI, resource=where.resources["inzai-load"])
    meter_register(point_number=BATTERY, resource=where.resources["inzai-battery"])
    meter_register(point_number=SHIROI, resource=where.resources["shiroi-load"])
    meter_register(point_number=GRID, site=where.sites["inzai"])
    return where


@pytest.fixture
def owner(where: cast.Places, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


@pytest.fixture
def rival(where: cast.Places, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "shiroi-dc")


@pytest.fixture
def grid(where: cast.Places, as_member: AsMember) -> DoorClient:
    return as_member(Role.GRID_PLANNER, "grid-t")


def series(**change: Any) -> dict[str, Any]:
    return {"point_number": INZAI, "start_at": START, "energy_kwh": ["1.5", "2"], **change}


def sent(client: DoorClient, *parts: dict[str, Any], query: str = "") -> Any:
    return client.post(f"{PATH}{query}", {"series": list(parts)})


def csv_sent(client: DoorClient, text: str | bytes, *, query: str = "", **headers: str) -> Any:
    body = text if isinstance(text, bytes) else text.encode()
    return client.generic_post(f"{PATH}{query}", body, "text/csv", headers)


@pytest.fixture(autouse=True)
def _raw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client send bytes as they are."""

    def generic_post(
        self: DoorClient, path: str, body: bytes, content_type: str, headers: dict[str, str]
    ) -> Any:
        headers = {"Idempotency-Key": str(time.monotonic_ns()), **headers}
        return self.generic("POST", path, body, content_type=content_type, headers=headers)

    monkeypatch.setattr(DoorClient, "generic_post", generic_post, raising=False)


def stored() -> list[tuple[Any, ...]]:
    rows = IntervalReading.objects.order_by("start_at", "meter_id", "revision")
    return list(rows.values_list("meter__point_number", "start_at", "energy_kwh", "stage"))


def test_a_batch_of_series_is_stored_exactly(owner: DoorClient) -> None:
    answer = sent(owner, series(energy_kwh=["1.005", -2, None]), series(point_number=BATTERY))
    assert answer.status_code == 201, answer.json()
    assert answer.json() == {
        "added": 5,
        "revised": 0,
        "unchanged": 0,
        "kept": [
            {"point_number": INZAI, "intervals_count": 3},
            {"point_number": BATTERY, "intervals_count": 2},
        ],
        "refused": [],
    }
    start = cast.day_start(cast.DAY)
    half = timedelta(minutes=30)
    assert [row for row in stored() if row[0] == INZAI] == [
        (INZAI, start, Decimal("1.005"), 1),
        (INZAI, start + half, Decimal(-2), 1),
        (INZAI, start + 2 * half, None, 1),
    ]
    missing = IntervalReading.objects.get(energy_kwh=None)
    assert (missing.quality, missing.source) == (Quality.MISSING, "api:inzai-dc")


def test_the_same_batch_again_changes_nothing_and_another_value_is_a_revision(
    owner: DoorClient,
) -> None:
    sent(owner, series())
    assert sent(owner, series()).json()["unchanged"] == 2
    again = sent(owner, series(energy_kwh=["1.5", "2.001"])).json()
    assert (again["added"], again["revised"], again["unchanged"]) == (1, 1, 1)
    items = owner.get(PATH, {"meter": INZAI, "revisions": "all"}).json()["items"]
    assert [(row["energy_kwh"], row["revision"]) for row in items] == [
        ("1.500", 1),
        ("2.000", 1),
        ("2.001", 2),
    ]


def test_csv_plain_packed_and_from_a_japanese_spreadsheet_say_the_same(owner: DoorClient) -> None:
    text = (
        f"{CSV_HEAD}{INZAI},{START},4500.125,,\r\n"
        f"{INZAI},2026-11-24T15:30:00Z,,MISSING,PRELIMINARY\r\n"
    )
    first = csv_sent(owner, text, query="?rows=2")
    assert first.status_code == 201, first.json()
    assert first.json()["added"] == 2
    for body, headers in (
        (gzip.compress(text.encode()), {"Content-Encoding": "gzip"}),
        (b"\xef\xbb\xbf" + text.encode(), {}),
        (text.encode("shift_jis"), {}),
    ):
        answer = csv_sent(owner, body, **headers)
        assert (answer.status_code, answer.json()["unchanged"]) == (201, 2), answer.json()


def test_a_file_whose_last_value_was_cut_is_refused_where_rows_are_counted(
    owner: DoorClient,
) -> None:
    whole = f"{CSV_HEAD}{INZAI},{START},901,,\n{INZAI},2026-11-24T15:30:00Z,4500.125,,\n"
    for cut in (whole[:-1], whole[:-2]):  # the line break; a comma with it
        answer = csv_sent(owner, cut, query="?rows=2")
        assert answer.status_code == 400, answer.json()
        assert stored() == []
    three = "point_number,start_at,energy_kwh\n" + f"{INZAI},{START},901"
    answer = csv_sent(owner, three[:-1], query="?rows=1")  # 90 is a number, too
    assert (answer.status_code, answer.json()["field"]) == (400, "rows")
    assert answer.json()["detail_ja"] == "rows: '1' — 最後の行が改行で終わっていること"
    assert stored() == []
    assert csv_sent(owner, whole, query="?rows=2").status_code == 201


def test_refused_values_are_shown_as_they_were_sent(owner: DoorClient) -> None:
    rows = f"{CSV_HEAD}{INZAI},{START},99999999,,\n{INZAI},2026-11-25T01:10:00+09:00,1,,\n"
    errors = csv_sent(owner, rows).json()["errors"]
    assert errors[0]["detail"].startswith("energy_kwh: 99999999 — plausible")
    assert errors[1]["detail"] == "start_at: 2026-11-24T16:10:00+00:00 — the start of a half hour"


def test_wrong_rows_are_told_by_line_and_nothing_is_kept(owner: DoorClient) -> None:
    future = "2026-11-26T02:45:00+09:00"
    text = CSV_HEAD + "\n".join(
        [
            f"{INZAI},{START},1,,",
            f"{SHIROI},{START},1,,",
            f"{'9' * 22},{START},1,,",
            f"{INZAI},2026-11-25T00:30:00,1,,",
            f"{INZAI},2026-11-25T00:10:00+09:00,1,,",
            f"{INZAI},{future},1,,",
            f"{INZAI},2026-11-26T03:00:00+09:00,1,,",
            f"{INZAI},2020-11-26T03:00:00+09:00,1,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,1_000,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,NaN,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,1e3,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,99999999,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,1.0005,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,１２,,",
            f"{INZAI},2026-11-25T01:00:00+09:00,1,FINE,",
            f"{INZAI},2026-11-25T01:00:00+09:00,1,MISSING,",
            f"{INZAI},2026-11-25T01:00:00+09:00,1,,FINAL",
            f"{INZAI},{START},1,,",
            "",
        ]
    )
    answer = csv_sent(owner, text)
    assert (answer.status_code, answer.json()["code"]) == (400, "rows-refused")
    told = [(row["line"], row["field"]) for row in answer.json()["errors"]]
    assert told == [
        (3, "point_number"), (4, "point_number"), (5, "start_at"), (6, "start_at"),
        (7, "start_at"), (8, "start_at"), (9, "start_at"), (10, "energy_kwh"),
        (11, "energy_kwh"), (12, "energy_kwh"), (13, "energy_kwh"), (14, "energy_kwh"),
        (15, "energy_kwh"), (16, "quality"), (17, "energy_kwh"), (18, "stage"), (19, "start_at"),
    ]  # fmt: skip
    assert {row["code"] for row in answer.json()["errors"]} >= {"stage-not-yours", "refused"}
    # another's meter and none at all are told in the same words
    one, two = answer.json()["errors"][:2]
    assert one["detail"].replace(SHIROI, "…") == two["detail"].replace("9" * 22, "…")
    assert stored() == []


def test_of_a_partial_batch_the_good_rows_are_kept_and_the_others_told(owner: DoorClient) -> None:
    answer = sent(
        owner,
        series(energy_kwh=["1", "NaN", "3"]),
        series(point_number=SHIROI),
        series(point_number=BATTERY, stage="FINAL", energy_kwh=["1"]),
        query="?partial=true",
    )
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert body["kept"] == [{"point_number": INZAI, "intervals_count": 2}]
    assert body["added"] == 2
    assert [(row["field"], row["code"]) for row in body["refused"]] == [
        ("series[0].energy_kwh[1]", "refused"),
        ("series[1].point_number", "reading-refused"),
        ("series[1].point_number", "reading-refused"),
        ("series[2].stage", "stage-not-yours"),
    ]
    assert [row[2] for row in stored()] == [Decimal(1), Decimal(3)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "series"),
        ({"series": []}, "series"),
        ({"series": [{"point_number": INZAI, "start_at": START}]}, "series[0].energy_kwh"),
        ({"series": [series(energy_wh=["1"])]}, "series[0].energy_wh"),
        ({"series": [series(start_at="2026-11-25T00:00:00")]}, "series[0].start_at"),
        ({"series": [series(start_at="9999-12-31T23:30:00Z")]}, "series[0].start_at"),
        ({"series": [series(energy_kwh="1")]}, "series[0].energy_kwh"),
        ({"series": [series(energy_kwh=[])]}, "series[0].energy_kwh"),
        ({"series": [series(quality="MISSING")]}, "series[0].quality"),
        ({"series": [series(stage=3)]}, "series[0].stage"),
        ({"series": [series(point_number=3)]}, "series[0].point_number"),
        ([], "body"),
    ],
)
def test_a_wrong_shape_is_refused_by_its_path(owner: DoorClient, body: Any, field: str) -> None:
    answer = owner.post(PATH, body)
    assert answer.status_code == 400
    assert answer.json().get("field", "body") == field or field == "body"
    assert stored() == []


def test_minutes_come_with_their_interval_and_make_half_hours(owner: DoorClient) -> None:
    minutes = series(energy_kwh=["0.05"] * 30, interval_min=1)
    answer = sent(owner, minutes)
    assert answer.status_code == 201, answer.json()
    assert (answer.json()["added"], answer.json()["kept"][0]["intervals_count"]) == (30, 30)
    # 30 · 0.05 kWh
    assert [row[2] for row in stored()] == [Decimal("1.500")]
    number = f"{INZAI[:2]}-{INZAI[2:]}"
    moments = [cast.day_start(cast.DAY) + timedelta(minutes=30 + 5 * n) for n in range(6)]
    fives = [f"{number},{moment.isoformat()},0.5,5" for moment in moments]
    head = "point_number,start_at,energy_kwh,interval_min\n"
    answer = csv_sent(owner, head + "\n".join(fives))
    assert answer.status_code == 201, answer.json()
    # 6 · 0.5 kWh
    assert [row[2] for row in stored()] == [Decimal("1.500"), Decimal("3.000")]


@pytest.mark.parametrize("interval_min", [0, 15, "1", True, None])
def test_another_interval_is_refused(owner: DoorClient, interval_min: Any) -> None:
    answer = sent(owner, series(interval_min=interval_min))
    assert answer.status_code in (400, 422)
    assert answer.json()["field"] == "series[0].interval_min"
    assert stored() == []


def test_a_wrong_minute_is_told_by_its_place(owner: DoorClient) -> None:
    answer = sent(owner, series(energy_kwh=["1", "99999", "1"], interval_min=1))
    assert [entry["field"] for entry in answer.json()["errors"]] == ["series[0].energy_kwh[1]"]
    assert stored() == []


def test_flags_and_counts_are_read_exactly(owner: DoorClient) -> None:
    for query, field in (
        ("?partial=yes", "partial"),
        ("?partial=1", "partial"),
        ("?rows=3", "rows"),
        ("?rows=-1", "rows"),
        ("?dry=true", "dry"),
    ):
        answer = sent(owner, series(), query=query)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    wrong = csv_sent(owner, f"point_number,start_at,energy_wh\n{INZAI},{START},1\n")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed")
    assert csv_sent(owner, CSV_HEAD).status_code == 400
    assert stored() == []


def test_final_values_come_from_the_grid_operator_of_the_area_or_settlement(
    grid: DoorClient, owner: DoorClient, as_member: AsMember
) -> None:
    final = series(stage="FINAL")
    assert sent(owner, final).status_code == 400
    assert sent(grid, final).status_code == 201
    assert sent(as_member(Role.SETTLEMENT, "wattbit"), final).json()["unchanged"] == 2
    other = cast.organisation("grid-u", cast.OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
    stranger = sent(as_member(Role.GRID_PLANNER, other), final)
    assert stranger.json()["errors"][0]["field"] == "series[0].point_number"
    assert as_member(Role.OPERATOR_VIEWER, "inzai-dc").post(PATH, {}).status_code == 403


def test_who_may_read_a_meter_and_who_does_not_know_it(
    owner: DoorClient,
    rival: DoorClient,
    grid: DoorClient,
    as_member: AsMember,
    as_stranger: DoorClient,
) -> None:
    sent(owner, series())
    other = cast.organisation("grid-u", cast.OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
    seeing = [owner, grid, *(as_member(role, "wattbit") for role in ("market_desk", "auditor"))]
    for client in seeing:
        assert len(client.get(PATH, {"meter": INZAI}).json()["items"]) == 2
    blind = [rival, as_stranger, as_member(Role.GRID_PLANNER, other)]
    for client in blind:
        answer = client.get(PATH, {"meter": INZAI})
        none = client.get(PATH, {"meter": "0" * 22})
        assert (answer.status_code, none.status_code) == (404, 404)
        assert answer.json()["detail"].replace(INZAI, "") == none.json()["detail"].replace(
            "0" * 22, ""
        )
        assert client.get(f"/api/v1/meters/{INZAI}").status_code == 404
    counts = [len(client.get("/api/v1/meters").json()["items"]) for client in seeing + blind]
    assert counts == [3, 4, 4, 4, 1, 0, 0]
    assert DoorClient().get(PATH, {"meter": INZAI}).status_code == 401


def test_what_was_known_when(where: cast.Places, owner: DoorClient) -> None:
    start = cast.day_start(cast.DAY)

    def known(energy: str, stage: int, at: timedelta) -> None:
        row = ReadingRow(INZAI, start, Decimal(energy), 0, stage, start + at)
        readings_ingest(rows=[row], source="test")

    known("1", Stage.PRELIMINARY, timedelta(hours=1))
    known("2", Stage.CONFIRMED, timedelta(hours=5))
    known("3", Stage.PRELIMINARY, timedelta(hours=6))

    def told(**query: str) -> list[tuple[str, str, int]]:
        items = owner.get(PATH, {"meter": INZAI, **query}).json()["items"]
        return [(row["energy_kwh"], row["stage"], row["revision"]) for row in items]

    assert told(known_at="2026-11-25T00:59:59+09:00") == []
    assert told(known_at="2026-11-25T01:00:00+09:00") == [("1.000", "PRELIMINARY", 1)]
    # the later preliminary value does not prevail over the confirmed one
    assert told(known_at="2026-11-25T05:00:00+09:00") == told() == [("2.000", "CONFIRMED", 2)]
    assert len(told(revisions="all")) == 3
    assert len(told(revisions="all", known_at="2026-11-25T05:00:00+09:00")) == 2
    assert told(**{"from": "2026-11-25T00:30:00+09:00"}) == told(to=START) == []


def test_pages_of_readings_hold_every_half_hour_once(owner: DoorClient) -> None:
    sent(owner, series(energy_kwh=["1"] * 48))
    sent(owner, series(energy_kwh=["1", "2"]))
    seen, cursor = [], None
    while True:
        query = {"meter": INZAI, "limit": 20, **({"cursor": cursor} if cursor else {})}
        page = owner.get(PATH, query).json()
        seen += [row["start_at"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 48
    assert seen == sorted(seen)


def test_a_list_asks_as_many_queries_for_one_row_as_for_many(owner: DoorClient) -> None:
    sent(owner, series(energy_kwh=["1"] * 48))

    def asked(path: str, **query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(path, query).status_code == 200
        return len(queries)

    asked(PATH, meter=INZAI)
    assert asked(PATH, meter=INZAI, limit=1) == asked(PATH, meter=INZAI, limit=48) <= 8
    assert asked("/api/v1/meters", limit=1) == asked("/api/v1/meters", limit=4) <= 8


def test_fifty_thousand_half_hours_go_in_at_once_and_one_more_does_not(
    where: cast.Places, grid: DoorClient
) -> None:
    # 1,041 days of 48 half hours, 32 short of 50,000, in lists of at most 10,000
    start = cast.day_start(cast.DAY) - timedelta(days=1_050)
    parts = [
        series(
            start_at=(start + timedelta(minutes=30 * n)).isoformat(),
            energy_kwh=["1"] * 10_000,
        )
        for n in range(0, 50_000, 10_000)
    ]
    answer = sent(grid, *parts)
    assert answer.status_code == 201, json.dumps(answer.json())[:500]
    assert answer.json()["added"] == 50_000
    over = sent(grid, *parts, series(energy_kwh=["1"]))
    assert (over.status_code, over.json()["code"]) == (413, "too-large")


def test_a_batch_leaves_one_entry_in_the_audit_trail(owner: DoorClient) -> None:
    sent(owner, series())
    entry = AuditEntry.objects.get(action="metering.readings.ingested")
    assert entry.detail["rows"] == 2


def test_meters_are_registered_by_who_runs_the_site_or_its_grid(
    where: cast.Places, owner: DoorClient, rival: DoorClient, grid: DoorClient
) -> None:
    path, number = "/api/v1/meters", f"03{201:020d}"
    unit = cast._resource(where.sites["inzai"], "spare", "BATTERY", 10, 10)
    body = {"point_number": number, "resource": unit.code}
    for wrong, field in (
        ({**body, "point_number": "0" * 22}, "point_number"),
        ({**body, "point_number": INZAI}, "point_number"),
        ({**body, "point_number": int(number)}, "point_number"),
        ({**body, "resource": "shiroi-dc-1-load"}, "resource"),
        ({**body, "resource": "nowhere"}, "resource"),
        ({**body, "site": "inzai-dc-1"}, "resource"),
        ({"point_number": number}, "resource"),
        ({"point_number": number, "site": "inzai-dc-1"}, "site"),
        ({**body, "kind": "x"}, "kind"),
    ):
        answer = owner.post(path, wrong)
        assert (answer.status_code, answer.json()["field"]) == (400, field), wrong
    assert rival.post(path, body).json()["field"] == "resource"
    assert Meter.objects.count() == 4
    made = owner.post(path, body)
    assert made.status_code == 201, made.json()
    assert made.json() == {
        "point_number": number,
        "organisation": "inzai-dc",
        "area": "03",
        "site": "inzai-dc-1",
        "resource": unit.code,
    }
    assert owner.get(f"{path}/{number}").json() == made.json()
    at_shiroi = grid.post(path, {"point_number": f"03{202:020d}", "site": "shiroi-dc-1"})
    assert (at_shiroi.status_code, at_shiroi.json()["resource"]) == (201, None)
