"""The OpenAPI document is valid, complete and served without the internet."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client


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
