"""The check of a result shares nothing with what it checks, and needs NumPy alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT

AUDIT = ROOT / "market" / "core" / "audit"
OF_BOTH = {"market.core.errors", "market.core.reading"}
"""What reads JSON and names refusals; the certificate's own door uses it."""


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}


def _is_of_the_audit(name: str) -> bool:
    return name.partition(".")[0] == "numpy" or name.startswith("market.core.audit")


@pytest.mark.parametrize("path", sorted(AUDIT.rglob("*.py")), ids=lambda path: path.stem)
def test_the_audit_imports_numpy_and_itself(path: Path) -> None:
    assert {name for name in _imported(path) if not _is_of_the_audit(name)} == set()


def test_the_certificate_adds_only_how_json_is_read_and_refused() -> None:
    found = _imported(ROOT / "market" / "core" / "certificate.py")
    assert {name for name in found if not _is_of_the_audit(name)} == OF_BOTH
