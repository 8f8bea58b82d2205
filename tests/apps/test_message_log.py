"""The log of messages: raw, once by id, linked to what they made, forgotten in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.test import RequestFactory

from accounts.audit.models import AuditEntry
from aggregator.messages.admin import ProtocolMessageAdmin
from aggregator.messages.models import Direction, Protocol, ProtocolMessage
from aggregator.messages.services import (
    Recorded,
    message_bytes,
    message_link,
    message_record,
    messages_sweep,
    sha256_of,
)
from tests import cast

pytestmark = pytest.mark.django_db


def _recorded(message_id: str = "m-1", content: str | bytes = "<a/>", **more: str) -> Recorded:
    return message_record(
        **{
            "direction": Direction.IN,
            "protocol": Protocol.UFTP,
            "message_id": message_id,
            "peer": "dso.example",
            "content": content,
            **more,
        }
    )


def test_a_message_is_written_once_by_its_id() -> None:
    first = _recorded(content="<a/>")
    again, other = _recorded(content="<a/>"), _recorded(content="<b/>")
    assert (first.is_new, first.is_same) == (True, True)
    assert again == Recorded(id=first.id, is_new=False, is_same=True)
    assert other == Recorded(id=first.id, is_new=False, is_same=False)
    # another peer, another direction and another protocol name their own messages
    assert _recorded(peer="other.example").is_new
    assert _recorded(direction=Direction.OUT).is_new
    assert _recorded(protocol=Protocol.OPENADR3).is_new
    assert ProtocolMessage.objects.count() == 4


@pytest.mark.parametrize("content", ["電力 <a/>", b"\xff\xfe", b"a\0b", "", "\ud800", b"\r\n "])
def test_every_byte_comes_back(content: str | bytes) -> None:
    row = ProtocolMessage.objects.get(id=_recorded(content=content).id)
    octets = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    assert message_bytes(row) == octets


def test_what_a_message_made_is_added_later_and_nothing_else_changes() -> None:
    people = cast.people()
    made = _recorded()
    message_link(id=made.id, subject=people.inzai_dc, outcome="Accepted")
    row = ProtocolMessage.objects.get(id=made.id)
    assert (row.subject, row.outcome) == (f"parties.organisation:{people.inzai_dc.id}", "Accepted")
    for change in ({"content": "x"}, {"peer": "x"}, {"message_id": "x"}, {"direction": "OUT"}):
        with pytest.raises(DatabaseError, match="only"), transaction.atomic():
            ProtocolMessage.objects.filter(id=made.id).update(**change)
    with pytest.raises(DatabaseError, match="kept for a month"), transaction.atomic():
        ProtocolMessage.objects.filter(id=made.id).delete()


def _aged(message_id: str, days: float) -> None:
    ProtocolMessage.objects.create(
        at=Now() - timedelta(days=days),
        direction=Direction.IN,
        protocol=Protocol.UFTP,
        message_id=message_id,
        peer="dso.example",
        content="<a/>",
        content_sha256=sha256_of("<a/>"),
    )


def test_messages_are_forgotten_after_four_hundred_days() -> None:
    _aged("old", 400.01)
    _aged("young", 399.9)
    assert messages_sweep() == 1
    assert [row.message_id for row in ProtocolMessage.objects.all()] == ["young"]
    entry = AuditEntry.objects.get(action="aggregator.messages.swept")
    assert entry.detail == {"count": 1, "kept_days": 400}
    assert messages_sweep() == 0
    assert AuditEntry.objects.filter(action="aggregator.messages.swept").count() == 1


def test_staff_find_messages_by_names_and_recent_ones_by_their_words() -> None:
    from django.contrib import admin

    _recorded("m-1", "<a>印西</a>", conversation_id="talk", subject="openadr3.event:7")
    _recorded("m-2", "<b/>", peer="other.example")
    _aged("m-3", 8)
    shown = ProtocolMessageAdmin(ProtocolMessage, admin.site)

    def found(words: str) -> set[str]:
        rows, _ = shown.get_search_results(
            RequestFactory().get("/"), ProtocolMessage.objects.all(), words
        )
        return {row.message_id for row in rows}

    assert found("talk") == found("印西") == found("openadr3.event:7") == {"m-1"}
    assert found("other.example") == {"m-2"}
    assert found("dso.example 印西") == {"m-1"}
    assert found("m-3") == {"m-3"}
    assert found("<a/>") == set()  # said eight days ago
