"""Ways of the left rail; each package of pages says which it opens to whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from typing import Final

from accounts.parties.sight import Sight

# packages of pages with a module `rail` that has `ways(sight) -> list[Way]`, in rail order
PACKAGES: Final = ("desk", "dc", "tso", "money", "public", "team")


class Group(IntEnum):
    """Groups of the rail, divided by a line: daily work first, set-up last."""

    WORK = 1
    LOOK = 2
    SET_UP = 3


@dataclass(frozen=True, kw_only=True)
class Way:
    """One entry of the rail.

    Parameters
    ----------
    key
        What the page gives as ``frame(request, page=key)``.
    url, icon, name
        Where it leads, the symbol of the sprite, and the noun in the page's language.
    count
        How many things wait for the person there; zero shows nothing.
    is_urgent
        Whether they must be done now: the count is red.
    rank
        Place within the group, small first; equal ranks keep the order of packages.
    """

    key: str
    url: str
    icon: str
    name: str
    group: Group = Group.WORK
    count: int = 0
    is_urgent: bool = False
    rank: int = 50


def gathered(sight: Sight, own: Sequence[Way] = ()) -> list[Way]:
    """Return all ways open to a person in the order of the rail."""
    ways = list(own)
    for name in PACKAGES:
        opened: Callable[[Sight], list[Way]] = import_module(f"aggregator.portal.{name}.rail").ways
        ways.extend(opened(sight))
    return sorted(ways, key=lambda way: (way.group, way.rank))
