"""axe finds nothing on any page of the portal: WCAG 2.0 to 2.2 A and AA, and best practice.

Pages come from each package's access matrix (whatever answers 200, as the first person it
answers), and from modules ``axe_<package>.py`` beside this one, whose ``pages()`` makes the rows
for pages that need more and returns who opens which address.
"""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accounts.parties.models import User
from tests import cast
from tests.portal.browsing import browser_open, needs_browser, shot, signed_in
from tests.portal.matrices import matrix_of
from tests.portal.test_portal_access import MATRIX, WHO

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
PACKAGES = sorted(file.stem.removeprefix("axe_") for file in HERE.glob("axe_*.py"))
NO_PAGES = (
    "/events/", ".json", ".csv", "format=csv", ".geojson", ".txt", ".zip", "/admin/", "/logout/",
)  # fmt: skip
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
# what a theme decides; all else of a page is the same in both
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
Opened = tuple[User | None, str]
DESK: Any = {"width": 1440, "height": 900}
PHONE: Any = {"width": 390, "height": 844}
pytestmark = [
    needs_browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def of_matrices() -> list[Opened]:
    """Return every page of the matrices on the cast's published day, and who opens it."""
    day = cast.published_day()
    cast.market_time(day.auction.delivery_start - timedelta(hours=4))
    people = day.places.people
    found: list[Opened] = []
    for address, statuses in {**MATRIX, **matrix_of(day)}.items():
        if any(part in address for part in NO_PAGES):
            continue
        who = next((w for w, status in zip(WHO, statuses, strict=True) if status == 200), None)
        if who is not None:
            found.append((None if who == "anonymous" else getattr(people, who), address))
    return found


def axe_script() -> str:
    """Return axe-core as its package ships it."""
    import axe_playwright_python

    (file,) = Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")
    return file.read_text(encoding="utf-8")


def wrongs(page: Page, rules: Any, theme: str) -> list[str]:
    """Return what axe finds on a page in a theme, and where."""
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    found: Any = page.evaluate("rules => axe.run(document, rules)", rules)
    return [
        f"{theme}: {one['id']}: {node['html'][:140]} ({node['failureSummary'][:160]})"
        for one in found["violations"]
        for node in one["nodes"][:2]
    ]


def on_a_phone(page: Page) -> list[str]:
    """Return whether the page must be pushed sideways at the width of a phone."""
    page.set_viewport_size(PHONE)
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [f"{wide} px wide on a phone"] if wide > PHONE["width"] else []


@pytest.mark.parametrize("package", ["matrices", *PACKAGES])
def test_axe_finds_nothing(live_server: Any, package: str) -> None:
    pages = of_matrices() if package == "matrices" else import_module(
        f"tests.portal.axe_{package}"
    ).pages()  # fmt: skip
    script, found = axe_script(), {}
    with browser_open() as browser:
        contexts: dict[Any, Any] = {}
        for user, address in pages:
            key = None if user is None else user.pk
            if key not in contexts:
                context = signed_in(
                    browser, live_server.url, user, bypass_csp=True, viewport=DESK,
                    reduced_motion="reduce",
                )  # fmt: skip
                contexts[key] = context.new_page()
            page = contexts[key]
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            page.evaluate(script)
            found[address] = wrongs(page, RULES, "light")
            keep = f"{package}-{len(found):02d}" if package != "matrices" else None
            if keep:
                shot(page, f"axe-{keep}-light")
            found[address] += wrongs(page, COLOURS, "dark")
            if keep:
                shot(page, f"axe-{keep}-dark")
            found[address] += on_a_phone(page)
            if keep:
                shot(page, f"phone-{keep}")
            page.set_viewport_size(DESK)
    wrong = {address: one for address, one in found.items() if one}
    assert wrong == {}, wrong
