"""One thread for dense algebra: the same bits every time, and CPU time that means something."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import scipy

SETTERS = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads")
GETTERS = ("scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads")


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    """Return the BLAS libraries that NumPy and SciPy brought with them, already loaded."""
    found = []
    for package in (np, scipy):
        folder = Path(str(package.__file__)).parent.parent / f"{package.__name__}.libs"
        found += [ctypes.CDLL(str(path)) for path in sorted(folder.glob("*openblas*"))]
    return tuple(found)


def _call(library: ctypes.CDLL, names: tuple[str, ...], *arguments: int) -> int:
    for name in names:
        if hasattr(library, name):
            return int(getattr(library, name)(*arguments))
    return 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let dense algebra use one thread for a while.

    A BLAS that came from elsewhere is left as it is; it can be held to one thread from outside,
    by its own environment variable.
    """
    before = [_call(library, GETTERS) for library in _libraries()]
    for library in _libraries():
        _call(library, SETTERS, 1)
    try:
        yield
    finally:
        for library, count in zip(_libraries(), before, strict=True):
            if count:
                _call(library, SETTERS, count)
