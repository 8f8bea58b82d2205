"""UFTP over HTTP: a burst of signed messages, each answered by a message of our own, none lost.

Server, workers, database, sender and receiver share the machine. A grid operator sends test
messages and requests at once on sixteen connections; its own endpoint takes our answers, opens
each with our key, and counts the conversations that have theirs.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from uuid import uuid4

from nacl.signing import SigningKey

from accounts.parties.models import Organisation, OrganisationKind
from aggregator.ops.bench.book import opened_auction
from aggregator.ops.bench.open_loop import Shot, exchanged, percentile_ms
from aggregator.ops.stack import Stack
from aggregator.protocols.uftp import messages, wire
from aggregator.protocols.uftp.keys import own_domain, own_key, participant_key_rotate
from aggregator.protocols.uftp.models import InboundMessage, Participant

MESSAGE_COUNT: Final = 200
CONNECTION_COUNT: Final = 16
DOMAIN: Final = "dso.bench.example"
PATH: Final = "/shapeshifter/api/v3/message"
PATIENCE_S: Final = 120.0
OK: Final = 200
WORKER_COUNT: Final = 2


@dataclass
class Receiver:
    """A grid operator's endpoint: which conversations were answered, and when."""

    answered: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    url: str = ""

    def take(self, raw: bytes) -> None:
        """Open an answer with our key and note it."""
        inner = wire.seal_open(wire.envelope_read(raw), [own_key().verify_key])
        message = wire.message_read(inner)
        self.answered.setdefault(message.conversation_id, time.perf_counter())
        name = messages.NAME_OF[type(message)]
        self.kinds[name] = self.kinds.get(name, 0) + 1


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Take messages on a port of this machine while it lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def partner(organisation: Organisation, url: str) -> SigningKey:
    """Enter a grid operator into the directory; return its private key."""
    key = SigningKey.generate()
    participant = Participant.objects.create(domain=DOMAIN, organisation=organisation, endpoint=url)
    participant_key_rotate(
        participant=participant, public_key=base64.b64encode(bytes(key.verify_key)).decode()
    )
    return key


def burst(
    address: tuple[str, int], receiver: Receiver, key: SigningKey, *, count: int = MESSAGE_COUNT
) -> dict[str, Any]:
    """Send messages all at once, wait for their answers, and return what came of them."""
    conversations = [str(uuid4()) for _ in range(count)]
    requests = [
        _post(_message(conversation, number), key)
        for number, conversation in enumerate(conversations)
    ]
    began_s = time.perf_counter()
    shots: Sequence[Shot] = exchanged(address, requests, connection_count=CONNECTION_COUNT)
    taken_s = time.perf_counter() - began_s
    last_s = began_s + PATIENCE_S
    while set(conversations) - receiver.answered.keys() and time.perf_counter() < last_s:
        time.sleep(0.02)
    taken = [shot for shot in shots if shot.status == OK]
    waits_s = sorted(receiver.answered.get(one, last_s) - began_s for one in conversations)
    return {
        "messages": count,
        "taken": len(taken),
        "taken_s": round(taken_s, 2),
        "taken_p50_ms": percentile_ms(taken, 0.5),
        "taken_p99_ms": percentile_ms(taken, 0.99),
        "stored": InboundMessage.objects.filter(conversation_id__in=conversations).count(),
        "lost": len(set(conversations) - receiver.answered.keys()),
        "answered_p50_s": round(waits_s[len(waits_s) // 2], 2),
        "answered_all_s": round(waits_s[-1], 2),
        "kinds": dict(sorted(receiver.kinds.items())),
    }


def _message(conversation_id: str, number: int) -> messages.Payload:
    head: dict[str, Any] = {
        "sender_domain": DOMAIN,
        "recipient_domain": own_domain(),
        "time_stamp": datetime(2026, 1, 1, tzinfo=UTC),
        "message_id": str(uuid4()),
        "conversation_id": conversation_id,
    }
    if number % 2:
        return messages.TestMessage(**head)
    return messages.FlexRequest(
        **head,
        isp_duration="PT30M",
        time_zone="Asia/Tokyo",
        period=date(2026, 1, 2),
        congestion_point="ean.123456789012",
        revision=1,
        expiration_date_time=datetime(2026, 1, 2, tzinfo=UTC),
        isps=tuple(
            messages.RequestIsp(
                disposition="Requested", min_power=-1_000 * start, max_power=0, start=start
            )
            for start in range(1, 49)
        ),
    )


def _post(message: messages.Payload, key: SigningKey) -> bytes:
    body = wire.envelope_render(
        wire.message_render(message), sender_domain=DOMAIN, sender_role="DSO", key=key
    ).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(stack: Stack) -> dict[str, Any]:
    """Measure the burst on a server and two workers."""
    opened_auction()
    tso = Organisation.objects.filter(kind=OrganisationKind.TSO).order_by("code")[0]
    # its endpoint is on this machine, which only the settings of tests allow
    os.environ["OUTBOX_CALLS_THIS_MACHINE"] = "true"
    loose = Stack(
        instance=stack.instance,
        addresses=stack.addresses,
        settings_module="aggregator.config.settings.test",
    )
    with loose, receiving() as receiver:
        key = partner(tso, receiver.url)
        port = loose.start_api()
        loose.start_worker(concurrency=WORKER_COUNT, wait=False)
        loose.start_beat(wait=False)
        loose.wait_ready()
        return burst(("127.0.0.1", port), receiver, key)
