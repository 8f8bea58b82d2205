"""A real browser for journeys and for axe; where there is none, tests say so and are left out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connections

from accounts.parties.models import User
from tests.portal.conftest import client_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome")
     if (path := shutil.which(name))), None,
)  # fmt: skip
JOURNEYS = Path(__file__).parents[2] / ".wattbit" / "journeys"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent")


@contextmanager
def browser_open() -> Iterator[Browser]:
    """Start Chromium; the driver's loop runs in this thread, where tests also use the database."""
    from playwright.sync_api import sync_playwright

    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            try:
                yield browser
            finally:
                # inside the driver's loop Django keeps connections of their own
                connections.close_all()
                browser.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


def signed_in(
    browser: Browser,
    address: str,
    user: User | None,
    *,
    language: str = "ja",
    theme: str = "light",
    **more: Any,
) -> BrowserContext:
    """Return a window of `user` with language and theme chosen."""
    context = browser.new_context(
        base_url=address, locale="ja-JP" if language == "ja" else "en-GB", **more
    )
    cookies = {settings.LANGUAGE_COOKIE_NAME: language, "theme": theme}
    if user is not None:
        session = client_of(user).cookies[settings.SESSION_COOKIE_NAME].value
        cookies[settings.SESSION_COOKIE_NAME] = session
    context.add_cookies(
        [{"name": name, "value": value, "url": address} for name, value in cookies.items()]
    )
    context.set_default_timeout(15_000)
    return context


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    JOURNEYS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=JOURNEYS / f"{name}.png", full_page=True)
