"""Polls that come at once are read by one statement: each its own rows, what fails by itself."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from aggregator.protocols.openadr3 import asking, selectors
from aggregator.protocols.openadr3.asking import Question
from aggregator.protocols.openadr3.models import ObjectKind, Ven
from aggregator.protocols.openadr3.selectors import caller_read
from tests import cast
from tests.dispatching import api_client

# names that would end a text, a list or a statement if they were not escaped
AWKWARD = ['q"u', "b\\s", "c,o", "b}r", "n'u", "%s", " ", "NULL", "日本"]


def _question(names: list[str], *, limit: int = 50) -> Question:
    return Question(
        columns="o.name, %s::text",
        source="openadr3_ven o WHERE o.name = ANY(%s) AND o.removed_at IS NULL",
        order="o.name, o.id",
        limit=limit,
        skip=0,
        given=("for " + names[0], names),
    )


@pytest.fixture
def vens() -> list[str]:
    client = api_client(cast.people().inzai_dc)
    for name in AWKWARD:
        Ven.objects.create(client=client, name=name, body={})
    return AWKWARD


@pytest.mark.django_db
def test_questions_alike_are_one_statement_and_each_gets_its_own_rows_in_order(
    vens: list[str],
) -> None:
    several = [_question([name]) for name in vens] + [_question(vens, limit=50)]
    with CaptureQueriesContext(connection) as asked:
        found = asking._asked(several)
    assert len(asked.captured_queries) == 1
    assert found[:-1] == [[(name, f"for {name}")] for name in vens]
    whole = found[-1]
    assert whole is not None
    assert whole == asking._alone(several[-1])
    assert {name for name, _ in whole} == set(vens)


@pytest.mark.django_db
def test_questions_of_other_words_limits_or_kinds_of_parameters_do_not_go_together() -> None:
    one = _question(["a"])
    assert one.likeness == _question(["b", "c"]).likeness
    assert one.likeness != _question(["a"], limit=1).likeness
    by_id = Question(
        columns=one.columns, source=one.source, order=one.order, limit=50, skip=0, given=("a", "b")
    )
    assert one.likeness != by_id.likeness


@pytest.mark.django_db(transaction=True)
def test_what_one_asks_wrongly_costs_the_others_no_answer(vens: list[str]) -> None:
    wrong = _question(["no\0text"])  # a text that the database cannot take
    assert asking._asked([_question(["c,o"]), wrong]) == [None, None]
    assert asking.rows_of(_question(["c,o"])) == [("c,o", "for c,o")]


@pytest.mark.django_db
def test_a_database_that_is_gone_is_told_to_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(asking, "_joined", gone)
    with pytest.raises(OperationalError):
        asking._asked([_question(["a"]), _question(["b"])])


@pytest.mark.django_db(transaction=True)
def test_callers_at_once_share_a_query_and_each_is_itself_as_it_stands_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = cast.people()
    clients = [api_client(organisation) for organisation in (people.inzai_dc, people.shiroi_dc)] * 4
    goes: list[int] = []
    is_first_in, others_wait = threading.Event(), threading.Event()
    read = selectors._callers_read

    def slow(ids: Any) -> Any:
        goes.append(len(ids))
        is_first_in.set()
        others_wait.wait(5)
        return read(ids)

    monkeypatch.setattr(selectors._callers_together, "_work", slow)
    found: dict[int, UUID | None] = {}

    def ask(n: int) -> None:
        try:
            told = caller_read(clients[n].id)
            found[n] = told[0].client.organisation_id if told else None
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    threads[0].start()
    is_first_in.wait(5)
    for thread in threads[1:]:
        thread.start()
    last_s = time.monotonic() + 5.0
    while len(selectors._callers_together._waiting) < 7 and time.monotonic() < last_s:
        time.sleep(0.005)
    others_wait.set()
    for thread in threads:
        thread.join(5)
    assert found == {n: clients[n].organisation_id for n in range(8)}
    assert goes == [1, 7]


@pytest.mark.django_db
def test_a_list_is_read_on_ones_own_line_inside_a_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(_: Any) -> Any:
        raise AssertionError("another thread's transaction does not see what this one wrote")

    monkeypatch.setattr(asking._together, "of", never)
    client = api_client(cast.people().inzai_dc)
    ven = Ven.objects.create(client=client, name="just written", body={})
    found = caller_read(client.id)
    assert found is not None
    assert [row.id for row in selectors.rows_shown(ObjectKind.VEN, found[0])] == [ven.id]
