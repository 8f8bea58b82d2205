"""The OpenAPI document is valid, complete and served without the internet."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import Client
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from accounts.parties.roles import Role
from tests import cast, cast_places
from tests.dispatching import sent_day


def test_the_document_builds_without_a_warning(tmp_path: Any) -> None:
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "api.yaml")
    )
    assert (tmp_path / "api.yaml").read_text().startswith("openapi: 3")


@pytest.mark.django_db
def test_the_document_is_served_to_everybody() -> None:
    answer = Client().get("/api/v1/schema")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/vnd.oai.openapi+json")
    document = answer.json()
    assert document["info"]["title"] == "WattBit API"
    assert set(document["components"]["securitySchemes"] if document["paths"] else {}) <= {
        "bearer",
        "session",
    }
    assert document["components"]["responses"]["Problem404"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/docs", "/api/v1/docs/redoc"])
def test_the_pages_load_only_files_of_ours_under_their_own_policy(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "://" not in page
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(loaded) >= 3
    assert all(finders.find(name.removeprefix("/static/")) for name in loaded)
    assert "<script>" not in page
    policy = {part.strip() for part in answer["Content-Security-Policy"].split(";")}
    assert "script-src 'self'" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "default-src 'none'" in policy
    assert not any("http" in part for part in policy)


@pytest.mark.django_db
def test_paths_that_only_begin_like_the_pages_are_strict() -> None:
    assert "unsafe-inline" not in Client().get("/api/v1/docs-of-others")["Content-Security-Policy"]


SHARDS = 6  # so that several processes may share the work
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
]
ROLES = (
    ("inzai-dc", Role.OPERATOR_TRADER),
    ("inzai-dc", Role.ADMINISTRATOR),
    ("grid-t", Role.GRID_PLANNER),
    ("wattbit", Role.MARKET_DESK),
    ("wattbit", Role.SETTLEMENT),
    ("wattbit", Role.AUDITOR),
)


@pytest.fixture(scope="module")
def caller(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """Headers of somebody who may do everything, on a published day and an open one."""
    # as Django's own test client does: a request must not close the connection of the test
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    with django_db_blocker.unblock(), transaction.atomic():
        day = sent_day()
        following = cast.DAY + timedelta(days=1)
        cast.auction(day.places, delivery_on=following)
        client = Client()
        for code, role in ROLES:
            organisation = cast.organisation(code, "", "", "")
            client.force_login(cast_places.member("everybody", organisation, role))
        token = secrets.token_hex(16)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        yield {
            "Cookie": f"{settings.SESSION_COOKIE_NAME}={session}; "
            f"{settings.CSRF_COOKIE_NAME}={token}",
            "X-CSRFToken": token,
        }
        transaction.set_rollback(True)
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def _broken(shard: int, caller: dict[str, str], *, examples: int) -> list[str]:
    """Knock at every door of a shard with made-up requests; return what went against the schema."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema", get_wsgi_application())
    operations = sorted(
        (found.ok() for found in schema.get_all_operations()), key=lambda o: o.label
    )
    broken = []
    for operation in operations[shard::SHARDS]:

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
            with transaction.atomic():
                answer = case.call(headers=caller)
                transaction.set_rollback(True)
            case.validate_response(answer, checks=CHECKS)

        try:
            knock()
        except (Exception, hypothesis.errors.Unsatisfiable) as error:  # noqa: BLE001
            broken.append(f"{operation.label}: {error}")
    return broken


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_door_keeps_to_the_document(shard: int, caller: dict[str, str]) -> None:
    broken = _broken(shard, caller, examples=4)
    assert not broken, "\n\n".join(broken)


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_door_keeps_to_the_document_for_long(shard: int, caller: dict[str, str]) -> None:
    broken = _broken(shard, caller, examples=150)
    assert not broken, "\n\n".join(broken)
