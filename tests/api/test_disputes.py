"""Disputes at the doors: both sides argue, settlement decides, the amount is held meanwhile."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.audit.models import AuditEntry
from accounts.parties.roles import Role
from aggregator.core.settlement import Item
from aggregator.metering.models import Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute
from aggregator.settlement.dispute_models import DISPUTE_TRANSITIONS
from aggregator.settlement.models import (
    Dispute,
    DisputedLine,
    DisputeEntry,
    DisputeEvidence,
    SettlementLine,
    SettlementRun,
)
from aggregator.settlement.runs import settlement_run_execute
from aggregator.settlement.seen import held_line_ids
from tests import cast, settled_day
from tests.api.conftest import AsMember, DoorClient
from tests.api.settling import lines_between, run_day

pytestmark = pytest.mark.django_db
PATH = "/api/v1/disputes"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@pytest.fixture
def settled(db: None) -> tuple[cast.MarketDay, SettlementRun]:
    return run_day()


@pytest.fixture
def lines(settled: tuple[cast.MarketDay, SettlementRun]) -> list[SettlementLine]:
    """Return what Inzai gives back for its shortfall: a refund and a penalty."""
    _, run = settled
    return [
        *lines_between(run, "inzai-dc", Item.SHORTFALL_REFUND),
        *lines_between(run, "inzai-dc", Item.SHORTFALL_PENALTY),
    ]


@pytest.fixture
def owner(settled: Any, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


@pytest.fixture
def judge(settled: Any, as_member: AsMember) -> DoorClient:
    return as_member(Role.SETTLEMENT, "wattbit")


def body_of(lines: list[SettlementLine]) -> dict[str, Any]:
    return {
        "lines": [line.pk for line in lines],
        "reason_code": "READING",
        "reason": "計量器の故障\n18:00 から 18:30 まで",
    }


def opened(owner: DoorClient, lines: list[SettlementLine]) -> str:
    answer = owner.post(PATH, body_of(lines))
    assert answer.status_code == 201, answer.json()
    return f"{PATH}/{answer.json()['id']}"


def pdf(name: str = "meter.pdf", content: bytes = PDF, kind: str = "application/pdf") -> Any:
    return {"file": SimpleUploadedFile(name, content, kind)}


def test_an_objection_holds_its_amount_and_is_told(
    owner: DoorClient, lines: list[SettlementLine]
) -> None:
    answer = owner.post(PATH, body_of(lines))
    body = answer.json()
    assert answer.status_code == 201, body
    # Inzai pays 150,000 back and 41,250 on top
    assert body["disputed_exact_jpy"] == "-191250.000000"
    assert (body["organisation"], body["counterparty"]) == ("inzai-dc", "wattbit")
    assert (body["state"], body["is_held"], body["decision"]) == ("OPEN", True, "")
    assert (body["ended_at"], body["corrected_by"], body["evidence"]) == (None, None, [])
    assert [(row["id"], row["side"], row["is_held"]) for row in body["lines"]] == [
        (line.pk, "PAYS", True) for line in sorted(lines, key=lambda line: line.pk)
    ]
    assert [(row["kind"], row["organisation"], row["text"]) for row in body["history"]] == [
        ("OPENED", "inzai-dc", "計量器の故障\n18:00 から 18:30 まで")
    ]
    assert body["history"][0]["actor"] == f"user:{owner.person.pk}"
    ids = [line.pk for line in lines]
    assert held_line_ids(line_ids=[*ids, max(ids) + 1]) == set(ids)
    assert AuditEntry.objects.filter(action="settlement.dispute.opened").count() == 1


def test_who_sees_a_dispute_and_who_does_not_know_it(
    owner: DoorClient, judge: DoorClient, lines: list[SettlementLine], as_member: AsMember
) -> None:
    one = opened(owner, lines)
    seeing = [
        owner,
        judge,
        as_member("operator_viewer", "inzai-dc"),
        as_member("auditor", "wattbit"),
    ]
    blind = [
        as_member(Role.OPERATOR_TRADER, "shiroi-dc"),
        as_member(Role.GRID_PLANNER, "grid-t"),
        as_member(Role.OPERATOR_TRADER, "stranger"),
    ]
    assert [len(client.get(PATH).json()["items"]) for client in seeing + blind] == [1] * 4 + [0] * 3
    for client in seeing:
        assert client.get(one).status_code == 200
    none = f"{PATH}/{uuid.UUID(int=1)}"
    for client in blind:
        for path in (one, none):
            answers = [
                client.get(path),
                client.post(f"{path}/comments", {"text": "x"}),
                client.post(f"{path}/evidence", pdf(), format="multipart"),
                client.get(f"{path}/evidence/{uuid.UUID(int=2)}"),
                client.post(f"{path}/withdraw"),
            ]
            assert [answer.status_code for answer in answers] == [404] * 5
    # of who acted a party is told its own people only
    judge.post(f"{one}/review")
    for client, actors in ((owner, [True, False]), (judge, [True, True])):
        history = client.get(one).json()["history"]
        assert ["actor" in row for row in history] == actors
    assert as_member(Role.MARKET_DESK, "wattbit").get(PATH).status_code == 403
    assert DoorClient().get(PATH).status_code == 401


def test_both_sides_argue_until_it_is_decided(
    owner: DoorClient, judge: DoorClient, lines: list[SettlementLine]
) -> None:
    one = opened(owner, lines)
    assert owner.post(f"{one}/comments", {"text": "記録を添えます"}).status_code == 201
    shown = owner.post(f"{one}/evidence", pdf(), format="multipart")
    assert shown.status_code == 201, shown.json()
    assert judge.post(f"{one}/review").json()["state"] == "UNDER_REVIEW"
    assert judge.post(f"{one}/comments", {"text": "届きました"}).status_code == 201
    decided = judge.post(f"{one}/decision", {"outcome": "ACCEPTED", "text": "記録のとおり"})
    assert decided.status_code == 200, decided.json()
    body = owner.get(one).json()
    assert [(row["kind"], row["organisation"]) for row in body["history"]] == [
        ("OPENED", "inzai-dc"),
        ("COMMENTED", "inzai-dc"),
        ("EVIDENCE_ADDED", "inzai-dc"),
        ("REVIEW_STARTED", "wattbit"),
        ("COMMENTED", "wattbit"),
        ("ACCEPTED", "wattbit"),
    ]
    assert (body["state"], body["decision"]) == ("ACCEPTED", "記録のとおり")
    # it stays held until a correction
    assert (body["is_held"], body["corrected_by"]) == (True, None)
    assert body["ended_at"] is not None
    for path, more in (("comments", {"text": "x"}), ("withdraw", {})):
        answer = owner.post(f"{one}/{path}", more)
        assert (answer.status_code, answer.json()["code"]) == (409, "dispute-closed")
    again = owner.post(f"{one}/evidence", pdf(content=PDF + b"\n"), format="multipart")
    assert (again.status_code, again.json()["code"]) == (409, "dispute-closed")


def test_a_rejection_and_a_withdrawal_release_the_amount(
    owner: DoorClient, judge: DoorClient, lines: list[SettlementLine]
) -> None:
    first = opened(owner, lines)
    early = judge.post(f"{first}/decision", {"outcome": "REJECTED", "text": "x"})
    assert (early.status_code, early.json()["code"]) == (409, "dispute-closed")
    assert judge.post(f"{first}/review").status_code == 200
    assert judge.post(f"{first}/review").status_code == 409
    rejected = judge.post(f"{first}/decision", {"outcome": "REJECTED", "text": "規則のとおり"})
    assert (rejected.json()["state"], rejected.json()["is_held"]) == ("REJECTED", False)
    assert held_line_ids(line_ids=[line.pk for line in lines]) == set()
    second = opened(owner, lines)
    taken_back = owner.post(f"{second}/withdraw", {"text": "誤りでした"})
    assert (taken_back.json()["state"], taken_back.json()["is_held"]) == ("WITHDRAWN", False)
    third = opened(owner, lines)
    judge.post(f"{third}/review")
    assert owner.post(f"{third}/withdraw").json()["history"][-1]["text"] == ""


def test_only_settlement_decides_and_never_in_its_own_matter(
    owner: DoorClient, lines: list[SettlementLine], as_member: AsMember
) -> None:
    one = opened(owner, lines)
    for client in (owner, as_member(Role.AUDITOR, "wattbit")):
        assert client.post(f"{one}/review").status_code == 403
        assert client.post(f"{one}/decision", {}).status_code == 403
    both = as_member(Role.SETTLEMENT, "wattbit")
    cast.member(both.person.username, cast.people().inzai_dc, Role.OPERATOR_VIEWER)
    assert both.post(f"{one}/review").status_code == 403
    assert Dispute.objects.get().state == "OPEN"


def test_who_only_looks_on_says_nothing(
    owner: DoorClient, lines: list[SettlementLine], as_member: AsMember
) -> None:
    one = opened(owner, lines)
    for client in (as_member("operator_viewer", "inzai-dc"), as_member("auditor", "wattbit")):
        assert client.post(f"{one}/comments", {"text": "x"}).status_code == 403
        assert client.post(f"{one}/evidence", pdf(), format="multipart").status_code == 403
    # settlement may speak but not take back what it did not open
    assert as_member(Role.SETTLEMENT, "wattbit").post(f"{one}/withdraw").status_code == 403
    assert DisputeEntry.objects.count() == 1


def test_a_line_is_in_one_held_dispute_of_a_party(
    owner: DoorClient, lines: list[SettlementLine]
) -> None:
    opened(owner, lines[:1])
    answer = owner.post(PATH, body_of(lines))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert DisputedLine.objects.count() == 1
    assert owner.post(PATH, body_of(lines[1:])).status_code == 201


def test_the_lines_of_a_dispute_have_the_same_other_side(
    owner: DoorClient,
    lines: list[SettlementLine],
    settled: tuple[cast.MarketDay, SettlementRun],
    as_member: AsMember,
) -> None:
    _, run = settled
    (share, *_) = lines_between(run, "inzai-hall", Item.REVENUE_SPLIT)
    mixed = owner.post(PATH, body_of([*lines, share]))
    assert (mixed.status_code, mixed.json()["field"]) == (400, "lines[2]")
    # the other side is a member: it sees the dispute, speaks, and decides nothing
    one = opened(owner, [share])
    hall = as_member(Role.OPERATOR_TRADER, "inzai-hall")
    body = hall.get(one).json()
    assert (body["counterparty"], body["lines"][0]["side"]) == ("inzai-hall", "RECEIVES")
    assert body["lines"][0]["award"] is None
    assert hall.post(f"{one}/comments", {"text": "契約のとおり"}).status_code == 201
    assert hall.post(f"{one}/withdraw").status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": "1"}, "lines"),
        ({"lines": ["1"]}, "lines[0]"),
        ({"lines": [True]}, "lines[0]"),
        ({"lines": [2**63]}, "lines[0]"),
        ({"lines": [999_999_999]}, "lines[0]"),
        ({"reason_code": "reading"}, "reason_code"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 2_001}, "reason"),
        ({"reason": 5}, "reason"),
        ({"organisation": "shiroi-dc"}, "organisation"),
        ({"amount_jpy": 5}, "amount_jpy"),
    ],
)
def test_a_wrong_objection_is_refused_by_field(
    owner: DoorClient, lines: list[SettlementLine], change: dict[str, Any], field: str
) -> None:
    answer = owner.post(PATH, body_of(lines) | change)
    assert answer.status_code in (400, 403)
    assert answer.json()["field"] == field
    assert not Dispute.objects.exists()


def test_another_ones_line_is_as_unknown_as_none(
    owner: DoorClient, settled: tuple[cast.MarketDay, SettlementRun], as_member: AsMember
) -> None:
    _, run = settled
    other = lines_between(run, "shiroi-dc", Item.SELLER_ENERGY)[0]
    answers = [
        owner.post(PATH, {"lines": [n], "reason_code": "PRICE", "reason": "x"}).json()
        for n in (other.pk, 999_999_999)
    ]
    assert [answer["detail"] for answer in answers] == [
        f"lines[0]: {n} — a settlement line of yours" for n in (other.pk, 999_999_999)
    ]
    twice = owner.post(PATH, {"lines": [1, 1], "reason_code": "PRICE", "reason": "x"})
    assert twice.json()["field"] == "lines"
    judge = as_member(Role.SETTLEMENT, "wattbit")
    assert judge.post(PATH, body_of([other])).status_code == 403


def test_a_line_that_a_later_settlement_replaced_is_not_disputed(
    owner: DoorClient, lines: list[SettlementLine], settled: tuple[cast.MarketDay, SettlementRun]
) -> None:
    _, final = settled
    provisional = SettlementRun.objects.create(
        auction=final.auction,
        verification=final.verification,
        kind="PROVISIONAL",
        revision=1,
        input_sha256="",
        ruleset_version="x",
        executed_at=final.executed_at,
    )
    line = lines[0]
    line.pk, line.run = None, provisional
    line.save()
    answer = owner.post(PATH, body_of([line]))
    assert (answer.status_code, answer.json()["field"]) == (400, "lines[0]")
    assert "latest settlement" in answer.json()["detail"]


def test_a_line_stays_disputable_after_a_correction_and_so_is_the_correction_s(
    owner: DoorClient, lines: list[SettlementLine], settled: tuple[cast.MarketDay, SettlementRun]
) -> None:
    day, final = settled
    number = day.places.resources["inzai-load"].meter.point_number
    start = settled_day.half_hour(day, cast.SCARCE)
    readings_ingest(
        rows=[ReadingRow(number, start, settled_day.SCARCE_KWH - 100, 0, Stage.FINAL)], source="x"
    )
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    correction = settlement_run_execute(auction_id=day.auction.id)
    assert correction.corrects == final
    refund = SettlementLine.objects.get(run=correction, item="SHORTFALL_REFUND")
    assert owner.post(PATH, body_of(lines)).status_code == 201
    assert owner.post(PATH, body_of([refund])).status_code == 201
    listed = owner.get("/api/v1/settlement-lines", {"auction": day.auction.code}).json()
    assert (listed["run"]["kind"], listed["run"]["cause"]) == ("CORRECTION", "READING")
    assert {lines[0].pk, refund.pk} <= {row["id"] for row in listed["items"]}
    asked = {"auction": day.auction.code, "kind": "CORRECTION"}
    alone = owner.get("/api/v1/settlement-lines", asked).json()["items"]
    assert {row["id"] for row in alone} < {row["id"] for row in listed["items"]}


def test_a_file_is_kept_as_it_came_and_handed_out_as_an_attachment(
    owner: DoorClient, judge: DoorClient, lines: list[SettlementLine]
) -> None:
    one = opened(owner, lines)
    made = owner.post(f"{one}/evidence", pdf("計量 記録.pdf"), format="multipart").json()
    assert made | {"id": "", "added_at": ""} == {
        "id": "",
        "organisation": "inzai-dc",
        "name": "計量 記録.pdf",
        "content_type": "application/pdf",
        "size_bytes": len(PDF),
        "sha256": hashlib.sha256(PDF).hexdigest(),
        "added_at": "",
    }
    answer = judge.get(f"{one}/evidence/{made['id']}", headers={"Accept": "application/pdf"})
    assert answer.content == PDF
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert judge.get(one).json()["evidence"] == [made]
    assert judge.get(f"{one}/evidence/{uuid.UUID(int=1)}").status_code == 404
    twice = judge.post(f"{one}/evidence", pdf(), format="multipart")
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("form", "status", "field"),
    [
        ({}, 400, "file"),
        ({"file": "text"}, 400, "file"),
        ({**pdf(), "note": "x"}, 400, "note"),
        (pdf("meter.exe", b"MZ", "application/x-dosexec"), 400, "file.content_type"),
        (pdf("../x.pdf"), 201, ""),  # a browser's path is cut off by the parser of forms
        (pdf("page.html", b"<html>", "text/html"), 400, "file.content_type"),
        (pdf("script.pdf", b"<script>"), 400, "file"),
        (pdf("big.csv", b"a,b\n" * 1_250_001, "text/csv"), 413, "file"),
    ],
    ids=["none", "text", "other", "exe", "path", "html", "script", "big"],
)
def test_what_is_no_evidence_is_refused(
    owner: DoorClient, lines: list[SettlementLine], form: Any, status: int, field: str
) -> None:
    one = opened(owner, lines)
    for file in form.values():
        if hasattr(file, "seek"):
            file.seek(0)
    answer = owner.post(f"{one}/evidence", form, format="multipart")
    assert (answer.status_code, answer.json().get("field", "")) == (status, field), answer.json()
    assert DisputeEvidence.objects.count() == (status == 201)
    assert owner.post(f"{one}/evidence", {"file": "x"}).status_code == 415


def test_a_dispute_takes_so_many_files_and_no_more(
    owner: DoorClient, lines: list[SettlementLine]
) -> None:
    one = opened(owner, lines)
    for n in range(20):
        shown = owner.post(
            f"{one}/evidence", pdf(content=PDF + b"\n" * (n + 1)), format="multipart"
        )
        assert shown.status_code == 201
    assert owner.post(f"{one}/evidence", pdf(), format="multipart").status_code == 409


def test_lists_filter_and_cost_the_same_for_many(
    owner: DoorClient, lines: list[SettlementLine]
) -> None:
    one = opened(owner, lines[:1])
    owner.post(f"{one}/withdraw")
    opened(owner, lines[:1])

    def asked(**query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(PATH, query).status_code == 200
        return len(queries)

    # one of them for each way of seeing a dispute: as who opened it, as the other side
    assert asked(limit=1) == asked(limit=2) <= 9
    states = [row["state"] for row in owner.get(PATH).json()["items"]]
    assert states == ["OPEN", "WITHDRAWN"]
    first = owner.get(PATH, {"limit": 1}).json()
    rest = owner.get(PATH, {"limit": 1, "cursor": first["next"]}).json()
    assert [row["state"] for row in first["items"] + rest["items"]] == states
    assert len(owner.get(PATH, {"state": "OPEN"}).json()["items"]) == 1
    assert len(owner.get(PATH, {"is_held": "false"}).json()["items"]) == 1
    for query, field in (({"state": "open"}, "state"), ({"is_held": "no"}, "is_held")):
        assert owner.get(PATH, query).json()["field"] == field


def test_the_database_lets_a_dispute_move_along_its_edges_only(
    owner: DoorClient, lines: list[SettlementLine]
) -> None:
    opened(owner, lines)
    row = Dispute.objects.get()
    for state in DISPUTE_TRANSITIONS.keys() - {"OPEN", *DISPUTE_TRANSITIONS["OPEN"]}:
        with pytest.raises(IntegrityError), transaction.atomic():
            Dispute.objects.filter(id=row.id).update(
                state=state, is_held=state == "ACCEPTED", decision="x", ended_at=row.opened_at
            )
    for change in (
        {"is_held": False},
        {"reason": "other"},
        {"disputed_exact_jpy": 0},
        {"state": "WITHDRAWN"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Dispute.objects.filter(id=row.id).update(**change)
    for frozen in (DisputeEntry, DisputedLine):
        with pytest.raises(IntegrityError), transaction.atomic():
            frozen.objects.all().delete()
