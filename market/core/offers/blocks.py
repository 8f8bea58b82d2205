r"""Blocks: a kW profile over consecutive half hours at one price, taken as its rules allow.

With acceptance :math:`u_j \in \{0, 1\}` and, per half hour, profile :math:`q_{jt}`:

*Minimum acceptance ratio* :math:`r_j`. The same share :math:`\alpha_j` of every half hour is
sold, all or none for :math:`r_j = 1`:

.. math:: r_j u_j \le \alpha_j \le u_j, \qquad \text{sold}_{jt} = q_{jt} \alpha_j, \qquad
          \text{cost} = h\,a_j \alpha_j \sum_t q_{jt} + S_j u_j .

*Start cost* :math:`S_j` is asked once for an accepted block, at each start for a running one.

*Minimum run* :math:`m_j`. Such a block may run in parts of its window, each part at least
:math:`m_j` half hours long and wholly within it. Running :math:`o_{jt} \in \{0, 1\}` and starts
:math:`s_{jt} \ge 0` are those of Rajan and Takriti [1]_, whose rows describe the convex hull:

.. math:: o_{jt} - o_{j,t-1} \le s_{jt}, \qquad \sum_{\tau = t-m_j+1}^{t} s_{j\tau} \le o_{jt},
          \qquad o_{jt} \le u_j \le \sum_t s_{jt}, \qquad
          r_j q_{jt} o_{jt} \le \text{sold}_{jt} \le q_{jt} o_{jt},

with :math:`o_{j,-1} = 0` and no start in the last :math:`m_j - 1` half hours. Starts are
continuous: with binary :math:`o` the cheapest are integral.

*Exclusive group* :math:`G`: :math:`\sum_{j \in G} u_j \le 1`. *Parent*: :math:`u_j \le u_{p(j)}`.
Both bind blocks of one owner only: the same name used by another owner is another group, and
another owner's block can be nobody's parent. Otherwise one seller could lock out or drag in
another's block.

References
----------
.. [1] D. Rajan and S. Takriti, "Minimum up/down polytopes of the unit commitment problem with
   start-up costs", IBM Research Report RC23628, 2005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.terms import (
    COMMON_OPTIONAL,
    BoolArray,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Own,
    Terms,
    family_slices,
    frozen_floats,
    frozen_ints,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DIRECTION_SIGN, DIRECTIONS

FORM: Final = "BLOCK"
LEG: Final = "BLOCK"
REQUIRED: Final = (
    "id",
    "form",
    "resource",
    "direction",
    "first_t",
    "quantity_kw",
    "ask_jpy_per_kwh",
)
OPTIONAL: Final = (
    "acceptance_min_ratio",
    "start_cost_jpy",
    "run_min_count",
    "exclusive_group",
    "parent",
)
NONE: Final = -1
ANCESTOR_COUNT_MAX: Final = 100


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a block; refuse what breaks its rules.

    Whom it is linked to is checked once all bids are read: :func:`check_links`.
    """
    entry = reader.fields(required=REQUIRED, optional=(*COMMON_OPTIONAL, *OPTIONAL))

    def given(name: str) -> bool:
        return name in entry and entry[name].value is not None

    bid: dict[str, Any] = {
        **terms.head(entry, FORM),
        "direction": entry["direction"].choice(DIRECTIONS),
        "first_t": entry["first_t"].integer(low=0, high=terms.interval_count - 1),
        "quantity_kw": [item.number(low=0) for item in entry["quantity_kw"].items()],
        "ask_jpy_per_kwh": entry["ask_jpy_per_kwh"].number(low=-1e6, high=1e6),
        "acceptance_min_ratio": 1.0,
        "start_cost_jpy": 0.0,
        "run_min_count": None,
    }
    length = len(bid["quantity_kw"])
    if not 1 <= length <= terms.interval_count - bid["first_t"]:
        entry["quantity_kw"].refuse("must have 1 number per half hour, all within the horizon")
    if not any(bid["quantity_kw"]):
        entry["quantity_kw"].refuse("must have a quantity above 0")
    if given("acceptance_min_ratio"):
        bid["acceptance_min_ratio"] = entry["acceptance_min_ratio"].number(low=0, high=1)
    if given("start_cost_jpy"):
        bid["start_cost_jpy"] = entry["start_cost_jpy"].number(low=0, high=1e9)
    if given("run_min_count"):
        bid["run_min_count"] = entry["run_min_count"].integer(low=1, high=length)
    for name in ("exclusive_group", "parent"):
        bid[name] = entry[name].text() if given(name) else None
    if bid["parent"] == bid["id"]:
        entry["parent"].refuse("must be another block")
    return bid


