"""Run the product's commands as a person at a shell does, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What would lead a command to the servers of the test run itself.
LEFT_OUT = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "FAILPOINTS")


def manage(*arguments: str, instance: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` on an instance of its own; its outcome is for the test to judge."""
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment, "WATTBIT_INSTANCE": instance},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
