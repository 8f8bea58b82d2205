"""Instructions at the doors: each side sees its own of a row, and only its site answers."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.roles import Role
from aggregator.dispatch.models import (
    AvailabilityNotice,
    DispatchInstruction,
    InstructionState,
    ServedNeed,
)
from aggregator.dispatch.services import instruction_cancel
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.dispatching import freeze, instruction, jst, planned_day, sent_day, work

pytestmark = pytest.mark.django_db
S = InstructionState
PATH = "/api/v1/instructions"


@pytest.fixture
def day() -> cast.MarketDay:
    return sent_day()


@pytest.fixture
def owner(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


@pytest.fixture
def rival(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "shiroi-dc")


@pytest.fixture
def grid(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.GRID_PLANNER, "grid-t")


@pytest.fixture
def desk(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.MARKET_DESK, "wattbit")


def other_grid(as_member: AsMember) -> DoorClient:
    other = cast.organisation("grid-u", cast.OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
    return as_member(Role.GRID_PLANNER, other)


def listed(client: DoorClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(PATH, query)
    assert answer.status_code == 200, answer.json()
    return answer.json()["items"]


def test_each_caller_lists_what_concerns_it(
    owner: DoorClient,
    rival: DoorClient,
    grid: DoorClient,
    desk: DoorClient,
    as_member: AsMember,
) -> None:
    # Inzai: battery up, battery down, deferral; Shiroi: its cap; all four serve Grid-T's needs
    assert [len(listed(client)) for client in (owner, rival, grid, desk)] == [3, 1, 4, 4]
    stranger = as_member(Role.OPERATOR_TRADER, "stranger")
    assert listed(stranger) == listed(other_grid(as_member)) == []
    assert listed(as_member(Role.OPERATOR_VIEWER, "inzai-dc")) == listed(owner)
    assert as_member(Role.ADMINISTRATOR, "inzai-dc").get(PATH).status_code == 403
    assert DoorClient().get(PATH).status_code == 401


def test_the_owner_sees_all_of_its_own(day: cast.MarketDay, owner: DoorClient) -> None:
    row = instruction(day, "inzai-battery-down")
    body = owner.get(f"{PATH}/{row.id}").json()
    # 10:00 to 13:00 in Japan is 01:00 to 04:00 UTC; to be answered an hour before; it was sent
    # when the sweep ran, at 08:30
    assert body == {
        "id": str(row.id),
        "auction": "DA-2026-11-25",
        "site": "inzai-dc-1",
        "direction": "DOWN",
        "state": "SENT",
        "starts_at": "2026-11-25T01:00:00Z",
        "ends_at": "2026-11-25T04:00:00Z",
        "intervals": [
            {
                "t": t,
                "start_at": f"2026-11-25T{t // 2 - 9:02}:{t % 2 * 30:02}:00Z",
                "quantity_kw": "5000.0",
                "replacement_price_jpy_per_kwh": None,
            }
            for t in cast.MIDDAY
        ],
        "organisation": "inzai-dc",
        "resource": "inzai-dc-1-battery",
        "version": 1,
        "award": str(day.awards["inzai-battery-down"].id),
        "bid": str(day.bids["inzai-battery-down"].id),
        "reason": "",
        "send_at": "2026-11-24T19:00:00Z",
        "respond_by_at": "2026-11-25T00:00:00Z",
        "sent_at": "2026-11-24T23:30:00Z",
        "acknowledged_at": None,
        "started_at": None,
        "finished_at": None,
    }


def test_the_grid_operator_sees_where_and_how_much_but_no_party_reason_or_money(
    day: cast.MarketDay, grid: DoorClient
) -> None:
    row = instruction(day, "inzai-defer")
    body = grid.get(f"{PATH}/{row.id}").json()
    assert body.keys() == {
        "id", "auction", "site", "direction", "state", "starts_at", "ends_at", "intervals",
    }  # fmt: skip
    assert {frozenset(each) for each in body["intervals"]} == {
        frozenset({"t", "start_at", "quantity_kw"})
    }
    assert body["site"] == "inzai-dc-1"
    assert [each["quantity_kw"] for each in body["intervals"]] == ["9000.0"] * 6
    assert listed(grid, resource="inzai-dc-1-load") == []


def test_what_is_not_sent_yet_is_not_told_to_the_grid_operator(as_member: AsMember) -> None:
    planned_day()
    assert listed(as_member(Role.GRID_PLANNER, "grid-t")) == []
    assert len(listed(as_member(Role.OPERATOR_TRADER, "inzai-dc"))) == 3


def test_another_ones_instruction_is_as_unknown_as_none(
    day: cast.MarketDay, rival: DoorClient, as_member: AsMember, as_stranger: DoorClient
) -> None:
    row = instruction(day, "inzai-defer")
    for client in (rival, as_stranger, other_grid(as_member)):
        for path in (row.id, uuid.UUID(int=1)):
            for verb in ("get", "post"):
                suffix = "" if verb == "get" else "/acknowledge"
                answer = getattr(client, verb)(f"{PATH}/{path}{suffix}")
                if verb == "post" and client is not rival and client is not as_stranger:
                    assert answer.status_code == 403  # no grid operator answers anything
                    continue
                assert answer.status_code == 404
                assert answer.json()["detail"].replace(str(path), "…") == (
                    "instruction: '…' — one that you can see"
                )
    row.refresh_from_db()
    assert row.state == S.SENT


def test_a_site_accepts_and_accepting_again_changes_nothing(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    row = instruction(day, "inzai-defer")
    for _ in range(2):
        answer = owner.post(f"{PATH}/{row.id}/acknowledge")
        assert (answer.status_code, answer.json()["state"]) == (200, "ACKNOWLEDGED")
    row.refresh_from_db()
    assert row.acknowledged_at == jst(14)


def test_a_site_declines_with_a_reason(day: cast.MarketDay, owner: DoorClient) -> None:
    row = instruction(day, "inzai-defer")
    for body, field in (({}, "reason"), ({"reason": " "}, "reason"), ({"reason": 7}, "reason")):
        answer = owner.post(f"{PATH}/{row.id}/opt-out", body)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert owner.post(f"{PATH}/{row.id}/opt-out", {"reason": "x" * 201}).status_code == 400
    wrong = owner.post(f"{PATH}/{row.id}/opt-out", {"reason": "冷却設備の故障", "kw": 1})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "kw")
    row.refresh_from_db()
    assert row.state == S.SENT
    answer = owner.post(f"{PATH}/{row.id}/opt-out", {"reason": "冷却設備の故障"})
    assert (answer.status_code, answer.json()["state"]) == (200, "OPTED_OUT")
    assert answer.json()["reason"] == "冷却設備の故障"


def test_where_the_state_does_not_allow_it_the_answer_is_409(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    silent = instruction(day, "inzai-battery-down")
    for verb, body in (("acknowledge", None), ("opt-out", {"reason": "late"})):
        answer = owner.post(f"{PATH}/{silent.id}/{verb}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "instruction-closed")
    cancelled = instruction(day, "inzai-defer")
    instruction_cancel(instruction_id=cancelled.id, reason="test")
    assert owner.post(f"{PATH}/{cancelled.id}/acknowledge").status_code == 409
    begun = instruction(day, "inzai-battery-up")
    freeze(jst(17.1))
    assert owner.post(f"{PATH}/{begun.id}/opt-out", {"reason": "late"}).status_code == 409


def test_what_was_not_sent_yet_cannot_be_answered(as_member: AsMember) -> None:
    row = instruction(planned_day(), "inzai-defer")
    answer = as_member(Role.OPERATOR_TRADER, "inzai-dc").post(f"{PATH}/{row.id}/acknowledge")
    assert (answer.status_code, answer.json()["code"]) == (409, "instruction-closed")


def test_only_the_site_itself_answers(
    day: cast.MarketDay, desk: DoorClient, as_member: AsMember
) -> None:
    row = instruction(day, "inzai-defer")
    viewer = as_member(Role.OPERATOR_VIEWER, "inzai-dc")
    for client in (desk, viewer):
        assert client.post(f"{PATH}/{row.id}/acknowledge").status_code == 403
    # a person at the desk who also trades for another company is no site of this one
    both = as_member(Role.MARKET_DESK, "wattbit")
    cast.member(both.person.username, day.places.people.shiroi_dc, Role.OPERATOR_TRADER)
    assert both.post(f"{PATH}/{row.id}/acknowledge").status_code == 403
    row.refresh_from_db()
    assert row.state == S.SENT


def test_the_desk_sees_the_chain_and_a_stand_in_learns_nothing_of_who_it_stands_in_for(
    day: cast.MarketDay,
    owner: DoorClient,
    rival: DoorClient,
    grid: DoorClient,
    desk: DoorClient,
) -> None:
    lost = instruction(day, "inzai-defer")
    award = day.awards["inzai-defer"]
    stand_in = DispatchInstruction.objects.create(
        award=award,
        version=2,
        replaces=lost,
        bid=day.bids["shiroi-cap"],
        organisation=day.places.people.shiroi_dc,
        resource=day.places.resources["shiroi-load"],
        direction=lost.direction,
        starts_at=lost.starts_at,
        ends_at=lost.ends_at,
        send_at=jst(14),
        respond_by_at=jst(16),
        state=S.SENT,
    )
    stand_in.intervals.create(
        t=34,
        start_at=lost.starts_at,
        quantity_kw=Decimal(2_000),
        replacement_price_jpy_per_kwh=Decimal("46.67"),
    )
    chain = desk.get(f"{PATH}/{lost.id}").json()["chain"]
    assert [(each["version"], each["organisation"]) for each in chain] == [
        (1, "inzai-dc"),
        (2, "shiroi-dc"),
    ]
    told = rival.get(f"{PATH}/{stand_in.id}").json()
    assert told["award"] is None
    assert "chain" not in told
    assert told["intervals"][0]["replacement_price_jpy_per_kwh"] == "46.67"
    assert "chain" not in owner.get(f"{PATH}/{lost.id}").json()
    assert owner.get(f"{PATH}/{stand_in.id}").status_code == 404
    # it serves the same needs, so their grid operator sees it, too; without the price
    seen = grid.get(f"{PATH}/{stand_in.id}").json()
    assert "chain" not in seen
    assert seen["intervals"][0].keys() == {"t", "start_at", "quantity_kw"}


def test_needs_that_an_award_serves_are_noted_once_with_its_instruction(
    day: cast.MarketDay,
) -> None:
    served = {
        (name, need)
        for name, award in day.awards.items()
        for need, row in day.needs.items()
        if ServedNeed.objects.filter(award=award, need=row).exists()
    }
    up = {"inzai-battery-up", "inzai-defer", "shiroi-cap"}
    assert served == {(name, need) for name in up for need in ("local", "shortage")} | {
        ("inzai-battery-down", "surplus")
    }
    work()
    assert ServedNeed.objects.count() == 7


def test_filters_narrow_and_wrong_ones_are_named(
    day: cast.MarketDay, owner: DoorClient, desk: DoorClient
) -> None:
    assert len(listed(desk, auction="DA-2026-11-25")) == 4
    assert listed(desk, auction="DA-2026-11-26") == []
    assert [row["site"] for row in listed(desk, resource="shiroi-dc-1-load")] == ["shiroi-dc-1"]
    assert {row["state"] for row in listed(desk, state="SENT")} == {"SENT"}
    assert len(listed(owner, **{"from": "2026-11-25T17:00:00+09:00"})) == 2
    assert len(listed(owner, to="2026-11-25T17:00:00+09:00")) == 1
    for query in (
        {"state": "sent"},
        {"from": "2026-11-25T17:00:00"},
        {"from": "2026-11-25"},
        {"to": "0001-01-01T00:00:00+09:00"},
        {"auction": "a b"},
        {"stat": "SENT"},
        {"limit": "0"},
        {"cursor": "x"},
    ):
        answer = owner.get(PATH, query)
        assert (answer.status_code, answer.json()["field"]) == (400, next(iter(query)))
    assert owner.get(f"{PATH}?state=SENT&state=ACTIVE").json()["field"] == "state"


def test_pages_follow_one_another_without_repeating(desk: DoorClient) -> None:
    first = desk.get(PATH, {"limit": 3}).json()
    second = desk.get(PATH, {"limit": 3, "cursor": first["next"]}).json()
    found = [row["id"] for row in first["items"] + second["items"]]
    assert (len(first["items"]), len(set(found)), second["next"]) == (3, 4, None)


def test_a_longer_list_costs_no_more_queries(desk: DoorClient) -> None:
    def asked(limit: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            desk.get(PATH, {"limit": limit})
        return len(queries)

    asked(1)
    assert asked(4) == asked(1) <= 8


def test_a_site_marks_a_resource_unavailable_and_available_again(
    day: cast.MarketDay, owner: DoorClient, rival: DoorClient, desk: DoorClient, grid: DoorClient
) -> None:
    body = {
        "resource": "inzai-dc-1-load",
        "starts_at": "2026-11-25T18:00:00+09:00",
        "ends_at": "2026-11-26T00:00:00+09:00",
        "is_available": False,
        "reason": "空調点検",
    }
    made = owner.post("/api/v1/availabilities", body)
    assert made.status_code == 201, made.json()
    assert made.json() == {
        "id": made.json()["id"],
        "number": 1,
        "organisation": "inzai-dc",
        "site": "inzai-dc-1",
        "resource": "inzai-dc-1-load",
        "starts_at": "2026-11-25T09:00:00Z",
        "ends_at": "2026-11-25T15:00:00Z",
        "is_available": False,
        "reason": "空調点検",
        "noted_at": "2026-11-25T05:00:00Z",
    }
    again = owner.post("/api/v1/availabilities", {**body, "is_available": True, "reason": "済"})
    assert again.json()["number"] == 2
    counts = [
        len(client.get("/api/v1/availabilities").json()["items"])
        for client in (owner, rival, desk, grid)
    ]
    assert counts == [2, 0, 2, 0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"resource": "shiroi-dc-1-load"}, "resource"),
        ({"resource": "nowhere"}, "resource"),
        ({"starts_at": "2026-11-25T18:00:00"}, "starts_at"),
        ({"ends_at": "2026-11-25T18:00:00+09:00"}, "ends_at"),
        ({"ends_at": "2028-11-25T18:00:00+09:00"}, "ends_at"),
        ({"starts_at": "2026-11-20T18:00:00+09:00", "ends_at": "2026-11-21T18:00:00+09:00"},
         "starts_at"),
        ({"is_available": "false"}, "is_available"),
        ({"is_available": 0}, "is_available"),
        ({"reason": ""}, "reason"),
        ({"resourse": "x"}, "resourse"),
    ],
)  # fmt: skip
def test_a_wrong_notice_is_refused_by_field(
    owner: DoorClient, change: dict[str, Any], field: str
) -> None:
    body = {
        "resource": "inzai-dc-1-load",
        "starts_at": "2026-11-25T18:00:00+09:00",
        "ends_at": "2026-11-26T00:00:00+09:00",
        "is_available": False,
        "reason": "空調点検",
    }
    answer = owner.post("/api/v1/availabilities", body | change)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not AvailabilityNotice.objects.exists()
