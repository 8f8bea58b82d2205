"""What no door may swallow, at every door that reads a body.

Each door is sent its good body with each value replaced by what is none. Nobody is answered 5xx or
2xx, a code is named, nothing is stored. The three
doors that take the most are looked at value by value in :mod:`tests.api.test_corpus`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from tests.api.access_stage import WHO, Stage
from tests.api.good_bodies import GOOD, filled
from tests.api.test_access_matrix import DOORS, LINES, Line
from tests.api.test_corpus import NOT_NAMES, NOT_NUMBERS, NOT_TIMES

# Doors whose POST reads no JSON: files, which have tests of their own, and steps without a body.
FILES = {
    "dispute-evidence-add", "force-majeure-list", "payment-result-import",
    "prequalification-file-list",
}  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?")
TIME = re.compile(r"\d{4}-\d\d-\d\d(T.*)?")
# Wrong for a number, but a text like any other.
AS_TEXT = {
    kind: token for kind, token in NOT_NAMES.items()
    if kind in ("number", "true", "list", "object", "nul", "surrogate", "long", "delete")
}  # fmt: skip
TABLES = (
    "trading_bid", "trading_need", "trading_standingbid", "registry_site", "registry_resource",
    "registry_gridmodel", "metering_intervalreading", "parties_organisation",
    "api_idempotentanswer", "audit_auditentry", "jobs_job",
)  # fmt: skip


def _is_reading(line: Line) -> bool:
    name = line.route.partition(":")[2]
    return line.method in ("POST", "PUT", "PATCH") and bool(GOOD.get((line.method, name)))


READERS = [line for line in LINES if _is_reading(line)]
Path = tuple[str | int, ...]


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield Stage()
        transaction.set_rollback(True)


def test_every_door_that_reads_a_body_is_sent_the_corpus() -> None:
    told = {(line.method, line.route) for line in READERS}
    bare = {(method, f"v1:{name}") for (method, name), body in GOOD.items() if not body}
    files = {("POST", f"v1:{name}") for name in FILES}
    asked = {
        (method, name)
        for name, door in DOORS.items()
        for method in door.access
        if method in ("POST", "PUT", "PATCH")
    }
    # whoever adds a door adds a body, or says here that it reads none
    assert asked - told - bare - files == BODILESS


BODILESS = {
    ("POST", "v1:connection-end"),
    ("POST", "v1:dispute-review"),
    ("POST", "v1:document-confirm"),
    ("POST", "v1:instruction-acknowledge"),
    ("POST", "v1:standing-bid-pause"),
    ("POST", "v1:standing-bid-resume"),
    ("POST", "v1:unit-retire"),
    ("POST", "v1:webhook-challenge"),
    ("POST", "v1:webhook-message-resend"),
    ("POST", "v1:webhook-test"),
}


def _who(line: Line) -> str:
    """Return somebody who is let in, the one served first."""
    return min((who for who in WHO if who != "anonymous"), key=lambda who: (line.status(who), who))


def _rows() -> int:
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}")
        return int(cursor.fetchone()[0])


def _wrong(
    stage: Stage, line: Line, body: bytes, content_type: str = "application/json", **headers: str
) -> str:
    """Send a body; return what is wrong with the answer, or nothing."""
    sent = {"Idempotency-Key": str(uuid.uuid4()), "If-Match": "*", **headers}
    path = f"/api/v1/{line.path.format_map(stage.things)}"
    with transaction.atomic():
        before = _rows()
        answer = stage.clients[_who(line)].generic(
            line.method, path, body, content_type=content_type, headers=sent
        )
        left = _rows() - before
        transaction.set_rollback(True)
    if not 400 <= answer.status_code < 500:
        return f"{answer.status_code} {answer.content[:200]!r}"
    if left:
        return f"{left} rows left"
    code = answer.json().get("code", "")
    return "" if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) else f"no code: {answer.content!r}"


def _leaves(body: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(body, dict):
        for name, part in body.items():
            yield from _leaves(part, (*at, name))
    elif isinstance(body, list):
        for number in sorted({0, len(body) - 1}) if body else ():
            yield from _leaves(body[number], (*at, number))
    else:
        yield at, body


def _tokens(name: str, value: Any) -> dict[str, str]:
    """Return what may not stand where this value stands."""
    if isinstance(value, bool):
        return {kind: NOT_NUMBERS[kind] for kind in ("nan", "large", "list", "object")}
    if isinstance(value, int) or (NUMBER.fullmatch(value) and name not in TEXTS):
        return NOT_NUMBERS
    if TIME.fullmatch(value):
        return {
            kind: token
            for kind, token in NOT_TIMES.items()
            if kind not in ("a day", "null", "year 1", "year 9999", "odd offset")
        }
    return AS_TEXT


# digits that are a name
TEXTS = {"point_number", "area", "from_area", "to_area", "content_sha256"}


def _with(body: Any, at: Path, token: str) -> bytes:
    copied = json.loads(json.dumps(body))
    part = copied
    for key in at[:-1]:
        part = part[key]
    part[at[-1]] = "@here@"
    return json.dumps(copied).replace('"@here@"', token).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("line", READERS, ids=lambda line: f"{line.method} {line.path}")
def test_no_door_swallows_a_wrong_value(stage: Stage, line: Line) -> None:
    body = filled(line.body, stage.things)
    wrong = {}
    for at, value in _leaves(body):
        for kind, token in _tokens(
            str(at[-1] if isinstance(at[-1], str) else at[-2]), value
        ).items():
            if told := _wrong(stage, line, _with(body, at, token)):
                wrong[(*at, kind)] = told
    assert wrong == {}
