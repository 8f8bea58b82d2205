"""A home of its own for an instance that a test starts and stops."""

from __future__ import annotations

from pathlib import Path

from aggregator.ops.embedded import instance_home


def templates_share(home: Path) -> None:
    """Let `home` have the dumps of migrated databases that this checkout has made already."""
    made = instance_home("templates")
    made.mkdir(parents=True, exist_ok=True)
    (home / "templates").symlink_to(made, target_is_directory=True)
