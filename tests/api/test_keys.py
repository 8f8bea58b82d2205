"""One Idempotency-Key: one effect and one answer, whatever the network does."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.core.errors import Refused
from accounts.parties.models import OrganisationKind
from accounts.parties.sight import Sight
from aggregator.api.models import IdempotentAnswer
from aggregator.api.services import answers_sweep
from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.base import Door
from market.registry.models import Area
from tests import cast_places

ONE = Sight(organisations=(), roles=frozenset(), market_id=None, client_id=uuid.UUID(int=1))
OTHER = Sight(organisations=(), roles=frozenset(), market_id=None, client_id=uuid.UUID(int=2))


class Naming(Door):
    """Makes an area by its code: something whose doubling shows."""

    access: ClassVar[Access] = {"POST": SIGNED_IN, "PATCH": SIGNED_IN}
    pause: ClassVar[Callable[[], None] | None] = None
    made: ClassVar[int] = 0

    def post(self, request: Any) -> Response:
        code = request.data["code"]
        Naming.made += 1
        area = Area.objects.create(
            code=code,
            name=code,
            name_en=code,
            frequency_hz=50,
            tso=cast_places.organisation("grid-t", OrganisationKind.TSO, "T", "T"),
        )
        if Naming.pause:
            Naming.pause()
        if request.data.get("refuse") == "raise":
            raise Refused(field="code", value=code, rule="another one")
        if request.data.get("refuse"):
            return Response({"code": "refused"}, status=400)
        return Response({"id": area.pk}, status=201, headers={"Location": f"/areas/{code}"})

    patch = post


class Computing(Naming):
    """The same without a memory."""

    needs_key = False


def _send(
    data: Any,
    *,
    key: str | None = "k1",
    sight: Sight = ONE,
    view: Any = Naming,
    method: str = "post",
) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    request = getattr(APIRequestFactory(), method)("/areas", data, format="json", headers=headers)
    force_authenticate(request, user=object(), token=sight)
    return view.as_view()(request).render()


def _count(code: str) -> int:
    return Area.objects.filter(code=code).count()


@pytest.mark.django_db
def test_the_same_request_again_returns_the_first_answer() -> None:
    first = _send({"code": "91"})
    again = _send({"code": "91"})
    assert (first.status_code, "Idempotency-Replayed" in first) == (201, False)
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert again["Location"] == first["Location"] == "/areas/91"
    assert _count("91") == 1


@pytest.mark.django_db
def test_other_content_under_the_same_key_is_refused() -> None:
    _send({"code": "91"})
    other = _send({"code": "92"})
    assert (other.status_code, other.data["code"]) == (422, "key-reused")
    assert other.data["field"] == "Idempotency-Key"
    assert other.data["detail_ja"]
    assert _count("92") == 0


@pytest.mark.django_db
def test_keys_of_different_callers_are_independent() -> None:
    assert _send({"code": "91"}).status_code == 201
    assert _send({"code": "92"}, sight=OTHER).status_code == 201
    assert (_count("91"), _count("92")) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "key-required"),
        ("", "key-required"),
        ("k" * 256, "malformed"),
        ("k\u00e9", "malformed"),
    ],
)
def test_a_post_needs_a_key_that_can_be_one(key: str | None, code: str) -> None:
    answer = _send({"code": "91"}, key=key)
    assert (answer.status_code, answer.data["code"]) == (400, code)
    assert answer.data["field"] == "Idempotency-Key"
    assert _count("91") == 0


@pytest.mark.django_db
def test_a_key_of_the_full_length_is_kept() -> None:
    assert _send({"code": "91"}, key="~" * 255).status_code == 201
    assert _send({"code": "91"}, key="~" * 255)["Idempotency-Replayed"] == "true"


@pytest.mark.django_db
def test_a_door_that_only_computes_needs_none() -> None:
    assert _send({"code": "91"}, key=None, view=Computing).status_code == 201
    assert IdempotentAnswer.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("refuse", ["raise", "return"])
def test_a_refusal_leaves_nothing_and_may_be_mended_under_the_same_key(refuse: str) -> None:
    refused = _send({"code": "91", "refuse": refuse})
    assert refused.status_code == 400
    assert (_count("91"), IdempotentAnswer.objects.count()) == (0, 0)
    assert _send({"code": "91"}).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize("refuse", ["raise", "return"])
def test_a_refused_change_leaves_nothing_half_done(refuse: str) -> None:
    assert _send({"code": "91", "refuse": refuse}, method="patch").status_code == 400
    assert _count("91") == 0


@pytest.mark.django_db
def test_a_body_that_cannot_be_read_is_refused_before_the_key_is_looked_up() -> None:
    request = APIRequestFactory().post(
        "/areas", b"{", content_type="application/json", headers={"Idempotency-Key": "k"}
    )
    force_authenticate(request, user=object(), token=ONE)
    with CaptureQueriesContext(connection) as asked:
        assert Naming.as_view()(request).data["code"] == "malformed"
    assert len(asked) == 0


@pytest.mark.django_db
def test_a_key_costs_one_statement_each_way() -> None:
    with CaptureQueriesContext(connection) as asked:
        _send({"code": "91"})
    ours = [row["sql"] for row in asked if "idempotentanswer" in row["sql"]]
    assert [sql.split()[0] for sql in ours] == ["SELECT", "INSERT"]
    assert sum("pg_try_advisory" in row["sql"] for row in asked) == 1


@pytest.mark.django_db(transaction=True)
def test_the_twin_of_a_request_in_flight_is_told_so_at_once() -> None:
    at_work, go_on = threading.Event(), threading.Event()
    answers: list[Any] = []

    def pause() -> None:
        at_work.set()
        assert go_on.wait(20)

    def first() -> None:
        answers.append(_send({"code": "91"}))
        connections.close_all()

    Naming.pause = staticmethod(pause)
    thread = threading.Thread(target=first)
    try:
        thread.start()
        assert at_work.wait(20)
        twin = _send({"code": "91"})
        assert (twin.status_code, twin.data["code"]) == (409, "key-in-flight")
        assert twin["Retry-After"] == "1"
        go_on.set()
        thread.join(20)
    finally:
        Naming.pause = None
        go_on.set()
    assert answers[0].status_code == 201
    assert _send({"code": "91"}).content == answers[0].content
    assert _count("91") == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_twins_at_once_one_has_an_effect() -> None:
    barrier = threading.Barrier(6)
    statuses: list[int] = []

    def knock() -> None:
        barrier.wait(20)
        statuses.append(_send({"code": "91"}).status_code)
        connections.close_all()

    made = Naming.made
    threads = [threading.Thread(target=knock) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert set(statuses) <= {201, 409}
    assert statuses.count(201) >= 1
    assert _count("91") == 1
    assert Naming.made == made + 1


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_commit_leaves_neither_effect_nor_answer() -> None:
    def die() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    Naming.pause = staticmethod(die)
    try:
        lost = _send({"code": "91"})
    finally:
        Naming.pause = None
        connections.close_all()
    assert (lost.status_code, lost.data["code"]) == (503, "unavailable")
    assert (_count("91"), IdempotentAnswer.objects.count()) == (0, 0)
    assert _send({"code": "91"}).status_code == 201


@pytest.mark.django_db
def test_answers_older_than_two_days_are_swept() -> None:
    for code, name in (("91", "old"), ("92", "older"), ("93", "new")):
        _send({"code": code}, key=name)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE api_idempotentanswer SET created_at = now() - %s WHERE key LIKE 'old%%'",
            [timedelta(hours=48, minutes=1)],
        )
        cursor.execute(
            "UPDATE api_idempotentanswer SET created_at = now() - %s WHERE key = 'new'",
            [timedelta(hours=47, minutes=59)],
        )
    assert answers_sweep(rows_max=1) == 1
    assert answers_sweep() == 1
    assert answers_sweep() == 0
    assert [row.key for row in IdempotentAnswer.objects.all()] == ["new"]
