"""Every route of the URLconf stands in ``access_matrix.txt`` and answers as written there."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.parties.roles import MAY
from aggregator.api.v1.access import PUBLIC, SIGNED_IN
from aggregator.api.v1.base import Door
from tests.api.access_stage import OTHERS, WHO, Stage
from tests.api.good_bodies import GOOD, filled

MATRIX = Path(__file__).with_name("access_matrix.txt")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# dummies by which routes outside the API are knocked at without anybody's rows
DUMMIES = {"day": "2026-11-25", "code": "inzai-dc"}
DUMMY_UUID = str(uuid.UUID(int=7))


@dataclass(frozen=True)
class Line:
    """One line of the matrix."""

    method: str
    route: str
    path: str
    statuses: tuple[int, ...]
    body: Any
    is_good: bool = False  # whether it goes with a whole body and the version that there is

    def status(self, who: str) -> int:
        return self.statuses[list(WHO).index(who)]


def _read() -> tuple[list[Line], dict[str, str]]:
    lines: list[Line] = []
    guarded: dict[str, str] = {}
    for text in MATRIX.read_text(encoding="utf-8").splitlines():
        if not text or text.startswith("#"):
            continue
        method, *parts = text.split()
        if method == "=":
            guarded |= dict.fromkeys(parts[1:], parts[0])
            continue
        end = 2 + len(WHO)
        statuses = tuple(int(part) for part in parts[2:end])
        given = " ".join(parts[end:])
        body = GOOD[method, parts[0].partition(":")[2]] if given == "good" else {}
        lines.append(Line(method, parts[0], parts[1], statuses, body, is_good=given == "good"))
    return lines, guarded


LINES, GUARDED = _read()


def _routes(
    resolver: URLResolver, spaces: tuple[str, ...] = (), before: str = ""
) -> Iterator[tuple[str, str, Any]]:
    """Give each leaf of the URLconf: its name, its whole route and its view."""
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inside = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from _routes(pattern, inside, route)
        elif isinstance(pattern, URLPattern):
            yield ":".join((*spaces, pattern.name or route)), route, pattern.callback


LEAVES = list(_routes(get_resolver()))
ROUTES = {name: route for name, route, _ in LEAVES}
DOORS = {
    name: view.cls
    for name, _, view in LEAVES
    if issubclass(getattr(view, "cls", object), Door) and name not in GUARDED
}


def _guard(name: str) -> str:
    """Return how a route is guarded; nothing if nobody has said it."""
    if name in DOORS:
        return "door"
    if name.startswith("admin:"):
        return "admin"
    known = [
        kind
        for one, kind in GUARDED.items()
        if name == one or (one.endswith("*") and name.startswith(one[:-1]))
    ]
    return known[0] if len(known) == 1 else ""


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    """Set once for all lines; what a request changes is undone after it."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield Stage()
        transaction.set_rollback(True)


def _ask(stage: Stage, line: Line, who: str, things: dict[str, Any]) -> Any:
    path = f"/api/v1/{line.path.format_map(things)}"
    with transaction.atomic():
        client = stage.clients[who]
        headers = {"If-Match": "*"} if line.is_good else {}
        if line.method in ("GET", "DELETE"):
            answer = getattr(client, line.method.lower())(path, headers=headers)
        else:
            body = filled(line.body, things)
            answer = getattr(client, line.method.lower())(path, body, headers=headers)
        transaction.set_rollback(True)
    return answer


def _answer(stage: Stage, line: Line, who: str) -> Any:
    """Ask once, however many tests look at the answer."""
    asked = (line.method, line.path, str(line.is_good), who)
    if asked not in stage.answers:
        stage.answers[asked] = _ask(stage, line, who, stage.things)
    return stage.answers[asked]


def _answers(stage: Stage, line: Line) -> tuple[int, ...]:
    return tuple(_answer(stage, line, who).status_code for who in WHO)


def test_every_door_and_method_has_a_line(stage: Stage) -> None:
    wanted = {(method, name) for name, door in DOORS.items() for method in door.access}
    missing = sorted(wanted - {(line.method, line.route) for line in LINES}, key=lambda x: x[::-1])
    told = []
    for method, name in missing:
        route = re.sub(r"<\w+:(\w+)>", r"{\1}", ROUTES[name].removeprefix("api/v1/"))
        # sites/{code} names the stage's {site}
        noun = route.split("/")[0].removesuffix("s").replace("-", "_")
        path = route.replace("_id}", "}").replace("{code}", f"{{{noun}}}")
        try:
            line = Line(method, name, path, (), {})
            answers = " ".join(str(status) for status in _answers(stage, line))
        except KeyError as error:
            answers = f"the stage has no {error}"
        told.append(f"{method:6} {name:28} {path:44} {answers}")
    assert not told, "\n" + "\n".join(told)


