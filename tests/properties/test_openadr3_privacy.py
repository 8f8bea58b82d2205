"""Privacy over random grants: what a site sees is exactly what its grants say, by every door."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.protocols.openadr3 import asking, selectors
from aggregator.protocols.openadr3.asking import Question, Row, rows_of
from aggregator.protocols.openadr3.models import Event, ObjectKind, Program, Ven, VenResource
from aggregator.protocols.openadr3.selectors import (
    Caller,
    grants_read,
    object_is_seen,
    object_shown,
    rows_shown,
)
from tests import cast
from tests.dispatching import api_client

pytestmark = pytest.mark.django_db
NAMES = st.lists(st.sampled_from("abcd"), max_size=3, unique=True)
OWNERS = st.sampled_from(["platform", "grid_t", "other"])
PROGRAMS = st.lists(
    st.tuples(OWNERS, NAMES, st.lists(NAMES, min_size=1, max_size=2)), min_size=1, max_size=4
)
# of each of two sites: who granted, to the ven, to its resource
GRANTS = st.lists(st.tuples(st.integers(0, 1), OWNERS, NAMES, NAMES), max_size=5)


def _sights(own: dict[str, set[str]], owner: str, program: list[str], event: list[str]) -> bool:
    """Say by the rule as the documents tell it whether an event is seen."""
    granted = own.get(owner, set())
    if event:
        return bool(granted & set(event))
    return not program or bool(granted & set(program))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(programs=PROGRAMS, grants=GRANTS)
def test_a_site_sees_what_was_granted_to_it_by_whoever_made_it_and_nothing_else(
    programs: list[Any], grants: list[Any]
) -> None:
    from django.db import transaction

    questions: list[Question] = []

    def noted(question: Question) -> list[Row]:
        questions.append(question)
        return rows_of(question)

    with transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(selectors, "rows_of", noted)
        _checked(programs, grants)
        _read_together_as_alone(questions)
        transaction.set_rollback(True)


def _read_together_as_alone(questions: list[Question]) -> None:
    """Check that who asks with others is shown its own rows, in their order, and no other's."""
    alike: dict[Any, list[Question]] = {}
    for question in questions:
        alike.setdefault(question.likeness, []).append(question)
    for many in alike.values():
        assert asking._asked(many) == [rows_of(question) for question in many]


def _checked(programs: list[Any], grants: list[Any]) -> None:
    people = cast.people()
    owner_ids = {
        "platform": None,
        "grid_t": people.grid_t.id,
        "other": people.platform.id,  # any other organisation than the platform itself
    }
    clients = [api_client(people.inzai_dc), api_client(people.inzai_dc)]
    own: list[dict[str, set[str]]] = [{}, {}]
    vens: list[tuple[int, Ven]] = []
    for n, (site, owner, of_ven, of_resource) in enumerate(grants):
        ven = Ven.objects.create(
            client=clients[site],
            name=f"v{n}",
            organisation_id=owner_ids[owner],
            targets=of_ven,
            body={},
        )
        VenResource.objects.create(ven=ven, name="r", targets=of_resource, body={})
        own[site].setdefault(owner, set()).update(of_ven, of_resource)
        vens.append((site, ven))
    events = []
    for n, (owner, of_program, many) in enumerate(programs):
        program = Program.objects.create(
            name=f"p{n}", organisation_id=owner_ids[owner], targets=of_program, body={}
        )
        for targets in many:
            body = {"reportDescriptors": [{"payloadType": "USAGE", "targets": list("abcd")}]}
            event = Event.objects.create(program=program, targets=targets, body=body)
            events.append((owner, of_program, targets, event))
    found = grants_read([client.id for client in clients])
    for site, client in enumerate(clients):
        caller = Caller(
            client=client,
            scopes=frozenset(client.scopes),
            kind="DC_OPERATOR",
            grants=found.get(client.id, {}),
        )
        names = set().union(*own[site].values()) if own[site] else set()
        listed = {row.id: json.loads(row.text) for row in rows_shown(ObjectKind.EVENT, caller)}
        for owner, of_program, targets, event in events:
            sees = _sights(own[site], owner, of_program, targets)
            assert (event.id in listed) is sees
            assert object_is_seen(ObjectKind.EVENT, caller, event.id) is sees
            assert (object_shown(ObjectKind.EVENT, caller, event.id) is not None) is sees
            if sees:
                granted = own[site].get(owner, set())
                shown = [name for name in targets if name in granted]
                assert listed[event.id]["targets"] == (shown or None)
                inner = listed[event.id]["reportDescriptors"][0]["targets"]
                assert set(inner) <= names
        for asked in "abcd":
            narrowed = {row.id for row in rows_shown(ObjectKind.EVENT, caller, targets=[asked])}
            assert narrowed == {
                event.id
                for owner, _, targets, event in events
                if asked in targets and asked in own[site].get(owner, set())
            }
        mine = {ven.id for of, ven in vens if of == site}
        assert {row.id for row in rows_shown(ObjectKind.VEN, caller)} == mine
        resources = rows_shown(ObjectKind.RESOURCE, caller)
        assert {json.loads(row.text)["venID"] for row in resources} == {
            str(ven_id) for ven_id in mine
        }
