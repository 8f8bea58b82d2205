"""Where the real files for tests are, and a line in the report that says whether they were used.

They are never part of the repository: licences forbid it. Tests that read them skip, with
that reason, when the files are absent.
"""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_asked: dict[str, bool] = {}


def shared_directory() -> Path | None:
    """Find the real files: ``WATTBIT_SHARED``, or ``shared/data`` beside the checkout."""
    named = os.environ.get("WATTBIT_SHARED")
    candidates = [Path(named), Path(named) / "data"] if named else [_ROOT.parent / "shared/data"]
    for candidate in candidates:
        if (candidate / "README.md").is_file() and any(candidate.glob("*.csv.gz")):
            return candidate
    return None


def shared_path(name: str) -> Path | None:
    """Path of one real file, or None; the answer is told in the test report."""
    directory = shared_directory()
    path = None if directory is None else directory / name
    is_there = path is not None and path.exists()
    _asked[name] = is_there
    return path if is_there else None


def pytest_report_header() -> str:
    """Say at the top of a run which real files it can see."""
    if shared_directory() is None:
        return "real files: none (set WATTBIT_SHARED); importer tests use generated files only"
    return "real files: found; importer tests use generated and real files"


def pytest_terminal_summary(terminalreporter: object) -> None:
    """Say at the end which real files were read and which were missing."""
    write_line = getattr(terminalreporter, "write_line", print)
    for name, is_there in sorted(_asked.items()):
        write_line(f"real file {name}: {'used' if is_there else 'absent, its tests skipped'}")
