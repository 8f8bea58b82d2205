"""The Celery application: carries rings, keeps no state (ADR on sweepers)."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aggregator.config.settings.local")

app = Celery("aggregator")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect(weak=False)
def solver_warm(**_kwargs: Any) -> None:
    """Start the solver's own process before the first clearing needs it."""
