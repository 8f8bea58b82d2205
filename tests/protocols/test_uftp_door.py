"""The door of UFTP: who comes in, who is turned away by which status, and each message once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connections
from django.db.models.functions import Now
from nacl.signing import SigningKey

from accounts.jobs.models import Job
from aggregator.messages.models import ProtocolMessage
from aggregator.outbox.models import OutboxMessage
from aggregator.protocols.uftp import messages, services, wire
from aggregator.protocols.uftp.keys import keys_of, participant_key_rotate
from aggregator.protocols.uftp.messages import TestMessage, TestMessageResponse
from aggregator.protocols.uftp.models import InboundMessage, ParticipantKey
from tests import cast
from tests.uftping import DOMAIN, PATH, Dso, public, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def dso() -> Dso:
    return Dso(cast.people().grid_t)


def nothing_stored() -> bool:
    return not InboundMessage.objects.exists() and not Job.objects.exists()


def test_a_test_message_gets_200_at_once_and_its_answer_as_a_message(dso: Dso) -> None:
    message = TestMessage(**dso.head())
    assert dso.say(message) == 200
    assert dso.heard() == []  # nothing but the transport's answer yet
    assert work() == [services.DECIDE_KIND]
    (answer,) = dso.heard()
    assert type(answer) is TestMessageResponse
    assert answer.conversation_id == message.conversation_id
    assert answer.message_id != message.message_id


def test_both_directions_stand_raw_in_the_log_linked_to_the_message(dso: Dso) -> None:
    message = TestMessage(**dso.head())
    raw = dso.envelope(message)
    assert dso.post(raw) == 200
    work()
    inbound = InboundMessage.objects.get()
    came = ProtocolMessage.objects.get(direction="IN", protocol="UFTP")
    assert (came.content.encode(), came.peer, came.kind) == (raw, DOMAIN, "TestMessage")
    went = ProtocolMessage.objects.get(direction="OUT", protocol="UFTP")
    assert went.kind == "TestMessageResponse"
    assert came.subject == went.subject
    assert came.subject.endswith(str(inbound.id))
    assert went.conversation_id == came.conversation_id


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"content_type": "application/json"}, 400),
        ({"content_type": "text/xml; charset=utf-16"}, 400),
        ({"CONTENT_LENGTH": ""}, 411),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"CONTENT_LENGTH": "1500001"}, 413),
        ({"CONTENT_LENGTH": "-1"}, 411),
    ],
)
def test_transport_that_is_not_the_protocols_is_told_by_status(
    dso: Dso, change: dict[str, Any], status: int
) -> None:
    assert dso.post(dso.envelope(TestMessage(**dso.head())), **change) == status
    assert nothing_stored()


def test_a_body_that_is_no_envelope_or_no_message_is_400(dso: Dso) -> None:
    bomb = b'<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">]><SignedMessage>&a;</SignedMessage>'
    for body in (b" ", b"<x/>", b"not xml", bomb, b"<SignedMessage SenderDomain='x'/>"):
        assert dso.post(body) == 400
    # signed by a known sender, and still no message: not well-formed, a bomb, not in the schema
    for inner in (b"<x", bomb, b"<FlexRequest/>", b"<DSOPortfolioQuery/>"):
        assert dso.post(dso.sealed(inner)) == 400
    assert nothing_stored()


def test_a_stranger_is_419_and_a_forged_or_changed_signature_401(dso: Dso) -> None:
    message = TestMessage(**dso.head())
    assert dso.say(message, key=SigningKey.generate()) == 401
    raw = dso.envelope(message)
    envelope = wire.envelope_read(raw)
    for at in (0, 63, 64, len(envelope.sealed) - 1):  # signature and text, first and last byte
        changed = bytearray(envelope.sealed)
        changed[at] ^= 1
        body = raw.replace(_base64(envelope.sealed), _base64(bytes(changed)))
        assert body != raw
        assert dso.post(body) == 401
    assert dso.post(dso.sealed(b"<x/>", role="CRO")) == 419
    dso.domain = "stranger.example.jp"
    assert dso.say(TestMessage(**dso.head())) == 419
    assert nothing_stored()


def _base64(raw: bytes) -> bytes:
    import base64

    return base64.b64encode(raw)


def test_one_who_is_not_spoken_with_any_more_is_419(dso: Dso) -> None:
    dso.participant.is_active = False
    dso.participant.save()
    assert dso.say(TestMessage(**dso.head())) == 419
    dso.participant.is_active = True
    dso.participant.save()
    ParticipantKey.objects.update(valid_until=Now())
    assert dso.say(TestMessage(**dso.head())) == 419


def test_other_methods_are_refused_and_no_domain_means_no_uftp(dso: Dso, settings: Any) -> None:
    assert dso.http.get(PATH).status_code == 405
    raw = dso.envelope(TestMessage(**dso.head()))
    settings.UFTP_DOMAIN = None
    assert dso.post(raw) == 503
    assert nothing_stored()


def test_more_than_the_limit_in_ten_seconds_is_429_for_that_sender_alone(
    dso: Dso, settings: Any
) -> None:
    settings.UFTP_MESSAGES_PER_10S = 2
    cache.clear()
    other = Dso(cast.organisation("grid-o", "TSO", "他社", "Other"), domain="grid-o.example.jp")
    said = [dso.say(TestMessage(**dso.head())) for _ in range(3)]
    assert said == [200, 200, 429]
    # what another signs in its name counts against nobody
    cache.clear()
    for _ in range(3):
        assert dso.say(TestMessage(**dso.head()), key=other.key) == 401
    assert dso.say(TestMessage(**dso.head())) == 200
    assert other.say(TestMessage(**other.head())) == 200
    cache.clear()


def test_while_keys_change_two_count_and_afterwards_one(dso: Dso) -> None:
    new = SigningKey.generate()
    participant_key_rotate(
        participant=dso.participant, public_key=public(new), overlap=timedelta(hours=1)
    )
    assert [bytes(key) for key in keys_of(dso.participant)] == [
        bytes(new.verify_key), bytes(dso.key.verify_key),
    ]  # fmt: skip
    assert dso.say(TestMessage(**dso.head())) == 200
    assert dso.say(TestMessage(**dso.head()), key=new) == 200
    ParticipantKey.objects.filter(public_key=public(dso.key)).update(valid_until=Now())
    assert dso.say(TestMessage(**dso.head())) == 401
    assert dso.say(TestMessage(**dso.head()), key=new) == 200


def test_a_message_that_comes_again_is_answered_by_what_it_says(dso: Dso) -> None:
    request = dso.request()
    assert dso.say(request) == 200
    work()
    assert dso.say(request) == 200  # the same words
    work()
    assert dso.say(dso.request(message_id=request.message_id, revision=2)) == 200
    work()
    answers = dso.heard(messages.FlexRequestResponse)
    assert [answer.rejection_reason for answer in answers[1:]] == [
        "Already Submitted", "Duplicate Identifier",
    ]  # fmt: skip
    assert {answer.flex_request_message_id for answer in answers} == {request.message_id}
    assert {answer.conversation_id for answer in answers} == {request.conversation_id}
    assert InboundMessage.objects.get().repeated_count == 2


def test_ids_are_compared_without_regard_to_case(dso: Dso) -> None:
    message = TestMessage(**dso.head())
    assert dso.say(message) == 200
    upper = TestMessage(**dso.head(message_id=message.message_id.upper()))
    assert UUID(upper.message_id) == UUID(message.message_id)
    assert dso.say(upper) == 200
    assert InboundMessage.objects.get().repeated_count == 1


def test_a_replay_is_answered_ten_times_and_no_more(dso: Dso) -> None:
    raw = dso.envelope(dso.request())
    for _ in range(15):
        assert dso.post(raw) == 200
    work()
    # the first, and ten of fourteen repetitions
    assert OutboxMessage.objects.count() == 11
    assert InboundMessage.objects.get().repeated_count == 14


def test_what_names_another_sender_or_recipient_inside_is_rejected_by_name(dso: Dso) -> None:
    for changes, reason in (
        ({"sender_domain": "other.example.jp"}, "Mismatch SenderDomain"),
        ({"recipient_domain": "other.example.jp"}, "Unknown RecipientDomain"),
    ):
        said = dso.said(dso.request(**changes))
        assert (said.result, said.reason.split(" (")[0]) == ("Rejected", reason)
    assert [answer.result for answer in dso.heard()] == ["Rejected", "Rejected"]


def test_messages_that_an_aggregator_only_sends_are_rejected(dso: Dso) -> None:
    revocation = messages.FlexOfferRevocation(
        **dso.head(), flex_offer_message_id="33333333-3333-4333-8333-333333333333"
    )
    said = dso.said(revocation)
    assert (said.result, said.reason.split(" (")[0]) == ("Rejected", "Invalid Message")
    (answer,) = dso.heard(messages.FlexOfferRevocationResponse)
    assert answer.flex_offer_revocation_message_id == revocation.message_id


def test_an_answer_to_nothing_of_ours_is_noted_and_answered_by_nothing(dso: Dso) -> None:
    answer = messages.FlexOfferResponse(
        **dso.head(),
        result="Rejected",
        flex_offer_message_id="33333333-3333-4333-8333-333333333333",
    )
    assert dso.said(answer).result == ""
    assert dso.heard() == []


def test_a_forged_name_cannot_break_the_log_line(
    dso: Dso, caplog: pytest.LogCaptureFixture
) -> None:
    body = dso.envelope(TestMessage(**dso.head())).replace(
        DOMAIN.encode(), b"x&#10;ERROR all is lost.example.jp"
    )
    assert dso.post(body) == 400
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.django_db(transaction=True)
def test_the_same_message_ten_times_at_once_is_one_message() -> None:
    dso = Dso(cast.people().grid_t)
    raw = dso.envelope(TestMessage(**dso.head()))
    statuses: list[int] = []

    def post() -> None:
        from django.test import Client

        answer = Client().post(PATH, raw, content_type=wire.CONTENT_TYPE)
        statuses.append(answer.status_code)
        connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 10
    assert InboundMessage.objects.get().repeated_count == 9
    assert Job.objects.filter(kind=services.DECIDE_KIND).count() == 1
