"""Every document can be found from the index, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

from aggregator.config.env import VARIABLES
from tests.architecture.repository import ROOT, files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")


def _links(path: Path) -> list[Path]:
    text = (ROOT / path).read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [
        ((ROOT / path).parent / target).resolve()
        for target in LINK.findall(prose)
        if "://" not in target and not target.startswith("mailto:")
    ]


def _documents() -> list[Path]:
    return [path for path in files() if path.suffix == ".md" and path.parts[0] == "docs"]


def test_every_document_is_reachable_from_the_index() -> None:
    seen = {ROOT / "docs" / "README.md"}
    waiting = list(seen)
    while waiting:
        page = waiting.pop()
        for target in _links(page.relative_to(ROOT)):
            is_page = target.suffix == ".md" and target.is_file() and target.is_relative_to(ROOT)
            if is_page and target not in seen:
                seen.add(target)
                waiting.append(target)
    lost = [str(path) for path in _documents() if ROOT / path not in seen]
    assert lost == []


def test_no_link_leads_nowhere() -> None:
    pages = [path for path in files() if path.suffix == ".md"]
    broken = [
        f"{page}: {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}"
        for page in pages
        for target in _links(page)
        if not target.exists()
    ]
    assert broken == []


def test_the_operating_page_lists_exactly_the_variables_that_are_read() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    row = r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*?) \| (.*?) \|$"
    rows = re.findall(row, page, flags=re.MULTILINE)
    expected = [
        (
            variable.name,
            f"`{variable.default}`" if variable.default else "–",
            "yes" if variable.secret else "",
            variable.meaning,
        )
        for variable in VARIABLES
    ]
    assert rows == expected


def test_the_environment_is_read_in_one_place() -> None:
    allowed = {
        "aggregator/config/env.py",
        "aggregator/config/settings/test.py",  # sets what env.py then reads
        "aggregator/config/asgi.py",
        "aggregator/config/wsgi.py",
        "aggregator/config/celery.py",
        "manage.py",
    }
    readers = {
        str(path)
        for path in files()
        if path.suffix == ".py"
        and path.parts[0] in ("accounts", "market", "aggregator", "manage.py")
        and not str(path).startswith("aggregator/ops/")  # runs before and beside Django
        and re.search(r"(?<!\*\*)os\.environ|getenv", (ROOT / path).read_text(encoding="utf-8"))
    }
    assert readers <= allowed
