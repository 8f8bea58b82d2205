"""Workers die, sleep and are doubled in the middle of a clearing: one result all the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from accounts.jobs.models import Job
from tests.faults.market import (
    CLEAR_KIND,
    assert_published_once,
    closed_market,
    is_published,
    market_with_bids,
    wait_for,
)

pytestmark = pytest.mark.django_db(transaction=True)

# the lease of test settings, a sweep and a cold solver, with room for a busy machine
RESUMED_S = 30.0


def _ring() -> None:
    """Ring the doorbell as beat would."""
    from aggregator.config.celery import app

    job = Job.objects.get(kind=CLEAR_KIND)
    app.send_task(CLEAR_KIND, args=[str(job.id)])


def _holding(point: str, directory: Path) -> dict[str, str]:
    return {"FAILPOINTS": f"{point}=hold:{directory}"}


@pytest.mark.parametrize(
    "point", ["clearing.started", "clearing.verified", "clearing.before_commit"]
)
def test_a_worker_killed_in_mid_clearing_is_replaced_and_the_result_is_the_same(
    celery_worker_processes: Any, tmp_path: Path, point: str
) -> None:
    auction = closed_market()
    (victim,) = celery_worker_processes.start(env=_holding(point, tmp_path))
    _ring()
    wait_for("the worker is in the middle", (tmp_path / point).exists)
    celery_worker_processes.kill(victim)
    assert not is_published(auction)
    celery_worker_processes.start(beat=True)
    wait_for("another worker publishes", lambda: is_published(auction), seconds=RESUMED_S)
    run = assert_published_once(auction)
    assert run.token == 2  # the second claim


def test_only_the_pool_process_dies_and_the_worker_does_the_work_again(
    celery_worker_processes: Any, tmp_path: Path
) -> None:
    auction = closed_market()
    point = "clearing.verified"
    celery_worker_processes.start(beat=True, env=_holding(point, tmp_path))
    wait_for("the pool process has its result", (tmp_path / point).exists)
    os.kill(int((tmp_path / point).read_text()), signal.SIGKILL)
    (tmp_path / f"{point}.go").touch()
    wait_for("its successor publishes", lambda: is_published(auction), seconds=RESUMED_S)
    assert assert_published_once(auction).token == 2


def test_a_worker_that_sleeps_past_its_lease_publishes_nothing(
    celery_worker_processes: Any, tmp_path: Path
) -> None:
    auction = closed_market()
    point = "clearing.verified"
    (sleeper,) = celery_worker_processes.start(env=_holding(point, tmp_path))
    _ring()
    wait_for("the sleeper has its result", (tmp_path / point).exists)
    os.killpg(sleeper.process.pid, signal.SIGSTOP)
    celery_worker_processes.start(beat=True)
    wait_for("the other publishes", lambda: is_published(auction), seconds=RESUMED_S)
    before = assert_published_once(auction)
    (tmp_path / f"{point}.go").touch()
    os.killpg(sleeper.process.pid, signal.SIGCONT)
    wait_for("it finds its claim lost", lambda: "taken over" in sleeper.log.read_text())
    after = assert_published_once(auction)
    assert (after.token, after.published_at) == (before.token, before.published_at)


def test_the_same_task_delivered_twenty_times_to_two_workers_runs_once(
    celery_worker_processes: Any,
) -> None:
    auction = closed_market()
    celery_worker_processes.start(2, concurrency=2)
    for _ in range(20):
        _ring()
    wait_for("it is published", lambda: is_published(auction))
    wait_for("all rings are consumed", lambda: celery_worker_processes.redis().llen("wattbit") == 0)
    run = assert_published_once(auction)
    assert (run.token, Job.objects.get(kind=CLEAR_KIND).attempts_count) == (1, 1)


def test_a_broker_that_forgets_everything_costs_seconds_and_nothing_else(
    celery_worker_processes: Any,
) -> None:
    from accounts.clock.services import clock_set

    auction = market_with_bids()
    celery_worker_processes.start(beat=True)
    redis = celery_worker_processes.redis()
    clock_set(market_at=auction.gate_closure_at)

    def flushed_and_published() -> bool:
        redis.flushall()
        return is_published(auction)

    wait_for("gate and clearing are done", flushed_and_published, seconds=RESUMED_S)
    assert_published_once(auction)
