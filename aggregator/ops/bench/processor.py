"""Processor time of each side of a measurement, apart: it hardly changes with the machine's load.

On a shared machine a rate says as much about the neighbours as about the server. What a request
costs in processor time, and where, does not; the rate that a machine can reach follows from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# fields of /proc/PID/stat after the name of the program (proc(5))
PARENT, USER, SYSTEM, ENDED_USER, ENDED_SYSTEM = 1, 11, 12, 13, 14


def processor_s(roots: Mapping[str, int]) -> dict[str, float]:
    """Return what each tree of processes has used so far, its ended children included.

    Parameters
    ----------
    roots
        Process ids by name; each tree is the process and all below it.

    Returns
    -------
    dict
        Seconds by name.
    """
    parents: dict[int, int] = {}
    used_s: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        pid = int(path.parent.name)
        parents[pid] = int(words[PARENT])
        ticks = (words[USER], words[SYSTEM], words[ENDED_USER], words[ENDED_SYSTEM])
        used_s[pid] = sum(map(int, ticks)) / TICKS_PER_S
    names = {pid: name for name, pid in roots.items()}
    total_s = dict.fromkeys(roots, 0.0)
    for pid, own_s in used_s.items():
        name = _of(pid, parents, names)
        if name is not None:
            total_s[name] += own_s
    return total_s


def _of(pid: int, parents: Mapping[int, int], names: Mapping[int, str]) -> str | None:
    """Return whose tree a process is in: that of its nearest root."""
    at = pid
    while at not in names:
        if at not in parents:
            return None
        at = parents[at]
    return names[at]
