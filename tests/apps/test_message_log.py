"""The log of messages: raw, once by id, linked to what they made, forgotten in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.audit.models import AuditEntry
from accounts.fields.keys import uuid7
from accounts.parties.models import User
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
    _recorded("m-4", kind="FlexOrder")
    assert found("flexorder") == {"m-4"}


def test_staff_page_through_ten_thousand_messages_in_as_many_statements_as_through_one(
    client: Client,
) -> None:
    client.force_login(User.objects.create(username="staff", is_staff=True))
    key = uuid7()
    _recorded("wanted", "<FlexOrder/>", subject=f"uftp.inboundmessage:{key}", kind="FlexOrder")
    url = reverse("admin:messagelog_protocolmessage_changelist")

    def looked(query: str) -> tuple[str, int]:
        with CaptureQueriesContext(connection) as seen:
            page = client.get(f"{url}?{query}")
        assert page.status_code == 200
        return page.content.decode(), len(seen)

    for query in ("", "q=wanted", "q=FlexOrder", "protocol__exact=UFTP"):
        looked(query)  # what is read once of the session and the models
    few = {query: looked(query)[1] for query in ("", "q=wanted", "q=FlexOrder")}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messagelog_protocolmessage (id, at, direction, protocol, message_id, peer,"
            " kind, conversation_id, content, encoding, content_sha256, subject, outcome)"
            " SELECT gen_random_uuid(), now() - n * interval '1 minute', 'IN', 'OPENADR3',"
            " 'n-' || n, 'ven', 'POST report', '', '{}', 'utf-8', '', '', ''"
            " FROM generate_series(1, 10000) AS n"
        )
    for query, count in few.items():
        page, now = looked(query)
        assert now == count
        assert "wanted" in page
        # the link to what it made
        assert reverse("admin:uftp_inboundmessage_change", args=[key]) in page
    assert "n-1<" not in looked("q=FlexOrder")[0]
    row = ProtocolMessage.objects.get(message_id="wanted")
    shown = client.get(reverse("admin:messagelog_protocolmessage_change", args=[row.pk]))
    assert "&lt;FlexOrder/&gt;" in shown.content.decode()
