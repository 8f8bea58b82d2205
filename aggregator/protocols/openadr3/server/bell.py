"""Ring those who deliver, as soon as there is something: a second later the sweep would.

The ring is sent by a thread of its own, so that no request waits for a broker that is gone, and
rings that find the thread busy are dropped: the sweep makes them up.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from aggregator.outbox.endpoints import DRAIN_KIND

WAITING_MAX: Final = 1_000
RING_EXPIRES_S: Final = 30

logger = logging.getLogger(__name__)
_waiting: queue.Queue[UUID] = queue.Queue(maxsize=WAITING_MAX)
_lock = threading.Lock()
_ringers: list[threading.Thread] = []


def ring(jobs: Iterable[UUID]) -> None:
    """Ring the jobs of messages, once their transaction is committed."""
    for job_id in jobs:
        try:
            _waiting.put_nowait(job_id)
        except queue.Full:
            return
        _ringer_start()


def _ringer_start() -> None:
    with _lock:
        if not any(thread.is_alive() for thread in _ringers):
            _ringers[:] = [threading.Thread(target=_ringing, name="bell", daemon=True)]
            _ringers[0].start()


def _ringing() -> None:
    from celery import current_app
    from kombu.exceptions import OperationalError

    while True:
        job_id = _waiting.get()
        try:
            current_app.send_task(DRAIN_KIND, args=[str(job_id)], expires=RING_EXPIRES_S)
        except (OperationalError, OSError):
            logger.warning("the broker does not answer; the sweep will deliver")
