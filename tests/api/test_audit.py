"""The audit trail through the doors: own entries to their owners, checkpoints to everybody."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from nacl.signing import VerifyKey

from accounts.audit.models import AuditEntry
from accounts.audit.sealing import checkpoint_make, entries_link
from accounts.audit.services import entry_append
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from tests import cast
from tests.api.conftest import AsMember, DoorClient

ENTRIES = "/api/v1/audit/entries"
CHECKPOINTS = "/api/v1/audit/checkpoints"


def write(organisation: Organisation | None, *subjects: str) -> None:
    for subject in subjects:
        with transaction.atomic():
            entry_append(
                action="test.thing.done",
                subject=subject,
                organisation_id=organisation.id if organisation else None,
                detail={"price_jpy": "12.50"},
            )


@pytest.mark.django_db
def test_an_organisation_reads_its_own_entries_and_no_others(as_member: AsMember) -> None:
    people = cast.people()
    write(people.inzai_dc, "thing:1", "thing:2")
    write(people.shiroi_dc, "thing:3")
    write(None, "thing:4")
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    items = admin.get(ENTRIES).json()["items"]
    assert [item["subject"] for item in items] == ["thing:2", "thing:1"]
    entry = AuditEntry.objects.get(subject="thing:2")
    assert items[0] == {
        "id": entry.id,
        "at": items[0]["at"],
        "action": "test.thing.done",
        "actor": "system",
        "subject": "thing:2",
        "detail": {"price_jpy": "12.50"},
        "link": None,
    }
    one = admin.get(ENTRIES, {"subject": "thing:1"}).json()["items"]
    assert [item["subject"] for item in one] == ["thing:1"]
    # another's subject shows nothing, as one that does not exist
    assert admin.get(ENTRIES, {"subject": "thing:3"}).json()["items"] == []


@pytest.mark.django_db
def test_the_markets_auditor_reads_all_and_other_roles_none(
    as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    people = cast.people()
    write(people.inzai_dc, "thing:1")
    write(None, "thing:2")
    auditor = as_member(Role.AUDITOR, "wattbit")
    subjects = [item["subject"] for item in auditor.get(ENTRIES).json()["items"]]
    assert {"thing:1", "thing:2"} <= set(subjects)
    assert as_stranger.get(ENTRIES).status_code == 403
    assert as_member(Role.OPERATOR_TRADER, "inzai-dc").get(ENTRIES).status_code == 403
    assert anonymous.get(ENTRIES).status_code == 401
    # an auditor of an operator sees that operator's entries
    own = as_member(Role.AUDITOR, "shiroi-dc").get(ENTRIES).json()["items"]
    assert "thing:1" not in [item["subject"] for item in own]


@pytest.mark.django_db(transaction=True)
def test_checkpoints_are_public_and_verify_with_ed25519_alone(anonymous: DoorClient) -> None:
    for n in range(2):
        write(None, f"thing:{n}")
        entries_link()
        assert checkpoint_make(every=timedelta(0)) is not None
    items: list[dict[str, Any]] = anonymous.get(CHECKPOINTS).json()["items"]
    assert [item["number"] for item in items] == [2, 1]
    for item in items:
        signature = bytes.fromhex(item.pop("signature"))
        said = json.dumps(item, sort_keys=True, separators=(",", ":")).encode()
        VerifyKey(bytes.fromhex(item["public_key"])).verify(said, signature)
    one = anonymous.get(f"{CHECKPOINTS}/1").json()
    assert {**items[1], "signature": one["signature"]} == one
    assert anonymous.get(f"{CHECKPOINTS}/3").status_code == 404
    assert anonymous.get(f"{CHECKPOINTS}/{10**30}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_entry_shows_its_place_in_the_chain(as_member: AsMember) -> None:
    people = cast.people()
    write(people.inzai_dc, "thing:1")
    assert entries_link() > 0
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    (item,) = admin.get(ENTRIES).json()["items"]
    assert item["link"] == AuditEntry.objects.get(subject="thing:1").link.number


@pytest.mark.django_db
def test_who_did_it_through_a_door_is_in_the_entry(as_member: AsMember) -> None:
    """The door names the person or machine; the service that writes the entry is told nothing."""
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(
        "/api/v1/webhooks",
        {"url": "https://hooks.example.com/", "topics": ["auction.opened"]},
        key=None,
    )
    assert made.status_code == 201, made.json()
    entry = AuditEntry.objects.get(action="aggregator.webhook.created")
    assert (entry.actor, entry.user_id) == (f"user:{admin.person.pk}", admin.person.pk)


@pytest.mark.django_db
def test_lists_ask_a_fixed_number_of_questions(
    as_member: AsMember, django_assert_max_num_queries: Any
) -> None:
    people = cast.people()
    write(people.inzai_dc, *(f"thing:{n}" for n in range(60)))
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    with django_assert_max_num_queries(8):
        assert len(admin.get(ENTRIES).json()["items"]) == 50
