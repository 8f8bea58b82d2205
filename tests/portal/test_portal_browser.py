"""A real browser draws the day under the policy; skipped by name where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests import cast

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent"),
    pytest.mark.django_db(transaction=True),
    # the server of the test streams static files from threads of its own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
FIGURES_COUNT = 4
WAIT_MS = 20_000


def dom_of(address: str, directory: Path, *, width: int = 1440) -> tuple[str, str]:
    """Return the page after its scripts ran, and the browser's console."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-first-run", f"--user-data-dir={directory}", f"--window-size={width},1200",
            "--accept-lang=ja", "--enable-logging=stderr", f"--virtual-time-budget={WAIT_MS}",
            "--dump-dom", address,
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_is_drawn_and_the_policy_is_never_broken(
    live_server: object, tmp_path: Path, theme: str
) -> None:
    made = cast.published_day()
    cast.market_time(made.auction.delivery_start - timedelta(hours=4))
    dom, console = dom_of(f"{live_server}/day/2026-11-25/?theme={theme}", tmp_path)
    states = re.findall(r'<figure[^>]*data-state="(\w+)"', dom)
    assert states == ["shown"] * FIGURES_COUNT, console
    assert "data-violations" not in dom, console
    assert "Content Security Policy" not in console
    assert "rror" not in console
    assert f'data-theme="{theme}"' in dom
    assert "<option" in dom.split("data-view")[1]  # the map's script ran
