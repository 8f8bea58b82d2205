"""What the architecture tests look at: the files of the repository, tracked or about to be."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounts", "market", "aggregator")


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, ignored ones left out; paths relative to its root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0 and listing.stdout:
        named = {Path(name) for name in listing.stdout.split("\0") if name}
    else:  # an unpacked archive has no git
        named = {
            path.relative_to(ROOT)
            for path in ROOT.rglob("*")
            if path.is_file() and not {".venv", ".wattbit", ".git"} & set(path.parts)
        }
    return tuple(sorted(path for path in named if (ROOT / path).is_file()))


def python_files(*, with_tests: bool = True) -> list[Path]:
    """Python modules written by hand: without migrations."""
    return [
        path
        for path in files()
        if path.suffix == ".py"
        and "migrations" not in path.parts
        and (with_tests or path.parts[0] != "tests")
    ]


def text_of(path: Path) -> str | None:
    """Content of a text file, None for a binary one."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
