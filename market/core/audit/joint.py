"""Rows that bind several bids together, by the name under which ``raw.joint`` lists their duals.

Each function reads the snapshot and returns the rows of its family that this book has. Those
that are written here are part of weak duality like any other row: their duals price the columns
they touch, and what is left unused at a price counts as gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from market.core.audit import reserves
from market.core.audit.block import Block, JointRows, Market
from market.core.audit.forms import block

JOINT: Final[Mapping[str, Callable[[Market, Mapping[str, Block]], JointRows]]] = {
    "deliver_energy_down": reserves.energy_down,
    "deliver_energy_up": reserves.energy_up,
    "group": block.groups,
    "link": block.links,
}
"""Name of a family of joint rows → its rows, of the market and all blocks by bid id."""
