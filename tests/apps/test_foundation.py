"""The ground the other tests stand on."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


def test_tests_run_on_postgresql_16_or_newer() -> None:
    assert connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) >= 160_000


@pytest.mark.parametrize("_round", [1, 2])
@pytest.mark.django_db(transaction=True)
def test_what_a_committing_test_wrote_is_gone_in_the_next_one(_round: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('left_behind')")
        assert cursor.fetchone()[0] is None
        cursor.execute("CREATE TABLE left_behind (id int)")


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_rung_runs_in_a_real_worker_process(celery_worker_processes: Any) -> None:
    from accounts.jobs.models import JobState
    from accounts.jobs.services import job_create
    from accounts.jobs.tasks import jobs_ring

    (worker,) = celery_worker_processes.start(1)
    # there is no such auction: the job finds nothing to cancel and is done
    job = job_create(kind="market.clearing.deadline", key=str(uuid4()))
    assert jobs_ring() == 1
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        jobs_ring()
        job.refresh_from_db()
        if job.state == JobState.DONE:
            break
        time.sleep(0.2)
    assert (job.state, job.attempts_count) == (JobState.DONE, 1)
    assert worker.process.poll() is None
