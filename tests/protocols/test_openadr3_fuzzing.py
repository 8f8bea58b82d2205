"""Every operation of the public OpenAPI description, with made-up requests: never an error of ours.

Without the description at hand the test says so; `pytest -m slow` knocks for longer.
"""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.db import transaction
from django.test import Client
from ruamel.yaml import YAML

from tests import cast
from tests.dispatching import BASE, sent_day
from tests.protocols.openadr import Machine, business
from tests.shared_files import shared_directory

pytestmark = pytest.mark.django_db
ANSWERS = {200, 201, 304, 400, 401, 403, 404, 405, 409, 413, 415}
CLOSED = ("mqtt", "/auth/")


def _operations() -> list[Any]:
    data = shared_directory()
    path = data.parent / "spec" / "openadr3-3.1.0.yaml" if data else None
    if path is None or not path.is_file():
        pytest.skip("the OpenAPI description of OpenADR 3.1 is not at hand")
    read = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    # instants in examples are text in JSON, which is what the description is of
    document = json.loads(json.dumps(read, default=str))
    document["servers"] = [{"url": BASE}]
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return [
        operation
        for operation in (result.ok() for result in found)
        if not any(word in operation.path for word in CLOSED)
    ]


def _knocked(machine: Machine, case: Any) -> None:
    body = case.body
    is_sent = isinstance(body, dict | list | str | int | float | bool) or body is None
    content = json.dumps(body).encode() if is_sent else b""
    with transaction.atomic():
        answer = Client().generic(
            case.method,
            f"{BASE}{case.formatted_path}",
            content if case.method in ("POST", "PUT") else b"",
            content_type="application/json",
            headers=machine.headers,
            query_params=dict(case.query or {}),
        )
        transaction.set_rollback(True)
    assert answer.status_code in ANSWERS, (case.method, answer.status_code, answer.content)
    if answer.status_code >= 400:
        told = json.loads(answer.content)
        assert told["status"] == answer.status_code
        assert answer["Content-Type"] == "application/problem+json"


def _knock_at_all(examples: int) -> None:
    sent_day()
    people = cast.people()
    operator, site = business(people.grid_t), Machine(people.inzai_dc).enrol("inzai-dc-1-load")
    operator.event(operator.program("p"), targets=["a"])
    for operation in _operations():

        @hypothesis.settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def knock(case: Any) -> None:
            for machine in (operator, site):
                _knocked(machine, case)

        knock()


def test_no_made_up_request_is_an_error_of_ours() -> None:
    _knock_at_all(3)


@pytest.mark.slow
def test_no_made_up_request_is_an_error_of_ours_for_long() -> None:
    _knock_at_all(100)
