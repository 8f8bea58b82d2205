"""Headers that every answer carries."""

from __future__ import annotations

import pytest
from django.test import Client, override_settings

STRICT = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
}

pytestmark = pytest.mark.django_db


def _policy(path: str) -> set[str]:
    header = Client().get(path)["Content-Security-Policy"]
    return {directive.strip() for directive in header.split(";")}


def test_pages_allow_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert _policy("/nowhere/") == STRICT


def test_only_the_admin_is_looser_and_still_loads_nothing_from_elsewhere() -> None:
    policy = _policy("/admin/login/")
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval'" in policy
    assert policy >= STRICT - {"script-src 'self'", "style-src 'self'", "img-src 'self'"}
    assert not any("://" in directive or " *" in directive for directive in policy)


def test_a_path_that_only_begins_like_the_admin_is_strict() -> None:
    assert _policy("/administrator/") == STRICT


def test_pages_are_not_framed_sniffed_or_leaked() -> None:
    answer = Client().get("/nowhere/")
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


@override_settings(ALLOWED_HOSTS=["market.example.jp"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_under_any_host_name(path: str) -> None:
    answer = Client(headers={"host": "10.0.0.7:8000"}).get(path)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"


@override_settings(ALLOWED_HOSTS=["market.example.jp"])
def test_other_paths_are_not_answered_under_a_foreign_host_name() -> None:
    assert Client(headers={"host": "10.0.0.7:8000"}).get("/nowhere/").status_code == 400


def test_charts_come_from_the_installed_bokeh() -> None:
    answer = Client().get("/static/bokeh/js/bokeh.min.js")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/javascript")
    assert "Access-Control-Allow-Origin" not in answer
    answer.close()
