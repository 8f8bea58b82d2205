"""How soon a commit is on the desk's screen: server, stream and Chromium as they are deployed.

An alarm is raised by the service that raises all; the control room is open in Chromium, and an
observer of its panels notes when the alarm's words are there. Both stamps are of one machine's
clock. The first is taken before the service is called, so the transaction counts too. The raises
are spread over the reader's quarter of a second. When it is there, the alarm is cleared again.
"""

from __future__ import annotations

import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

from aggregator.control.services import alarm_clear, alarm_raise
from aggregator.ops.bench.book import opened_auction
from aggregator.ops.bench.portal import cookie_of
from aggregator.ops.bench.portal_pages import DESK
from aggregator.ops.errors import CannotRun
from aggregator.ops.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COMMITS_COUNT: Final = 60
WARM_COUNT: Final = 3
WAIT_MS: Final = 10_000
PAUSE_S: Final = 0.6
STEP_S: Final = 0.0173  # sixty of them go round a quarter of a second four times
LIMIT_MS: Final = 1_000.0
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
OBSERVE_JS: Final = """() => {
  window.benchSeen = {};
  const look = () => {
    for (const word of document.body.innerText.match(/bench-\\d+/g) ?? [])
      window.benchSeen[word] ??= Date.now();
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
  look();
}"""


def run(stack: Stack) -> dict[str, Any]:
    """Raise alarms one after the other and wait for each on the screen.

    Raises
    ------
    CannotRun
        If there is no Chromium.
    """
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise CannotRun(f"no browser is installed: one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    opened_auction()
    cookies = dict(pair.split("=", 1) for pair in cookie_of(DESK).split("; "))
    port = stack.start_web()
    # the driver's loop runs in this thread, where Django would refuse to wait for the database
    with sync_playwright() as driver, ThreadPoolExecutor(1) as desk:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            page = _room(browser, f"http://127.0.0.1:{port}", cookies)
            numbers = range(WARM_COUNT + COMMITS_COUNT)
            took_ms = [_took_ms(page, desk, number) for number in numbers]
        finally:
            desk.submit(connections.close_all).result()
            browser.close()
    counted = sorted(took_ms[WARM_COUNT:])
    return {
        "commits": len(counted),
        "p50_ms": round(statistics.median(counted), 1),
        "p90_ms": round(statistics.quantiles(counted, n=10)[-1], 1),
        "p99_ms": round(statistics.quantiles(counted, n=100, method="inclusive")[-1], 1),
        "slowest_ms": round(counted[-1], 1),
        "later_than_1_s": sum(one > LIMIT_MS for one in counted),
    }


def _room(browser: Browser, address: str, cookies: dict[str, str]) -> Page:
    """Open the room and wait for its live link."""
    window = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    window.add_cookies(
        [{"name": name, "value": value, "url": address} for name, value in cookies.items()]
    )
    page = window.new_page()
    page.goto("/desk/")
    page.wait_for_selector('[data-link="live"]')
    page.evaluate(OBSERVE_JS)
    return page


def _took_ms(page: Page, desk: ThreadPoolExecutor, number: int) -> float:
    """Raise an alarm and return how long it took to be on the screen."""
    time.sleep(PAUSE_S + number * STEP_S % 0.25)
    word = f"bench-{number}"
    began_ms = 1_000 * time.time()
    desk.submit(
        alarm_raise, kind="job.dead", priority=2, subject=f"bench:{number}", text=word, key=word
    ).result()
    page.wait_for_function("(word) => word in window.benchSeen", arg=word, timeout=WAIT_MS)
    seen_ms = float(page.evaluate("(word) => window.benchSeen[word]", word))
    desk.submit(alarm_clear, key=word).result()
    return seen_ms - began_ms
