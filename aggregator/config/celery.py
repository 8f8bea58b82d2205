"""The Celery application: carries rings, keeps no state (ADR on sweepers)."""

import logging
import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import beat_init, heartbeat_sent, worker_init, worker_process_init, worker_ready

from aggregator.config import env

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aggregator.config.settings.local")

logger = logging.getLogger(__name__)

app = Celery("aggregator")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect(weak=False)
def solver_warm(**_kwargs: Any) -> None:
    """Start the solver's own process before the first clearing needs it.

    In a thread: Celery ends a pool process whose start takes longer than four seconds.
    """
    from django.conf import settings

    if not settings.WORKERS_WARM:
        return
    from market.clearing.services import engine

    threading.Thread(target=engine().warm, name="solver-warm", daemon=True).start()


@worker_init.connect(weak=False)
def sender_warm(**_kwargs: Any) -> None:
    """Load what the first message would wait for; a pool's processes inherit it."""
    from django.conf import settings

    if settings.WORKERS_WARM:
        from aggregator.outbox.client import warm

        warm()


@worker_ready.connect(weak=False)
def book_key_tell(**_kwargs: Any) -> None:
    """Say which key bids are sealed to: only who can open them may, and before any bid comes."""
    from django.db import DatabaseError, connection

    from market.trading.key_file import BookKeyMissing
    from market.trading.keys import book_key_register

    try:
        book_key_register()
    except (BookKeyMissing, DatabaseError) as error:
        # this worker does all other work; opening a book says the same again, and is tried again
        logger.error("the book key is not registered: %s", error)  # noqa: TRY400 - no traceback
    finally:
        connection.close()


@worker_ready.connect(weak=False)
@heartbeat_sent.connect(weak=False)
@beat_init.connect(weak=False)
def readiness_tell(**_kwargs: Any) -> None:
    """Let the supervisor know that this process takes work; its heartbeats renew the file."""
    if path := env.text("READY_FILE"):
        Path(path).touch()