def test_every_line_is_of_a_door_there_is() -> None:
    there = {(method, name) for name, door in DOORS.items() for method in door.access}
    assert {(line.method, line.route) for line in LINES} <= there
    assert {len(line.statuses) for line in LINES} <= {len(WHO)}


def test_every_route_elsewhere_is_classified() -> None:
    assert [name for name in ROUTES if not _guard(name)] == []
    assert set(GUARDED.values()) <= {"public", "person", "machine", "staff"}


def test_what_a_door_asks_for_is_in_the_table_of_roles() -> None:
    known = {PUBLIC, SIGNED_IN}.union(*MAY.values())
    asked = {(name, may) for name, door in DOORS.items() for may in door.access.values()}
    assert [pair for pair in sorted(asked) if pair[1] not in known] == []


def test_public_posts_keep_no_key() -> None:
    # a key belongs to a caller: nobody's keys would be shared by all
    assert [
        name for name, door in DOORS.items() if door.access.get("POST") == PUBLIC and door.needs_key
    ] == []


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.method} {line.path}")
def test_everybody_gets_what_the_line_says(stage: Stage, line: Line) -> None:
    found = _answers(stage, line)
    assert found == line.statuses, dict(zip(WHO, found, strict=True))


@pytest.mark.parametrize(
    "line",
    [line for line in LINES if "{" in line.path],
    ids=lambda line: f"{line.method} {line.path}",
)
def test_what_is_not_theirs_looks_like_what_is_not_there(stage: Stage, line: Line) -> None:
    missing = {
        name: uuid.UUID(int=7) if isinstance(thing, uuid.UUID) else "no-such-thing"
        for name, thing in stage.things.items()
    }
    if line.status("anonymous") == 404 or "{open}" in line.path:
        return  # no secret that it is not there, or that it is
    for who in OTHERS:
        if line.status(who) != 404:
            continue
        bodies = []
        for things in (stage.things, missing):
            theirs = things is stage.things
            body = (_answer(stage, line, who) if theirs else _ask(stage, line, who, things)).json()
            body.pop("instance")
            text = json.dumps(body)
            for name in re.findall(r"[{<](\w+)[}>]", line.path + str(line.body)):
                text = text.replace(str(things[name]), "…")
            bodies.append(text)
        assert bodies[0] == bodies[1], who


@pytest.mark.parametrize(
    "line",
    [line for line in LINES if line.method == "GET"],
    ids=lambda line: line.path,
)
def test_nobody_is_shown_what_is_of_others(stage: Stage, line: Line) -> None:
    for who in OTHERS:
        answer = _answer(stage, line, who)
        # a refusal may repeat what the caller named
        text = answer.content.decode() if answer.status_code < 400 else ""
        assert [secret for secret in stage.secrets() if secret in text] == [], who


@pytest.mark.parametrize("name", sorted(DOORS))
def test_other_methods_are_refused(stage: Stage, name: str) -> None:
    paths = {line.path for line in LINES if line.route == name}
    for method in METHODS:
        if method in DOORS[name].access:
            continue
        for path in paths:
            answer = _ask(stage, Line(method, name, path, (), {}), "anonymous", stage.things)
            assert (method, answer.status_code) == (method, 405)
            assert answer["Allow"] == ", ".join(sorted(DOORS[name].access))


def _dummy(found: re.Match[str]) -> str:
    return DUMMIES.get(found[2], DUMMY_UUID if found[1] == "uuid" else "1")


@pytest.mark.parametrize(
    "name", sorted(name for name in ROUTES if _guard(name) not in ("public", "door", "admin"))
)
def test_what_is_guarded_elsewhere_lets_nobody_in(stage: Stage, name: str) -> None:
    path = re.sub(r"<(?:(\w+):)?(\w+)>", _dummy, ROUTES[name])
    assert stage.clients["anonymous"].get(f"/{path}").status_code in (302, 401, 403, 405)
