"""What the documents say is tested is tested: every test they name exists, once."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(test_[a-z0-9_]+)`")
DEFINED = re.compile(r"^def (test_[a-z0-9_]+)\(", re.MULTILINE)


def test_every_test_that_the_protocols_name_exists_once() -> None:
    named = NAMED.findall((ROOT / "docs" / "protocols.md").read_text(encoding="utf-8"))
    defined = [
        name
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in DEFINED.findall(file.read_text(encoding="utf-8"))
    ]
    assert len(named) > 40
    assert {name: defined.count(name) for name in named if defined.count(name) != 1} == {}
