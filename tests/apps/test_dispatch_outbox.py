"""The outbox: with its cause or not at all, out at least once, to nowhere dangerous."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from accounts.core.errors import ClaimLost, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim
from aggregator.outbox import client, services
from aggregator.outbox.models import MessageState, OutboxMessage
from aggregator.outbox.selectors import messages_by_state
from tests.listening import Listener, listening

OWN = client.Policy(plain_http=True, private_addresses=True)


class Receiver(Listener):
    """Answers as its path says, and keeps what came."""

    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []
    parts_written: ClassVar[list[int]] = []

    def posted(self, body: bytes) -> None:
        self.seen.append((self.path, dict(self.headers), body))
        {
            "/ok": lambda: self.answer(204),
            "/busy": lambda: self.answer(503),
            "/moved": self._moved,
            "/endless": self._endless,
            "/hang": lambda: time.sleep(8),
            "/drip": self._drip,
            "/open": self._open,
        }[self.path]()

    def _moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/ok")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100_000):
                self.parts_written.append(self.wfile.write(b"x" * 10_000))
        except OSError:
            return

    def _open(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        time.sleep(8)

    def _drip(self) -> None:
        try:
            for _ in range(20):
                self.wfile.write(b"H")
                time.sleep(0.5)
        except OSError:
            return


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.seen.clear()
    with listening(Receiver) as address:
        yield address


def _claim(message: OutboxMessage) -> Claim:
    job = Job.objects.get(kind=services.DELIVER_KIND, key=str(message.id))
    Job.objects.filter(id=job.id).update(due_at="2000-01-01T00:00Z")
    claim = job_claim(job_id=job.id)
    assert claim is not None
    return claim


def _message(url: str) -> OutboxMessage:
    return services.message_enqueue(
        destination=url, body='{"a":"日本"}', cause="test:1", policy=OWN
    )


@pytest.mark.django_db
def test_a_message_leaves_with_its_stable_id(receiver: str) -> None:
    message = _message(f"{receiver}/ok")
    assert services.message_deliver(claim=_claim(message), policy=OWN) == MessageState.DELIVERED
    ((path, headers, body),) = Receiver.seen
    assert (path, body.decode(), headers["Message-Id"]) == ("/ok", '{"a":"日本"}', str(message.id))
    message.refresh_from_db()
    assert (message.status, message.attempts_count) == (204, 1)
    assert message.delivered_at is not None
    assert messages_by_state() == {"DELIVERED": 1}


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "error"), [("busy", "answered 503"), ("moved", "answered 302")])
def test_a_refusal_or_redirect_is_tried_again_later(receiver: str, path: str, error: str) -> None:
    message = _message(f"{receiver}/{path}")
    assert services.message_deliver(claim=_claim(message), policy=OWN) == MessageState.WAITING
    message.refresh_from_db()
    assert (message.error, message.attempts_count) == (error, 1)
    assert len(Receiver.seen) == 1  # a redirect is not followed
    job = Job.objects.get(key=str(message.id))
    assert job.state == "READY"
    Receiver.seen.clear()
    services.message_deliver(claim=_claim(message), policy=OWN)
    assert Receiver.seen[0][1]["Message-Id"] == str(message.id)


@pytest.mark.django_db
def test_a_message_is_given_up_after_a_day(receiver: str) -> None:
    message = _message(f"{receiver}/busy")
    assert message.retry_until - message.created_at == timedelta(hours=24)
    assert services.message_deliver(claim=_claim(message), policy=OWN) == MessageState.WAITING
    OutboxMessage.objects.update(retry_until=Now())
    assert services.message_deliver(claim=_claim(message), policy=OWN) == MessageState.DEAD
    assert Job.objects.get(key=str(message.id)).state == "DONE"


@pytest.mark.django_db
def test_a_message_rolled_back_with_its_cause_never_was() -> None:
    with transaction.atomic():
        services.message_enqueue(destination="https://example.com/", body="{}", cause="test:1")
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()
    assert not Job.objects.filter(kind=services.DELIVER_KIND).exists()


@pytest.mark.django_db
def test_a_delivered_message_is_not_sent_again() -> None:
    message = services.message_enqueue(destination="https://example.com/", body="{}", cause="t:1")
    claim = _claim(message)
    sent: list[str] = []

    def send(url: str, **_: Any) -> int:
        sent.append(url)
        return 200

    services.message_deliver(claim=claim, send=send)
    with pytest.raises(ClaimLost):
        services.message_deliver(claim=claim, send=send)  # a ring that came late
    assert sent == ["https://example.com/"]


@pytest.mark.django_db
def test_what_was_written_to_be_sent_cannot_be_changed() -> None:
    services.message_enqueue(destination="https://example.com/", body="{}", cause="test:1")
    for column in ("body", "destination"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE outbox_outboxmessage SET {column} = 'other'")  # noqa: S608


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://example.com:22/",
        "https://user:secret@example.com/",
        "https:///path",
        "https://[::1",
        "https://[::1%25lo]/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2001:0:7f00:1::]/",
        "https://8.8.8.8@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com\n.evil.test/",
        "https://①②⑦.⓪.⓪.①/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "HTTPS://EXAMPLE.COM:80/",
        "https://%31%32%37.0.0.1/",
        "file:///etc/passwd",
        "",
    ],
)
def test_destinations_that_may_never_be_called_are_refused_at_once(url: str) -> None:
    with pytest.raises(Refused):
        services.message_enqueue(destination=url, body="{}", cause="test:1")
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - an address to be refused
        "100.64.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
        "2130706433",
    ],
)
def test_addresses_that_are_not_public_are_not_called(host: str) -> None:
    with pytest.raises((client.DestinationRefused, client.DeliveryFailed)) as refusal:
        client.post(f"https://{host}/", content=b"{}", headers={})
    if isinstance(refusal.value, client.DeliveryFailed):
        assert "resolve" in str(refusal.value)


def test_public_addresses_are_public() -> None:
    for text in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert client.is_public(ipaddress.ip_address(text))


def test_one_private_address_among_public_ones_spoils_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answers(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
            for address in ("8.8.8.8", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with pytest.raises(client.DestinationRefused):
        client.post("https://two-faced.example/", content=b"", headers={})


def test_an_answer_without_end_is_cut(receiver: str) -> None:
    Receiver.parts_written.clear()
    status = client.post(f"{receiver}/endless", content=b"{}", headers={}, policy=OWN)
    assert status == 200
    # of the 1 GB offered no more than the buffers on the way hold
    assert sum(Receiver.parts_written) < 50_000_000


@pytest.mark.parametrize("path", ["hang", "drip"])
def test_a_receiver_that_stalls_is_left_after_five_seconds(
    receiver: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TOTAL_S", 1.0)
    started = time.monotonic()
    with pytest.raises(client.DeliveryFailed):
        client.post(f"{receiver}/{path}", content=b"{}", headers={}, policy=OWN)
    assert time.monotonic() - started < 3.0


def test_nobody_listening_is_a_failed_delivery() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(client.DeliveryFailed):
        client.post(f"http://127.0.0.1:{port}/", content=b"", headers={}, policy=OWN)


def test_a_name_that_answers_differently_the_second_time_is_not_asked_twice(
    monkeypatch: pytest.MonkeyPatch, receiver: str
) -> None:
    """A public address while it is checked, this machine while it is connected to."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *rest: Any, **more: Any) -> list[Any]:
        if host != "rebinding.example":
            return real(host, *rest, **more)
        asked.append(host)
        address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    connected: list[Any] = []

    class Listening(httpx.AsyncClient):
        async def send(self, request: Any, **_more: Any) -> Any:
            connected.append((request.url.host, request.headers["Host"]))
            raise httpx.ConnectTimeout("as nobody answers there")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(httpx, "AsyncClient", Listening)
    monkeypatch.setattr(client, "is_public", lambda _: True)  # 192.0.2.1 is for documents only
    with pytest.raises(client.DeliveryFailed):
        client.post("https://rebinding.example/", content=b"", headers={})
    assert asked == ["rebinding.example"]
    assert connected == [("192.0.2.1", "rebinding.example:443")]
    assert Receiver.seen == []


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [gone.wait(20)][:0])
    monkeypatch.setattr(client, "CONNECT_S", 0.2)
    started = time.monotonic()
    with pytest.raises(client.DeliveryFailed, match="resolve"):
        client.post("https://slow.example/", content=b"", headers={})
    gone.set()
    assert time.monotonic() - started < 2


def test_a_status_counts_though_the_rest_never_ends(receiver: str) -> None:
    started = time.monotonic()
    assert client.post(f"{receiver}/open", content=b"{}", headers={}, policy=OWN) == 200
    assert time.monotonic() - started < 4
