r"""All blocks side by side: what every bid does, and what it forgoes at given prices.

The columns of all bids form one vector x of n entries, their own rows one set of m. With the
reduced gain :math:`r_j` of a column (what the prices of what it touches bring in, less its cost,
less the duals of the rows it stands in), weak duality gives for each bid

.. math:: \text{best} = \sum_i y_i b_i + \sum_j \max(l_j r_j, u_j r_j),

and what it forgoes is that less what it earns. A column held by an integer decision counts with
the value it has, :math:`r_j x_j`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from market.core.audit.block import Block, IntArray, JointRows, Leg, Market, Use
from market.core.audit.forms import FORMS
from market.core.audit.joint import JOINT
from market.core.audit.ledger import Array, Ledger, of_length, summed

BID_PARTS: Final = ("x", "y", "held")
BACKING_ROWS: Final = ("deliver_energy_down", "deliver_energy_up")
CALLED_ROWS: Final = "deliver_flow"
"""Joint rows that limit flows; they belong to the grid (:mod:`market.core.audit.whole`)."""


@dataclass(frozen=True)
class Entries:
    """Sparse coefficients: `amount` of `column` at `where` (and half hour `t`); (k,) each."""

    column: IntArray
    where: IntArray
    t: IntArray
    amount: Array

    def summed(self, x: Array, size: tuple[int, int]) -> Array:
        """Return Σ amount · x by (where, t)."""
        found = np.zeros(size)
        np.add.at(found, (self.where, self.t), self.amount * x[self.column])
        return found

    def priced(self, price: Array, count: int) -> Array:
        """Return Σ price · amount by column, (`count`,)."""
        return summed(self.column, price[self.where, self.t] * self.amount, count)


@dataclass(frozen=True)
class Legs:
    """Everything bids sell: (k,) entries, and one number per published award."""

    keys: list[tuple[str, str, str, str, str | None]]
    """Bid, leg, resource, direction and product of each award."""
    award: IntArray
    """Award of each entry."""
    column: IntArray
    resource: IntArray
    t: IntArray
    kw_per_unit: Array
    is_up: NDArray[np.bool_]
    product: IntArray
    """Number of the product of reserved capacity, −1 for energy."""

    def entries(self, chosen: NDArray[np.bool_], sign: float = 1.0) -> Entries:
        """Return chosen entries by resource, in kW at the receiving end."""
        return Entries(
            self.column[chosen],
            self.resource[chosen],
            self.t[chosen],
            sign * self.kw_per_unit[chosen],
        )

    @property
    def is_energy(self) -> NDArray[np.bool_]:
        """Return which entries move energy."""
        return self.product < 0

    def award_kw(self, x: Array, count: int) -> Array:
        """Return the unrounded series of each award, (awards, T)."""
        found = np.zeros((len(self.keys), count))
        np.add.at(found, (self.award, self.t), self.kw_per_unit * x[self.column])
        return found


@dataclass(frozen=True)
class Rows:
    """Rows over the columns of all bids, m of them with k coefficients."""

    is_equal: NDArray[np.bool_]
    rhs: Array
    scale: Array
    bid: IntArray
    """Bid of each row; −1 for joint rows."""
    name: NDArray[np.str_]
    row: IntArray
    column: IntArray
    coefficient: Array
    y: Array
    """Dual of each row, at least 0 for rows that are no equalities. [JPY per unit of the row]"""

    def left(self, x: Array) -> Array:
        """Return the left-hand sides."""
        return summed(self.row, self.coefficient * x[self.column], len(self.rhs))

    def priced(self, count: int) -> Array:
        """Return what the duals of its rows take from each column, (`count`,)."""
        return summed(self.column, self.coefficient * self.y[self.row], count)


@dataclass(frozen=True)
class Book:
    """All bids of a snapshot with the values a result gives them; n columns, B bids."""

    market: Market
    blocks: Mapping[str, Block]
    bid_ids: list[str]
    start: list[dict[str, int]]
    """First column of each family, by bid."""
    x: Array
    lower: Array
    upper: Array
    cost_jpy: Array
    scale: Array
    bid: IntArray
    is_held: NDArray[np.bool_]
    is_binary: NDArray[np.bool_]
    exclusive: IntArray
    """Pairs of columns, (k, 2)."""
    own: Rows
    joint: Rows
    legs: Legs
    traffic: Entries
    compute: Entries

    @property
    def size(self) -> int:
        """Return the number of columns."""
        return len(self.x)

    def by_bid(self, of_columns: Array) -> Array:
        """Return sums over the columns of each bid, (B,)."""
        return summed(self.bid, of_columns, len(self.bid_ids))

    @property
    def has_decision(self) -> NDArray[np.bool_]:
        """Return which bids have a column that is an integer or held by a decision, (B,)."""
        return self.by_bid((self.is_held | self.is_binary).astype(float)) > 0

    @property
    def groups(self) -> IntArray:
        """Return a number for each bid, equal for bids bound by joint rows with a price, (B,)."""
        return self._bound(self.joint.y != 0)

    @property
    def backed(self) -> IntArray:
        """Return the same for rows by which stores back capacity: such bids are paid as one."""
        return self._bound((self.joint.y != 0) & np.isin(self.joint.name, BACKING_ROWS))

    def _bound(self, priced: NDArray[np.bool_]) -> IntArray:
        root = list(range(len(self.bid_ids)))

        def find(bid: int) -> int:
            while root[bid] != bid:
                root[bid] = root[root[bid]]
                bid = root[bid]
            return bid

        joint, first = self.joint, dict[int, int]()
        for entry in np.flatnonzero(priced[joint.row]).tolist():
            bid = find(int(self.bid[joint.column[entry]]))
            root[bid] = find(first.setdefault(int(joint.row[entry]), bid))
        return np.array([find(bid) for bid in range(len(root))], dtype=np.int64)


class _Pile:
    """Arrays gathered bid by bid, joined at the end."""

    def __init__(self, *names: str) -> None:
        self.parts: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, **arrays: Any) -> None:
        for name, array in arrays.items():
            self.parts[name].append(array)

    def joined(self, name: str, dtype: Any = np.float64) -> Any:
        parts = self.parts[name]
        return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype=dtype)


def book_of(market: Market, raw: Mapping[str, Any]) -> Book:
    """Return all blocks of a snapshot with the columns and duals of a result.

    Raises
    ------
    ValueError
        If `raw` names a bid, family or position that does not exist, or a series has another
        length than the family it belongs to.
    """
    bids = market.snapshot["bids"]
    blocks = {bid["id"]: FORMS[bid["form"]](bid, market) for bid in bids}
    strangers = sorted(set(raw["bids"]) - set(blocks))
    if strangers:
        raise ValueError(f"raw.bids: unknown {', '.join(strangers)}")
    columns, start = _columns(blocks, raw["bids"])
    names = list(blocks)
    pairs = [
        np.arange(len(block.families[one].upper))[:, None] + np.array([[first[one], first[other]]])
        for block, first in zip(blocks.values(), start, strict=True)
        for one, other in block.exclusive
    ]
    return Book(
        market=market,
        blocks=blocks,
        bid_ids=names,
        start=start,
        x=columns.joined("x"),
        lower=columns.joined("lower"),
        upper=columns.joined("upper"),
        cost_jpy=columns.joined("cost"),
        scale=columns.joined("scale"),
        bid=columns.joined("bid", np.int64),
        is_held=columns.joined("held", np.bool_),
        is_binary=columns.joined("binary", np.bool_),
        exclusive=np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64),
        own=_own_rows(blocks, start, raw["bids"]),
        joint=_joint_rows(market, blocks, start, raw["joint"]),
        legs=_legs(market, blocks, start),
        traffic=_uses("traffic", list(market.paths), blocks, start),
        compute=_uses("compute", list(market.compute_offers), blocks, start),
    )


def _columns(
    blocks: Mapping[str, Block], found: Mapping[str, Any]
) -> tuple[_Pile, list[dict[str, int]]]:
    pile = _Pile("x", "lower", "upper", "cost", "scale", "bid", "held", "binary")
    start: list[dict[str, int]] = []
    size = 0
    for number, (name, block) in enumerate(blocks.items()):
        mine = found.get(name, {})
        _known(f"raw.bids.{name}", mine, BID_PARTS)
        values, held = mine.get("x", {}), mine.get("held", {})
        _known(f"raw.bids.{name}.x", values, block.families)
        _known(f"raw.bids.{name}.held", held, block.families)
        first = {}
        for label, family in block.families.items():
            length = len(family.upper)
            first[label] = size
            size += length
            where = f"raw.bids.{name}.x.{label}"
            pile.add(
                x=_values(where, values[label], length) if label in values else np.zeros(length),
                lower=family.lower,
                upper=family.upper,
                cost=family.cost_jpy,
                scale=family.scale,
                bid=np.full(length, number),
                held=_held(f"raw.bids.{name}.held.{label}", held.get(label, ()), length),
                binary=np.full(length, family.is_binary),
            )
        start.append(first)
    return pile, start


def _known(where: str, found: Mapping[str, Any], known: Any) -> None:
    strangers = sorted(set(found) - set(known))
    if strangers:
        raise ValueError(f"{where}: unknown {', '.join(strangers)}")


def _values(where: str, values: Any, length: int) -> Array:
    try:
        return of_length(values, length)
    except ValueError as found:
        raise ValueError(f"{where}: {found}") from found


def _held(where: str, positions: Any, length: int) -> NDArray[np.bool_]:
    """Return which columns are held; positions are whole numbers, ascending, each once."""
    if any(type(position) is not int for position in positions) or list(positions) != sorted(
        set(positions) & set(range(length))
    ):
        raise ValueError(f"{where}: positions below {length}, ascending, not {positions}")
    held = np.zeros(length, dtype=np.bool_)
    held[list(positions)] = True
    return held


def _own_rows(
    blocks: Mapping[str, Block], start: list[dict[str, int]], found: Mapping[str, Any]
) -> Rows:
    pile = _Pile("equal", "rhs", "scale", "bid", "name", "row", "column", "coefficient", "y")
    size = 0
    for number, (name, block) in enumerate(blocks.items()):
        duals = found.get(name, {}).get("y", {})
        _known(f"raw.bids.{name}.y", duals, block.rows)
        for label, rows in block.rows.items():
            length = len(rows.rhs)
            where = f"raw.bids.{name}.y.{label}"
            pile.add(
                equal=np.full(length, rows.is_equal),
                rhs=rows.rhs,
                scale=np.broadcast_to(rows.scale, (length,)),
                bid=np.full(length, number),
                name=np.full(length, label),
                y=_values(where, duals[label], length) if label in duals else np.zeros(length),
            )
            for term in rows.terms:
                _add_term(pile, term, size, start[number][term.family])
            size += length
    return _rows(pile)


def _add_term(pile: _Pile, term: Any, first_row: int, first_column: int) -> None:
    pile.add(
        row=first_row + term.row,
        column=first_column + term.column,
        coefficient=np.broadcast_to(term.coefficient, np.shape(term.column)),
    )


def _rows(pile: _Pile) -> Rows:
    return Rows(
        is_equal=pile.joined("equal", np.bool_),
        rhs=pile.joined("rhs"),
        scale=pile.joined("scale"),
        bid=pile.joined("bid", np.int64),
        name=pile.joined("name", np.str_),
        row=pile.joined("row", np.int64),
        column=pile.joined("column", np.int64),
        coefficient=pile.joined("coefficient"),
        y=pile.joined("y"),
    )


def _joint_rows(
    market: Market,
    blocks: Mapping[str, Block],
    start: list[dict[str, int]],
    found: Mapping[str, Any],
) -> Rows:
    _known("raw.joint", found, (*JOINT, CALLED_ROWS))
    pile = _Pile("equal", "rhs", "scale", "bid", "name", "row", "column", "coefficient", "y")
    numbers = {name: number for number, name in enumerate(blocks)}
    size = 0
    for label, rows_of in JOINT.items():
        rows: JointRows = rows_of(market, blocks)
        duals = found.get(label, {})
        _known(f"raw.joint.{label}", duals, rows.keys)
        length = len(rows.keys)
        pile.add(
            equal=np.full(length, rows.is_equal),
            rhs=rows.rhs,
            scale=np.broadcast_to(rows.scale, (length,)),
            bid=np.full(length, -1),
            name=np.full(length, label),
            y=np.array([duals.get(key, 0.0) for key in rows.keys], dtype=np.float64),
        )
        for term in rows.terms:
            _add_term(pile, term, size, start[numbers[term.bid]][term.family])
        size += length
    return _rows(pile)


def _legs(market: Market, blocks: Mapping[str, Block], start: list[dict[str, int]]) -> Legs:
    resources = {name: number for number, name in enumerate(market.resources)}
    products = {name: number for number, name in enumerate(market.products)}
    awards: dict[tuple[str, str, str, str, str | None], int] = {}
    pile = _Pile("award", "column", "resource", "t", "kw", "up", "product")
    for (name, block), first in zip(blocks.items(), start, strict=True):
        for leg in block.legs:
            key = (name, leg.name, leg.resource, leg.direction, leg.product)
            length = len(leg.column)
            pile.add(
                award=np.full(length, awards.setdefault(key, len(awards))),
                column=first[leg.family] + leg.column,
                resource=np.full(length, resources[leg.resource]),
                t=leg.t,
                kw=np.broadcast_to(leg.kw_per_unit, (length,)),
                up=np.full(length, _is_up(leg)),
                product=np.full(length, -1 if leg.product is None else products[leg.product]),
            )
    return Legs(
        keys=list(awards),
        award=pile.joined("award", np.int64),
        column=pile.joined("column", np.int64),
        resource=pile.joined("resource", np.int64),
        t=pile.joined("t", np.int64),
        kw_per_unit=pile.joined("kw"),
        is_up=pile.joined("up", np.bool_),
        product=pile.joined("product", np.int64),
    )


def _is_up(leg: Leg) -> bool:
    if leg.direction not in ("UP", "DOWN"):
        raise ValueError(f"a leg is UP or DOWN, not {leg.direction}")
    return leg.direction == "UP"


def _uses(
    port: str, names: list[str], blocks: Mapping[str, Block], start: list[dict[str, int]]
) -> Entries:
    numbers = {name: number for number, name in enumerate(names)}
    pile = _Pile("column", "where", "t", "amount")
    for block, first in zip(blocks.values(), start, strict=True):
        uses: tuple[Use, ...] = getattr(block, port)
        for use in uses:
            length = len(use.column)
            pile.add(
                column=first[use.family] + use.column,
                where=np.full(length, numbers[use.where]),
                t=use.t,
                amount=np.broadcast_to(use.amount, (length,)),
            )
    return Entries(
        pile.joined("column", np.int64),
        pile.joined("where", np.int64),
        pile.joined("t", np.int64),
        pile.joined("amount"),
    )


@dataclass(frozen=True)
class Response:
    """What bids forgo at given prices, (B,) each, in JPY."""

    forgone_jpy: Array
    free_jpy: Array
    """The same if nothing were held: an upper bound that needs no integer decision."""


def check_feasible(book: Book, ledger: Ledger) -> None:
    """Check bounds, own rows, joint rows, integers and exclusive sides of all bids."""
    x = book.x
    ledger.excess("award within bid", book.lower - x, book.scale)
    ledger.excess("award within bid", x - book.upper, book.scale)
    for rows, kind in ((book.own, "own rows"), (book.joint, "joint rows")):
        over = rows.left(x) - rows.rhs
        over = np.where(rows.is_equal, np.abs(over), np.maximum(over, 0.0))
        for label in np.unique(rows.name):
            chosen = rows.name == label
            ledger.residual(f"{kind}: {label}", over[chosen], rows.scale[chosen])
        ledger.excess("dual signs", -rows.y[~rows.is_equal])
    ledger.residual("integers", (x - np.rint(x))[book.is_binary])
    one, other = book.exclusive.T
    both = np.minimum(x[one], x[other])
    ledger.excess("one side at a time", both, np.maximum(book.scale[one], 1000.0))
    may_be_held = book.is_binary.copy()
    may_be_held[book.exclusive.ravel()] = True
    may_be_held |= _either_or(book, ledger)
    held = book.is_held & ~book.is_binary
    ledger.residual("held only by decisions", (book.is_held & ~may_be_held).astype(float))
    ledger.residual("held only by decisions", x[held], np.maximum(book.scale[held], 1000.0))


def _either_or(book: Book, ledger: Ledger) -> NDArray[np.bool_]:
    """Check that no resource sells energy and capacity at once; return the columns concerned."""
    legs, concerned = book.legs, np.zeros(book.size, dtype=np.bool_)
    if not book.market.snapshot["rules"]["kwh_xor_dkw"]:
        return concerned
    size = (len(book.market.resources), book.market.count)
    offered, sold = [], []
    for chosen in (legs.is_energy, ~legs.is_energy):
        entries = legs.entries(chosen)
        offered.append(entries.summed(np.ones(book.size), size) > 0)
        sold.append(entries.summed(book.x, size))
    both = offered[0] & offered[1]
    limit_kw = np.maximum(1000.0, np.abs(sold[0]) + np.abs(sold[1]))
    ledger.excess("either energy or capacity", np.minimum(*sold)[both], limit_kw[both])
    concerned[legs.column[both[legs.resource, legs.t]]] = True
    return concerned


def respond(book: Book, gain_jpy: Array) -> Response:
    """Return what each bid forgoes where its columns bring in `gain_jpy` per unit, (n,)."""
    reduced = gain_jpy - book.cost_jpy - book.own.priced(book.size) - book.joint.priced(book.size)
    most = np.maximum(book.lower * reduced, book.upper * reduced)
    earned = reduced * book.x
    slack = book.own.y * (book.own.rhs - book.own.left(book.x))
    own_jpy = summed(book.own.bid, slack, len(book.bid_ids))
    one_sided = most.copy()
    one, other = book.exclusive.T
    one_sided[one], one_sided[other] = np.maximum(most[one], most[other]), 0.0
    return Response(
        forgone_jpy=own_jpy + book.by_bid(np.where(book.is_held, earned, most) - earned),
        free_jpy=own_jpy + book.by_bid(one_sided - earned),
    )
