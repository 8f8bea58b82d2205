"""Addresses of the portal's packages and how they answer each of six people.

A package puts a module ``matrix_<package>.py`` beside this one:

- ``MATRIX: dict[str, tuple[int, ...]]`` gives an address and its status for anonymous, owner,
  rival, stranger, planner and desk, as in ``test_portal_access.py``;
- ``names(day) -> dict[str, str]``, if there, fills ``{places}`` in the addresses from rows of the
  cast's published day (it may also make rows first).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests import cast

HERE = Path(__file__).parent


def matrix_of(day: cast.MarketDay) -> dict[str, tuple[int, ...]]:
    """Return all packages' addresses with their statuses."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(HERE.glob("matrix_*.py")):
        module = import_module(f"tests.portal.{file.stem}")
        places = module.names(day) if hasattr(module, "names") else {}
        found |= {address.format(**places): row for address, row in module.MATRIX.items()}
    return found
