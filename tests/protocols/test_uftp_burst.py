"""UFTP under load and among bad neighbours: real server, real workers, nothing lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from aggregator.ops.bench.uftp import burst, partner, receiving
from aggregator.outbox.models import OutboxMessage
from aggregator.protocols.uftp.models import Participant
from tests import cast
from tests.faults.market import wait_for
from tests.uftping import Dso

pytestmark = pytest.mark.django_db(transaction=True)
LOOSE = {"OUTBOX_CALLS_THIS_MACHINE": "true"}


def test_two_hundred_signed_messages_at_once_are_all_answered(
    celery_worker_processes: Any, settings: Any
) -> None:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    cache.clear()
    with receiving() as receiver:
        key = partner(cast.people().grid_t, receiver.url)
        celery_worker_processes.start(concurrency=2, beat=True, env=LOOSE)
        port = celery_worker_processes.stack.start_web()
        figures = burst(("127.0.0.1", port), receiver, key)
    # each once: half of them test messages, half requests about a place that nobody knows
    assert {name: figures[name] for name in ("taken", "stored", "lost", "kinds")} == {
        "taken": 200,
        "stored": 200,
        "lost": 0,
        "kinds": {"FlexRequestResponse": 100, "TestMessageResponse": 100},
    }


@pytest.fixture
def flood() -> Iterator[str]:
    """Return the address of a receiver that answers 200 and then never stops talking."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=pour, args=(line,), daemon=True).start()

    def pour(line: socket.socket) -> None:
        try:
            line.recv(65_536)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            for _ in range(1_000):
                line.sendall(b"x" * 1_000_000)
        except OSError:
            return
        finally:
            line.close()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()


def test_a_gigabyte_in_answer_is_not_read_and_counts_as_delivered(
    celery_worker_processes: Any, flood: str, settings: Any
) -> None:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    from aggregator.protocols.uftp.messages import TestMessage

    dso = Dso(cast.people().grid_t, endpoint=flood)
    assert dso.say(TestMessage(**dso.head())) == 200
    celery_worker_processes.start(beat=True, env=LOOSE)
    sent = OutboxMessage.objects.filter(destination=flood)
    took_s = wait_for("the answer is delivered", sent.filter(state="DELIVERED").exists)
    assert took_s < 30
    assert Participant.objects.count() == 1
