"""A real browser draws the pages of the API under their policy; skipped by name without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.portal.test_portal_browser import CHROMIUM, dom_of

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent"),
    pytest.mark.django_db(transaction=True),
    # the server of the test streams static files from threads of its own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.mark.parametrize(
    ("path", "drawn"),
    [("/api/v1/docs", 'class="opblock'), ("/api/v1/docs/redoc", 'data-section-id="operation/')],
)
def test_the_doors_are_drawn_and_the_policy_is_never_broken(
    live_server: object, tmp_path: Path, path: str, drawn: str
) -> None:
    dom, console = dom_of(f"{live_server}{path}", tmp_path)
    assert dom.count(drawn) > 20, console
    # ReDoc asks its makers' server for their logo: the policy keeps it from that, and from no more
    broken = [line for line in console.splitlines() if "Content Security Policy" in line]
    assert [line for line in broken if "img-src" not in line] == []
    assert len(broken) == (1 if path.endswith("redoc") else 0)
    assert "Error" not in console
