"""UFTP: what an attacker who holds a participant's key, or none, may post; each line is refused.

Everything here is properly wrapped unless the line says otherwise: a signature proves who sent a
message, not that it means well.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from uuid import uuid4

import pytest

from accounts.jobs.models import Job
from aggregator.messages.models import ProtocolMessage
from aggregator.protocols.uftp import messages, wire
from aggregator.protocols.uftp.messages import TestMessage as Ping
from aggregator.protocols.uftp.models import InboundMessage
from tests import cast
from tests.uftping import DOMAIN, Dso, work

pytestmark = pytest.mark.django_db
Posted = Callable[[Dso], bytes]


@pytest.fixture
def dso() -> Dso:
    return Dso(cast.people().grid_t)


def inner(change: Callable[[bytes], bytes]) -> Posted:
    """Change what is inside, and sign the changed."""
    return lambda dso: dso.sealed(change(wire.message_render(Ping(**dso.head()))))


def outer(change: Callable[[bytes], bytes]) -> Posted:
    """Change the envelope of a good message."""
    return lambda dso: change(dso.envelope(Ping(**dso.head())))


def doctype(declared: bytes, used: bytes = b"") -> Callable[[bytes], bytes]:
    return lambda xml: (
        b"<!DOCTYPE TestMessage [" + declared + b"]>" + xml[xml.index(b"<TestMessage") :] + used
    )


def said(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        assert before in raw
        return raw.replace(before, after, 1)

    return change


def body(change: Callable[[bytes], bytes]) -> Posted:
    """Change the bytes of signature and message under their base64."""

    def posted(dso: Dso) -> bytes:
        raw = dso.envelope(Ping(**dso.head()))
        sealed = wire.envelope_read(raw).sealed
        return raw.replace(base64.b64encode(sealed), base64.b64encode(change(sealed)))

    return posted


LAUGHS = b"".join(
    b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"lol") for n in range(10)
)
REFUSED: dict[str, tuple[Posted, int, str]] = {
    "billion laughs": (inner(doctype(LAUGHS)), 400, "document type"),
    "quadratic blowup": (
        inner(doctype(b'<!ENTITY q "' + b"q" * 50_000 + b'">')), 400, "document type",
    ),
    "external entity": (
        inner(doctype(b'<!ENTITY x SYSTEM "file:///etc/passwd">')), 400, "document type",
    ),
    "parameter entity": (
        inner(doctype(b'<!ENTITY % p SYSTEM "http://203.0.113.9/p"> %p;')), 400, "document type",
    ),
    "external subset": (
        inner(lambda xml: b'<!DOCTYPE x SYSTEM "http://203.0.113.9/x">' + xml[xml.index(b"<T") :]),
        400, "document type",
    ),
    "entity in the envelope": (
        outer(lambda raw: b"<!DOCTYPE x [" + LAUGHS + b"]>" + raw[raw.index(b"<S") :]),
        400, "document type",
    ),
    "deep nesting": (
        inner(lambda _: b"<TestMessage>" * 60 + b"</TestMessage>" * 60), 400, "levels",
    ),
    "UTF-16": (inner(lambda xml: xml.decode().encode("utf-16")), 400, "UTF-8"),
    "Latin-1": (
        inner(said(DOMAIN.encode(), "gr\u00efd-t.example.jp".encode("iso-8859-1"))), 400, "UTF-8",
    ),
    "cut off": (inner(lambda xml: xml[: len(xml) // 2]), 400, "well-formed"),
    "two messages in one": (inner(lambda xml: xml + xml[xml.index(b"<T") :]), 400, "well-formed"),
    "no version": (inner(said(b'Version="3.1.0"', b'Version="3"')), 400, "Version"),
    "no time zone": (inner(said(b'+00:00"', b'"')), 400, "offset"),
    "a day that is none": (inner(said(b"2026-11-24", b"2026-02-30")), 400, "TimeStamp"),
    "no such kind": (inner(said(b"<TestMessage", b"<Testmessage")), 400, "Testmessage"),
    "without an envelope": (
        lambda dso: wire.message_render(Ping(**dso.head())), 400, "a SignedMessage",
    ),
    "16 MB": (lambda _: b" " * (16 << 20), 413, "16777216 bytes"),
    "signature cut short": (body(lambda octets: octets[1:]), 401, "signed by none"),
    "no message behind the signature": (body(lambda octets: octets[:64]), 401, "signed by none"),
    "shorter than a signature": (body(lambda octets: octets[:40]), 401, "signed by none"),
    "one bit": (body(lambda octets: octets[:-1] + bytes([octets[-1] ^ 1])), 401, "signed by none"),
    "signature of nothing": (body(lambda octets: bytes(64) + octets[64:]), 401, "signed by none"),
    "another sender": (outer(said(DOMAIN.encode(), b"grid-x.example.jp")), 419, "no key"),
    "another role": (outer(said(b'"DSO"', b'"AGR"')), 419, "no key"),
}  # fmt: skip


@pytest.mark.parametrize(("posted", "status", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_an_attacker_posts_is_refused_logged_and_leaves_nothing(
    dso: Dso, caplog: pytest.LogCaptureFixture, posted: Posted, status: int, why: str
) -> None:
    with caplog.at_level(logging.WARNING, logger="aggregator.protocols.uftp.server"):
        got = dso.post(posted(dso))
    logged = [row.getMessage() for row in caplog.records if row.name.endswith("uftp.server")]
    assert (got, len(logged)) == (status, 1), logged
    assert f" refused: {status} " in logged[0]
    assert why in logged[0]
    assert "root:" not in logged[0]
    assert not InboundMessage.objects.exists()
    assert not ProtocolMessage.objects.exists()
    assert not Job.objects.exists()


def test_a_byte_order_mark_is_no_harm(dso: Dso) -> None:
    assert dso.post(inner(lambda xml: b"\xef\xbb\xbf" + xml)(dso)) == 200


def test_what_comes_before_its_time_is_answered_by_name(dso: Dso) -> None:
    common = dso.flex(price=0, currency="JPY")
    order = messages.FlexOrder(
        **common,
        flex_offer_message_id=str(uuid4()),
        order_reference="O-1",
        isps=(messages.Isp(power=-1, start=1),),
    )
    assert dso.said(order).reason.startswith("Unknown FlexOfferMessageID reference")
    revoked = messages.FlexOfferRevocation(**dso.head(), flex_offer_message_id=str(uuid4()))
    assert dso.said(revoked).result == "Rejected"
    work()
    answers = {type(one).__name__: one.result for one in dso.heard()}
    assert answers == {"FlexOrderResponse": "Rejected", "FlexOfferRevocationResponse": "Rejected"}
