"""What docs/api.md says of the doors is so: codes, numbers, columns."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from aggregator.api.services import KEPT_H
from aggregator.api.v1 import idempotency, needs_csv, readings, uploads
from aggregator.api.v1.pagination import LIMIT_DEFAULT, LIMIT_MAX
from aggregator.api.v1.problem import TITLES
from aggregator.api.v1.reading import (
    BODY_BYTES_MAX,
    DEPTH_MAX,
    LIST_LENGTH_MAX,
    NODES_MAX,
    NUMBER_LENGTH_MAX,
)
from market.trading import bid_sheets
from tests.architecture.repository import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())
# what no door of the API raises: commands, the engine's files, another protocol
ELSEWHERE = (
    "aggregator.ops.", "aggregator.protocols.", "aggregator.forecasting.", "market.core.matpower",
)  # fmt: skip


def _kinds(of: type[Refused]) -> Iterator[type[Refused]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def rule_codes() -> dict[str, str]:
    """Return code and first line of every refusal that has a code of its own."""
    for name in ("accounts", "market", "aggregator.api", "aggregator.metering",
                 "aggregator.dispatch", "aggregator.settlement", "aggregator.core"):  # fmt: skip
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not re.search(r"\.(migrations|management|client)\b|__main__", module.name):
                importlib.import_module(module.name)
    return {
        kind.__new__(kind).code: str(kind.__doc__).splitlines()[0]
        for kind in (Refused, *_kinds(Refused))
        if not issubclass(kind, NotFound | NotPermitted | Conflict)
        and kind.__module__.startswith(("accounts.", "market.", "aggregator."))
        and not kind.__module__.startswith(ELSEWHERE)
    }


def _table(heading: str) -> list[tuple[str, ...]]:
    section = PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [tuple(cell.strip() for cell in row) for row in rows]


def test_the_codes_of_the_doors_are_those_in_the_code() -> None:
    assert sorted(_table("Codes of the doors")) == sorted(
        (f"`{code}`", str(status), english, japanese)
        for code, (status, japanese, english) in TITLES.items()
    )


def test_the_codes_of_rules_are_those_in_the_code() -> None:
    known = {f"`{code}`" for code in rule_codes() if code not in TITLES}
    assert {row[0] for row in _table("Codes of rules")} == known


def test_the_numbers_are_those_in_the_code() -> None:
    for told in (
        f"A body is at most {BODY_BYTES_MAX // 1024**2} MB",
        f"more than {DEPTH_MAX} levels, {NODES_MAX:,} values, or {LIST_LENGTH_MAX:,} values in one",
        f"more than {NUMBER_LENGTH_MAX} characters",
        f"at most {uploads.ROWS_MAX:,} rows",
        f"grow to {uploads.INFLATED_BYTES_MAX // 1024**2} MB",
        f"`limit` (1 to {LIMIT_MAX}, else {LIMIT_DEFAULT})",
        f"Keys are kept {KEPT_H} hours",
        f"with `{idempotency.REPLAYED}: true`",
    ):
        assert told in PROSE
    assert uploads.RATIO_MAX == 100


def test_the_columns_are_those_the_doors_read() -> None:
    section = PAGE.split("Columns of CSV")[1].split("\n## ")[0]
    named = {row.split("|")[1].strip(): set(re.findall(r"`(\w+)`", row))
             for row in section.splitlines() if row.startswith("| ")}  # fmt: skip
    assert set(bid_sheets.NEEDED) | set(bid_sheets.STEP) <= named["bids"]
    assert named["bids"] <= set(bid_sheets.COLUMNS)
    assert named["needs"] == set(needs_csv.COLUMNS)
    assert named["readings"] == {*readings.NEEDED, *readings.OPTIONAL}
