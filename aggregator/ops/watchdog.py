"""Clean up after a supervisor that died without a word. Standard library only.

``python -m aggregator.ops.watchdog`` reads what its parent started, line by line, from its
standard input. When the pipe ends, the parent is gone; unless it said ``done`` before, the
process groups are ended, and the servers stopped if nobody else uses them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from aggregator.ops.embedded import Servers

TERM_WAIT_S = 5.0


def groups_end(identities: list[str], *, wait_s: float) -> None:
    """End process groups by TERM, then by KILL; those whose leader is another process by now stay.

    Parameters
    ----------
    identities
        :func:`process_identity` of each group's leader.
    wait_s
        Patience between the two signals.
    """
    for identity in identities:
        _signal(identity, signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and any(map(_lives, identities)):
        time.sleep(0.05)
    for identity in identities:
        _signal(identity, signal.SIGKILL)


def process_identity(pid: int) -> str:
    """Name a living process so that a later one with its pid is told apart; "" if it is gone."""
    try:
        born = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        born = done.stdout.strip()
    return f"{pid} {born}" if born else ""


def _pid(identity: str) -> int:
    return int(identity.partition(" ")[0])


def _lives(identity: str) -> bool:
    return process_identity(_pid(identity)) == identity


def _signal(identity: str, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if _lives(identity):
            os.killpg(_pid(identity), number)


def main() -> None:
    """Read until the parent is gone, then end what it left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    groups: list[str] = []
    instances: list[str] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "done":
            return
        if word == "group":
            groups.append(rest)
        elif word == "servers":
            instances.append(rest)
    groups_end(list(reversed(groups)), wait_s=TERM_WAIT_S)
    for instance in instances:
        Servers(instance=instance).leave()


if __name__ == "__main__":
    main()
