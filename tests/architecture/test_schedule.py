"""Whatever is rung by name exists by that name."""

from __future__ import annotations

import ast

import pytest

from aggregator.config.celery import app
from aggregator.config.schedule import BEAT_SCHEDULE, JOBS_AFTER_DELIVERY, JOBS_AFTER_PUBLICATION
from tests.architecture.repository import ROOT, python_files


@pytest.fixture(scope="module")
def task_names() -> set[str]:
    app.loader.import_default_modules()
    return set(app.tasks)


def test_beat_rings_tasks_that_exist(task_names: set[str]) -> None:
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} <= task_names


def test_what_follows_a_result_exists(task_names: set[str]) -> None:
    kinds = {*JOBS_AFTER_PUBLICATION, *(kind for kind, _lag_h in JOBS_AFTER_DELIVERY)}
    assert kinds <= task_names


def test_every_job_that_is_created_by_name_has_a_task(task_names: set[str]) -> None:
    kinds = {
        keyword.value.value
        for path in python_files(with_tests=False)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "job_create"
        for keyword in node.keywords
        if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant)
    }
    assert kinds
    assert kinds <= task_names


def test_every_task_is_named_by_its_package(task_names: set[str]) -> None:
    ours = {name: app.tasks[name] for name in task_names if not name.startswith("celery.")}
    strays = {
        name: task.__module__
        for name, task in ours.items()
        if not name.startswith(task.__module__.removesuffix(".tasks") + ".")
        # a job's task is made by the decorator in accounts.jobs, under the name it is given
        and task.__module__ != "accounts.jobs.tasks"
    }
    assert strays == {}


def test_no_task_uses_eager_mode_results_or_pickle() -> None:
    assert app.conf.task_always_eager is False
    assert app.conf.task_ignore_result is True
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_acks_late is True
    assert app.conf.task_reject_on_worker_lost is True
    assert app.conf.worker_prefetch_multiplier == 1
    # a message must not come again while its task may still run
    assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit
