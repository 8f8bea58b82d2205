"""Clean up after a supervisor that died without a word. Standard library only.

``python -m aggregator.ops.watchdog`` reads what its parent started, line by line, from its
standard input. When the pipe ends, the parent is gone; unless it said ``done`` before, the
process groups are ended and the servers it owned are stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

from aggregator.ops.embedded import Servers, process_identity

TERM_WAIT_S = 5.0


def groups_end(identities: list[str], *, wait_s: float) -> None:
    """End process groups by TERM, then by KILL; those whose leader is another process by now stay.

    Parameters
    ----------
    identities
        :func:`aggregator.ops.embedded.process_identity` of each group's leader.
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
    servers: list[tuple[str, str]] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "done":
            return
        if word == "group":
            groups.append(rest)
        elif word == "servers":
            instance, _, owner = rest.partition(" ")
            servers.append((instance, owner))
    groups_end(list(reversed(groups)), wait_s=TERM_WAIT_S)
    for instance, owner in servers:
        Servers(instance=instance).stop(left_by=owner)


if __name__ == "__main__":
    main()