def check_links(reader: Reader, bids: Sequence[Mapping[str, Any]]) -> None:
    """Refuse the first block whose parent can not be its parent.

    Parameters
    ----------
    reader
        Stands on the array of bids as it was given; it names the place of a refusal.
    bids
        The same bids in canonical form, of all forms, in any order.

    Raises
    ------
    Refused
        The reader's error, with the parent's path, its value and the rule it breaks.
    """
    broken = broken_links(bids)
    for item in reader.items():
        name = item.value["id"]
        if name in broken:
            raise reader.error(
                field=f"{item.path}.parent", value=item.value["parent"], rule=broken[name]
            )


def broken_links(bids: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the rule that each wrongly linked block breaks, by its id.

    A parent must be a block of the same owner, ancestors must end, and a block must not share
    an exclusive group with an ancestor, because the two could never be accepted together.
    """
    blocks = {bid["id"]: bid for bid in bids if bid["form"] == FORM}
    found = {}
    for name in sorted(blocks):
        rule = _broken_link(blocks, name)
        if rule is not None:
            found[name] = rule
    return found


def _broken_link(blocks: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    line = [name]
    while (parent := blocks[line[-1]]["parent"]) is not None:
        if parent == name:
            return f"must not lead back to the block itself: {' → '.join([*line, name])}"
        if parent not in blocks or parent in line:
            # An unknown parent is the child's to tell, a cycle that of the blocks on it.
            return "must be the id of a known block" if len(line) == 1 else None
        line.append(parent)
        if len(line) > ANCESTOR_COUNT_MAX + 1:
            return f"must not have more than {ANCESTOR_COUNT_MAX} ancestors"
    ancestors = [blocks[ancestor] for ancestor in line[1:]]
    owner, group = blocks[name].get("owner"), blocks[name]["exclusive_group"]
    if any(ancestor.get("owner") != owner for ancestor in ancestors[:1]):
        return "must be a block of the same owner"
    if group is not None and any(ancestor["exclusive_group"] == group for ancestor in ancestors):
        return f"must not be in the block's own exclusive group: {' → '.join(line)}"
    return None


@dataclass(frozen=True, kw_only=True)
class BlockTable:
    """All blocks; axes B = blocks, N = (block, half hour) pairs, in the order block, half hour."""

    ids: tuple[str, ...]
    resource: IntArray
    sign: FloatArray
    """+1 for UP, −1 for DOWN, (B,)."""
    ask_jpy_per_kwh: FloatArray
    acceptance_min_ratio: FloatArray
    start_cost_jpy: FloatArray
    run_min_count: IntArray
    """Least half hours of a run, (B,); 0 for a block sold in one ratio throughout."""
    parent: IntArray
    """Row of the parent, (B,); −1 for none."""
    group: IntArray
    """Number of the exclusive group, (B,); −1 for none, or if nobody else is in it."""
    group_keys: tuple[str, ...]
    """Id of the first block of each group, (G,)."""
    pair_bid: IntArray
    pair_t: IntArray
    quantity_kw: FloatArray
    """Profile of each pair, (N,)."""

    @property
    def is_running(self) -> BoolArray:
        """Return which blocks have a minimum run, and so a commitment per half hour, (B,)."""
        return self.run_min_count > 0


def table(bids: list[dict[str, Any]], numbers: Numbers) -> BlockTable:
    """Return the arrays of canonical blocks, whose links have been checked."""
    chosen = [bid for bid in bids if bid["form"] == FORM]
    row_of = {bid["id"]: row for row, bid in enumerate(chosen)}
    first_t = frozen_ints(bid["first_t"] for bid in chosen)
    length = frozen_ints(len(bid["quantity_kw"]) for bid in chosen)
    pair_bid, pair_t = ramp(first_t, first_t + length - 1)
    group, group_keys = _groups(chosen)
    return BlockTable(
        ids=tuple(row_of),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in chosen),
        sign=frozen_floats(DIRECTION_SIGN[bid["direction"]] for bid in chosen),
        ask_jpy_per_kwh=frozen_floats(bid["ask_jpy_per_kwh"] for bid in chosen),
        acceptance_min_ratio=frozen_floats(bid["acceptance_min_ratio"] for bid in chosen),
        start_cost_jpy=frozen_floats(bid["start_cost_jpy"] for bid in chosen),
        run_min_count=frozen_ints(bid["run_min_count"] or 0 for bid in chosen),
        parent=frozen_ints(
            NONE if bid["parent"] is None else row_of[bid["parent"]] for bid in chosen
        ),
        group=group,
        group_keys=group_keys,
        pair_bid=pair_bid,
        pair_t=pair_t,
        quantity_kw=frozen_floats(kw for bid in chosen for kw in bid["quantity_kw"]),
    )


def _groups(chosen: list[dict[str, Any]]) -> tuple[IntArray, tuple[str, ...]]:
    """Return the group of each block and the id of each group's first; groups of one are none."""
    members: dict[tuple[str, str], list[int]] = {}
    for row, bid in enumerate(chosen):
        if bid["exclusive_group"] is not None:
            members.setdefault((bid.get("owner", ""), bid["exclusive_group"]), []).append(row)
    shared = sorted(rows for rows in members.values() if len(rows) > 1)
    group = np.full(len(chosen), NONE)
    for number, rows in enumerate(shared):
        group[rows] = number
    return frozen_ints(group), tuple(chosen[rows[0]]["id"] for rows in shared)


def columns(block: BlockTable, *, interval_h: float) -> Columns:
    """Return the columns of all blocks: acceptances, ratios, then what minimum runs add.

    Parameters are those of :func:`market.core.offers.steps.columns`.
    """
    at = _places(block)
    count, running = len(block.ids), block.is_running
    energy_kwh = interval_h * np.bincount(
        block.pair_bid, weights=block.quantity_kw, minlength=count
    )
    pairs = len(at.bid)
    is_too_late = at.left < block.run_min_count[at.bid]
    n = count + len(at.plain) + 3 * pairs
    return Columns(
        ids=block.ids,
        families=family_slices(
            accepted=count, ratio=len(at.plain), on=pairs, start=pairs, run_kw=pairs
        ),
        bid=np.concatenate([np.arange(count), at.plain, at.bid, at.bid, at.bid]),
        lower_kw=np.zeros(n),
        upper_kw=np.concatenate(
            [
                np.ones(count + len(at.plain) + pairs),
                np.where(is_too_late, 0.0, 1.0),
                at.quantity_kw,
            ]
        ),
        cost_jpy=np.concatenate(
            [
                np.where(running, 0.0, block.start_cost_jpy),
                (block.ask_jpy_per_kwh * energy_kwh)[at.plain],
                np.zeros(pairs),
                block.start_cost_jpy[at.bid],
                interval_h * block.ask_jpy_per_kwh[at.bid],
            ]
        ),
        is_shared=np.concatenate(
            [
                np.zeros(count, dtype=bool),
                np.ones(len(at.plain), dtype=bool),
                np.zeros(2 * pairs, dtype=bool),
                np.ones(pairs, dtype=bool),
            ]
        ),
        legs=_legs(block, at),
        own=_own(block, at, n),
        binary=np.concatenate([np.arange(count), at.on]),
    )


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where things stand: blocks sold in one ratio (plain), and pairs of blocks that run."""

    plain: IntArray
    """Rows of plain blocks."""
    ratio: IntArray
    """Column of each plain block's ratio."""
    bid: IntArray
    """Block of each running pair, (R,); `t`, `quantity_kw` and the columns likewise."""
    t: IntArray
    quantity_kw: FloatArray
    is_first: BoolArray
    left: IntArray
    """Half hours from the pair to the end of its window, itself counted."""
    on: IntArray
    start: IntArray
    run: IntArray


def _places(block: BlockTable) -> _Places:
    plain = np.flatnonzero(~block.is_running)
    pair = np.flatnonzero(block.is_running[block.pair_bid])
    bid = block.pair_bid[pair]
    last = np.searchsorted(bid, bid, side="right")
    first = np.searchsorted(bid, bid)
    on = len(block.ids) + len(plain) + np.arange(len(pair))
    return _Places(
        plain=plain,
        ratio=len(block.ids) + np.arange(len(plain)),
        bid=bid,
        t=block.pair_t[pair],
        quantity_kw=block.quantity_kw[pair],
        is_first=first == np.arange(len(pair)),
        left=last - np.arange(len(pair)),
        on=on,
        start=on + len(pair),
        run=on + 2 * len(pair),
    )


def _legs(block: BlockTable, at: _Places) -> tuple[Leg, ...]:
    """Return what is sold: the profile times the ratio, or what runs."""
    ratio_of = np.full(len(block.ids), NONE)
    ratio_of[at.plain] = at.ratio
    pair = np.flatnonzero(~block.is_running[block.pair_bid])
    bid = np.concatenate([block.pair_bid[pair], at.bid])
    column = np.concatenate([ratio_of[block.pair_bid[pair]], at.run])
    t = np.concatenate([block.pair_t[pair], at.t])
    kw_per_unit = np.concatenate([block.quantity_kw[pair], np.ones(len(at.run))])
    found = []
    for direction in DIRECTIONS:
        chosen = np.flatnonzero(block.sign[bid] == DIRECTION_SIGN[direction])
        found.append(
            Leg(
                name=LEG,
                direction=direction,
                column=column[chosen],
                resource=block.resource[bid[chosen]],
                t=t[chosen],
                kw_per_unit=kw_per_unit[chosen],
            )
        )
    return tuple(found)


def _own(block: BlockTable, at: _Places, n: int) -> dict[str, Own]:
    """Return the rows of the module's docstring; those of a block are in order of time."""
    plain, pair = np.arange(len(at.plain)), np.arange(len(at.bid))
    pair_row = len(plain) + pair
    ratio, ones = block.acceptance_min_ratio, np.ones
    later = np.flatnonzero(~at.is_first)
    runner = np.flatnonzero(block.is_running)
    row_of = np.cumsum(block.is_running) - 1
    starts, whose = _recent_starts(block, at)
    limits = {
        "most": (
            (plain, at.ratio, ones(len(plain))),
            (plain, at.plain, -ones(len(plain))),
            (pair_row, at.run, ones(len(pair))),
            (pair_row, at.on, -at.quantity_kw),
        ),
        "least": (
            (plain, at.plain, ratio[at.plain]),
            (plain, at.ratio, -ones(len(plain))),
            (pair_row, at.on, ratio[at.bid] * at.quantity_kw),
            (pair_row, at.run, -ones(len(pair))),
        ),
        "begin": (
            (pair, at.on, ones(len(pair))),
            (later, at.on[later - 1], -ones(len(later))),
            (pair, at.start, -ones(len(pair))),
        ),
        "stay": (
            (whose, at.start[starts], ones(len(starts))),
            (pair, at.on, -ones(len(pair))),
        ),
        "within": ((pair, at.on, ones(len(pair))), (pair, at.bid, -ones(len(pair)))),
        "some": (
            (row_of[runner], runner, ones(len(runner))),
            (row_of[at.bid], at.start, -ones(len(pair))),
        ),
    }
    bid_of = {
        "most": np.concatenate([at.plain, at.bid]),
        "least": np.concatenate([at.plain, at.bid]),
        "begin": at.bid,
        "stay": at.bid,
        "within": at.bid,
        "some": runner,
    }
    rows = {
        name: Own(
            matrix=incidence((len(bid_of[name]), n), *terms),
            rhs=np.zeros(len(bid_of[name])),
            is_equal=False,
            bid=bid_of[name],
        )
        for name, terms in limits.items()
    }
    return rows | _joint(block, n)


def _recent_starts(block: BlockTable, at: _Places) -> tuple[IntArray, IntArray]:
    """Return (start pair, pair) for every start that still binds its block to run."""
    pair = np.arange(len(at.bid))
    back = np.minimum(block.run_min_count[at.bid], pair - np.searchsorted(at.bid, at.bid) + 1)
    whose = np.repeat(pair, back)
    return whose - (np.arange(len(whose)) - np.repeat(np.cumsum(back) - back, back)), whose


def _joint(block: BlockTable, n: int) -> dict[str, Own]:
    """Return what binds several blocks: groups, and children to their parents."""
    member = np.flatnonzero(block.group != NONE)
    child = np.flatnonzero(block.parent != NONE)
    link = np.arange(len(child))
    groups = len(block.group_keys)
    return {
        "group": Own(
            matrix=incidence((groups, n), (block.group[member], member, np.ones(len(member)))),
            rhs=np.ones(groups),
            is_equal=False,
            keys=block.group_keys,
        ),
        "link": Own(
            matrix=incidence(
                (len(child), n),
                (link, child, np.ones(len(child))),
                (link, block.parent[child], -np.ones(len(child))),
            ),
            rhs=np.zeros(len(child)),
            is_equal=False,
            keys=tuple(block.ids[row] for row in child),
        ),
    }


def implied_bounds(block: BlockTable) -> tuple[BoolArray, BoolArray]:
    """Return which (lower, upper) bounds of all blocks' columns their own rows imply, (n,) each.

    What is sold is at most what acceptance allows and, with a least ratio above zero, not
    negative either. Without these bounds the worth of selling shows where the decision is.
    """
    at = _places(block)
    count, pairs = len(block.ids), len(at.bid)
    has_least = block.acceptance_min_ratio > 0
    decisions, starts = np.zeros(count, dtype=bool), np.zeros(2 * pairs, dtype=bool)
    lower = np.concatenate([decisions, has_least[at.plain], starts, has_least[at.bid]])
    sold = np.ones(len(at.plain), dtype=bool), np.ones(pairs, dtype=bool)
    return lower, np.concatenate([decisions, sold[0], starts, sold[1]])
