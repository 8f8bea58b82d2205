"""The ground the other tests stand on."""

from __future__ import annotations

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


def test_workers_are_real_processes_that_run_what_is_rung(celery_worker_processes: object) -> None:
    from accounts.jobs.models import Job
    from accounts.jobs.services import job_create

    del job_create, Job
    (worker,) = celery_worker_processes.start(1)
    assert worker.process.poll() is None
