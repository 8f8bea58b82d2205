"""Jobs are rows: claimed once, fenced by a token, retried, quarantined."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import ClaimLost
from accounts.jobs import selectors, services
from accounts.jobs.models import Job, JobState

pytestmark = pytest.mark.django_db

KIND = "tests.nothing"


def _create(**options: Any) -> Job:
    return services.job_create(kind=KIND, key="one", **options)


def _lease_run_out(job: Job) -> None:
    Job.objects.filter(id=job.id).update(lease_until=market_now() - timedelta(seconds=1))


def test_the_same_kind_and_key_is_one_job() -> None:
    assert _create().id == _create(payload={"other": 1}).id
    assert Job.objects.get().payload == {}


def test_only_one_of_two_claims_gets_a_job() -> None:
    job = _create(payload={"n": 1})
    claim = services.job_claim(job_id=job.id)
    assert claim is not None
    assert (claim.token, claim.kind, claim.key, claim.payload) == (1, KIND, "one", {"n": 1})
    assert services.job_claim(job_id=job.id) is None


def test_a_job_is_not_claimed_before_it_is_due_in_market_time() -> None:
    job = _create(due_at=market_now() + timedelta(hours=1))
    assert services.job_claim(job_id=job.id) is None
    assert selectors.jobs_due() == []


def test_a_run_out_lease_is_taken_over_with_a_higher_token_and_fences_the_sleeper() -> None:
    job = _create()
    sleeper = services.job_claim(job_id=job.id)
    _lease_run_out(job)
    waker = services.job_claim(job_id=job.id)
    assert sleeper is not None
    assert waker is not None
    assert (sleeper.token, waker.token) == (1, 2)
    with pytest.raises(ClaimLost):
        services.job_finish(claim=sleeper)
    assert Job.objects.get().state == JobState.RUNNING
    services.job_finish(claim=waker)
    assert Job.objects.get().state == JobState.DONE


def test_a_done_job_is_never_claimed_again() -> None:
    job = _create()
    claim = services.job_claim(job_id=job.id)
    assert claim is not None
    services.job_finish(claim=claim)
    assert services.job_claim(job_id=job.id) is None
    assert selectors.jobs_due() == []


def test_a_failed_job_pauses_and_is_tried_again_until_it_is_set_aside() -> None:
    job = _create(attempts_max=2)
    first = services.job_claim(job_id=job.id)
    assert first is not None
    assert not first.is_last_attempt
    assert services.job_fail(claim=first, error="boom") is False
    row = Job.objects.get()
    assert (row.state, row.error) == (JobState.READY, "boom")
    assert services.job_claim(job_id=job.id) is None  # it pauses
    Job.objects.update(not_before=None)
    last = services.job_claim(job_id=job.id)
    assert last is not None
    assert last.is_last_attempt
    assert services.job_fail(claim=last, error="boom") is True
    assert Job.objects.get().state == JobState.QUARANTINED


def test_a_job_whose_workers_die_is_set_aside_after_its_attempts() -> None:
    job = _create(attempts_max=1)
    assert services.job_claim(job_id=job.id) is not None
    assert services.jobs_quarantine_exhausted() == 0  # its lease still runs
    _lease_run_out(job)
    assert services.job_claim(job_id=job.id) is None
    assert services.jobs_quarantine_exhausted() == 1
    assert Job.objects.get().state == JobState.QUARANTINED


def test_postponing_gives_the_job_back_without_counting_an_attempt() -> None:
    job = _create()
    claim = services.job_claim(job_id=job.id)
    assert claim is not None
    later = market_now() + timedelta(hours=2)
    services.job_postpone(claim=claim, due_at=later)
    row = Job.objects.get()
    assert (row.state, row.attempts_count, row.due_at) == (JobState.READY, 0, later)


@pytest.mark.django_db(transaction=True)
def test_finishing_outside_a_transaction_is_refused() -> None:
    claim = services.job_claim(job_id=_create().id)
    assert claim is not None
    with pytest.raises(RuntimeError, match="in the transaction"):
        services.job_finish(claim=claim)


@pytest.mark.django_db(transaction=True)
def test_a_kept_lease_outlives_its_length(settings: Any) -> None:
    settings.JOB_LEASE_S = 0.6
    job = _create()
    claim = services.job_claim(job_id=job.id)
    assert claim is not None
    with services.job_kept(claim=claim), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.2)")  # twice the lease
        assert services.job_claim(job_id=job.id) is None
    with transaction.atomic():
        services.job_finish(claim=claim)
