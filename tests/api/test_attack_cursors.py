"""Cursors that nobody was given: refused at once, whatever column they stand for."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from accounts.parties.roles import Role
from tests.api.conftest import AsMember, DoorClient

CHECKPOINTS = "/api/v1/audit/checkpoints"  # for everybody, by an integer
NEEDS = "/api/v1/needs"  # for everybody, by a moment and an id
AUCTIONS = "/api/v1/auctions"  # for everybody, by a day and a code
CLIENTS = "/api/v1/clients"  # by a text
ID = ["u", "00000000-0000-0000-0000-000000000000"]
MOMENT = ["t", "2026-11-25T00:00:00+00:00"]


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "part",
    [
        ["n", "1e1000000"],  # int() of it takes minutes, and nobody else is answered meanwhile
        ["n", "Infinity"],
        ["n", "NaN"],
        ["s", "1"],
        ["i", "1e3"],
        ["i", "١٢"],
        ["i", "9" * 30],
        ["i", 1],
        ["i", None],
        ["u", ID[1]],
        ["t", MOMENT[1]],
        ["x", "1"],
    ],
)
def test_a_number_in_a_cursor_is_a_number(anonymous: DoorClient, part: list[Any]) -> None:
    assert anonymous.get(CHECKPOINTS).status_code == 200  # the first request reads the modules
    began = time.monotonic()
    answer = anonymous.get(CHECKPOINTS, {"cursor": cursor(part)})
    assert time.monotonic() - began < 1
    assert answer.status_code == 400, answer.content
    assert answer.json()["field"] == "cursor"


@pytest.mark.parametrize(
    "parts",
    [
        [["t", "2026-11-25T00:00:00"], ID],  # no offset
        [["t", "0001-01-01T00:00:00+14:00"], ID],  # before the first moment there is
        [["d", "2026-11-25"], ID],
        [MOMENT, ["s", ID[1]]],
        [MOMENT, ["u", "zzzz"]],
        [MOMENT],
        [MOMENT, ID, ID],
        [[MOMENT, ID]],
        [],
    ],
)
def test_a_cursor_of_other_columns_is_refused(anonymous: DoorClient, parts: list[Any]) -> None:
    answer = anonymous.get(NEEDS, {"cursor": cursor(*parts)})
    assert answer.status_code == 400, answer.content
    assert answer.json()["field"] == "cursor"


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\nb"])
def test_a_text_in_a_cursor_is_plain(as_member: AsMember, text: str) -> None:
    client = as_member(Role.ADMINISTRATOR, "inzai-dc")
    answer = client.get(CLIENTS, {"cursor": cursor(["s", text])})
    assert answer.status_code == 400, answer.content
    assert client.get(CLIENTS, {"cursor": cursor(["s", "inzai"])}).status_code == 200
    auctions = client.get(AUCTIONS, {"cursor": cursor(["d", "2026-11-25"], ["s", text])})
    assert auctions.status_code == 400


def test_a_cursor_beyond_all_rows_is_an_empty_page(anonymous: DoorClient) -> None:
    far = anonymous.get(CHECKPOINTS, {"cursor": cursor(["i", "-" + "9" * 18])})
    assert (far.status_code, far.json()) == (200, {"items": [], "next": None})
    last = anonymous.get(NEEDS, {"cursor": cursor(["t", "0001-01-01T00:00:00+00:00"], ID)})
    assert (last.status_code, last.json()) == (200, {"items": [], "next": None})
