r"""Pivotal suppliers: where a need can not be met without one owner, its asks have a ceiling.

Per need and half hour, every bid counts with the most it could contribute: the bounds of what it
sells of each resource, all bids together no more than the resource's limit, times what one kW of
it does for the need. With :math:`S` the sum over all bids and :math:`S_{-o}` over all but owner
o's, o is pivotal where :math:`S_{-o} < \text{need}` and it contributes at all. Into an
area's balance, links and transfers bring at most what other owners could send and the lines carry.

A pivotal owner's bids that could contribute are cleared at no more than the ruleset's reference
cap in those half hours; a form with one ask for its whole window in the whole window. The test
reads bids, never a result: what an owner offers less can make it pivotal, never what it asks. A
bid without a named owner is its own. Needs at a posted price pay no ask and are not tested.
See ``docs/algorithms/clearing.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from market.core.ceilings import lowered_bid
from market.core.needs import Needs
from market.core.network import Sensitivity, sensitivity
from market.core.offers.forms import FORMS
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.snapshot import Snapshot, books_of
from market.core.units import UP

PIVOTAL_TOLERANCE: Final = 1e-6
"""By how much of the need, at least in kW, supply must fall short."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A snapshot after the test.

    Parameters
    ----------
    snapshot
        To be cleared: asks lowered where their owner is pivotal. Its canonical bytes remain those
        of the auction's document.
    findings
        Entries ``{kind, need, owner, bids, t}``, as published.
    """

    snapshot: Snapshot
    findings: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class _Supply:
    """The most each owner could sell of each resource; axis k = (owner, resource, direction, t)."""

    owner: IntArray
    resource: IntArray
    is_up: IntArray
    t: IntArray
    kw: FloatArray
    """What supply loses without this owner at this resource, limits respected, (k,)."""
    total_kw: FloatArray
    """What all could sell, limits respected, (R, 2, T)."""


@dataclass(frozen=True, kw_only=True)
class _Entries:
    """What each bid could sell; axis k = (bid, resource, direction, half hour)."""

    bid: IntArray
    resource: IntArray
    is_up: IntArray
    t: IntArray
    kw: FloatArray
    product: IntArray
    """−1 for energy, (k,)."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    """One thing asked for: who contributes how much per kW, and how much is asked."""

    kind: str
    names: tuple[str, ...]
    product: int
    weight: FloatArray
    """kW for the need per kW sold of each resource and direction (DOWN, UP), (R, 2)."""
    asked_kw: FloatArray
    """(T,)."""
    area: int
    """Area whose other side may send power over lines, −1 where nothing can."""


def pivotal_test(snapshot: Snapshot) -> Tested:
    """Return the snapshot with the asks of pivotal owners lowered, and who they are.

    Parameters
    ----------
    snapshot
        The auction; without ``rules.reference_cap_jpy_per_kwh`` nothing is tested.
    """
    cap = snapshot.rules.reference_cap_jpy_per_kwh
    if cap is None:
        return Tested(snapshot=snapshot, findings=())
    document = snapshot.document()
    bids: list[dict[str, Any]] = document["bids"]
    owner_of, owners = _owners(bids)
    entries = _entries(snapshot, {bid["id"]: row for row, bid in enumerate(bids)})
    supplies = {
        int(product): _supply(snapshot, entries, entries.product == product, owner_of)
        for product in np.unique(np.append(entries.product, -1))
    }
    findings: list[dict[str, Any]] = []
    held: dict[int, set[int]] = {}
    for question in _questions(snapshot, sensitivity(snapshot)):
        mine = np.flatnonzero(
            (entries.product == question.product)
            & (question.weight[entries.resource, entries.is_up] > 0)
        )
        supply = supplies.get(question.product)
        if supply is None:
            continue
        for owner, t in _pivotal(snapshot, question, supply, len(owners)).items():
            chosen = mine[(owner_of[entries.bid[mine]] == owner) & np.isin(entries.t[mine], t)]
            for bid, half_hour in zip(entries.bid[chosen], entries.t[chosen], strict=True):
                held.setdefault(int(bid), set()).add(int(half_hour))
            found = {
                "owner": owners[owner],
                "bids": [bids[bid]["id"] for bid in np.unique(entries.bid[chosen])],
                "t": [int(half_hour) for half_hour in t],
            }
            findings += [{"kind": question.kind, "need": name} | found for name in question.names]
    if not findings:
        return Tested(snapshot=snapshot, findings=())
    document["bids"] = [
        lowered_bid(bid, held[row], cap, snapshot.interval_h) if row in held else bid
        for row, bid in enumerate(bids)
    ]
    findings.sort(key=lambda found: (found["kind"], found["need"], found["owner"], found["bids"]))
    return Tested(snapshot=replace(snapshot, books=books_of(document)), findings=tuple(findings))


def _owners(bids: list[dict[str, Any]]) -> tuple[IntArray, list[str]]:
    """Return the owner of each bid, (B,), and the owners' names; unnamed ones have none."""
    numbers: dict[tuple[str, str], int] = {}
    owner_of = np.zeros(len(bids), dtype=np.int64)
    for row, bid in enumerate(bids):
        name = bid.get("owner", "")
        owner_of[row] = numbers.setdefault((name, "" if name else bid["id"]), len(numbers))
    return owner_of, [name for name, _ in numbers]


def _entries(snapshot: Snapshot, numbers: Mapping[str, int]) -> _Entries:
    """Return the most each bid could sell, from the bounds of its columns."""
    parts: list[tuple[Any, ...]] = []
    for name, form in FORMS.items():
        table = snapshot.books[name]
        block = form.columns(table, snapshot.interval_h, snapshot.interval_count)
        bid_of = np.array([numbers[bid] for bid in block.ids], dtype=np.int64)
        for leg in block.legs:
            bid = block.bid[leg.column]
            parts.append(
                (
                    bid_of[bid],
                    leg.resource,
                    np.full(len(bid), leg.direction == UP),
                    leg.t,
                    leg.kw_per_unit * block.upper_kw[leg.column],
                    np.full(len(bid), -1) if leg.is_energy else table.product[bid],
                )
            )
    bid, resource, is_up, t, kw, product = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    sold = np.flatnonzero(kw > 0)
    return _Entries(
        bid=bid[sold].astype(np.int64),
        resource=resource[sold].astype(np.int64),
        is_up=is_up[sold].astype(np.int64),
        t=t[sold].astype(np.int64),
        kw=kw[sold],
        product=product[sold].astype(np.int64),
    )


def _supply(
    snapshot: Snapshot, entries: _Entries, chosen: BoolArray, owner_of: IntArray
) -> _Supply:
    """Return what owners could sell through chosen entries, no resource beyond its limit."""
    count = snapshot.interval_count
    shape = (len(snapshot.resource_ids), 2, count)
    resource, is_up, t = (part[chosen] for part in (entries.resource, entries.is_up, entries.t))
    owner = owner_of[entries.bid[chosen]]
    limit_kw = np.stack([snapshot.limit_down_kw, snapshot.limit_up_kw], axis=1)
    offered_kw = np.zeros(shape)
    np.add.at(offered_kw, (resource, is_up, t), entries.kw[chosen])
    keys, row = np.unique(
        ((owner * shape[0] + resource) * 2 + is_up) * count + t, return_inverse=True
    )
    own_kw = np.bincount(row, weights=entries.kw[chosen], minlength=len(keys))
    rest, at_t = np.divmod(keys, count)
    rest, at_up = np.divmod(rest, 2)
    at_owner, at_resource = np.divmod(rest, shape[0])
    where = (at_resource, at_up, at_t)
    total_kw = np.minimum(limit_kw, offered_kw)
    others_kw = np.minimum(limit_kw[where], offered_kw[where] - own_kw)
    return _Supply(
        owner=at_owner,
        resource=at_resource,
        is_up=at_up,
        t=at_t,
        kw=total_kw[where] - others_kw,
        total_kw=total_kw,
    )


def _pivotal(
    snapshot: Snapshot, question: _Question, supply: _Supply, size: int
) -> dict[int, IntArray]:
    """Return the half hours in which each pivotal owner, one of `size`, is one."""
    count = snapshot.interval_count

    def by_owner(weight: FloatArray) -> FloatArray:
        lost_kw = weight[supply.resource, supply.is_up] * supply.kw
        key = supply.owner * count + supply.t
        sums = np.bincount(key, weights=lost_kw, minlength=size * count)
        return np.asarray(sums, dtype=np.float64).reshape(size, count)

    lost_kw = by_owner(question.weight)
    left_kw = np.einsum("rd,rdt->t", question.weight, supply.total_kw) - lost_kw
    if question.area >= 0:
        left_kw = left_kw + _sent_over_lines(snapshot, question, supply, by_owner)
    short_kw = question.asked_kw - left_kw
    least_kw = PIVOTAL_TOLERANCE * np.maximum(1.0, question.asked_kw)
    is_pivotal = (question.asked_kw > 0) & (short_kw > least_kw) & (lost_kw > least_kw)
    return {int(row): np.flatnonzero(is_pivotal[row]) for row in np.flatnonzero(is_pivotal.any(1))}


def _sent_over_lines(
    snapshot: Snapshot, question: _Question, supply: _Supply, by_owner: Any
) -> FloatArray:
    """Return what all but each owner could send into an area from others, (owners, T)."""
    network, area = snapshot.network, question.area
    ends = (
        (network.bus_area[network.link_from], network.bus_area[network.link_to]),
        (snapshot.transfer_from, snapshot.transfer_to),
    )
    limit_kw = np.zeros(snapshot.interval_count)
    for (start, end), most_kw in zip(
        ends, (network.link_limit_kw, snapshot.transfer_limit_kw), strict=True
    ):
        limit_kw += most_kw[(start == area) != (end == area)].sum(axis=0)
    outside = snapshot.place_area[snapshot.resource_place] != area
    is_asked = question.weight.any(axis=0)
    weight = outside[:, None] * is_asked * _sent_ratio(snapshot)[:, None]
    elsewhere_kw = np.einsum("rd,rdt->t", weight, supply.total_kw) - by_owner(weight)
    return np.asarray(np.minimum(limit_kw, elsewhere_kw))


def _sent_ratio(snapshot: Snapshot) -> FloatArray:
    """Return the kW at the sending end per kW at the receiving end of each resource, (R,)."""
    return snapshot.sent_per_received_ratio[snapshot.resource_place]


def _questions(snapshot: Snapshot, found: Sensitivity) -> Iterator[_Question]:
    """Yield what is asked for: needs that ask for the same thing are one question."""
    sent = _sent_ratio(snapshot)
    area_of = snapshot.place_area[snapshot.resource_place]
    directions = np.array([-1.0, 1.0])
    for where, sign, names, asked_kw in _asked(snapshot.local_needs):
        pull = -sign * found.place[where, snapshot.resource_place] * sent
        weight = np.maximum(pull[:, None] * directions, 0.0)
        yield _Question(
            kind="LOCAL", names=names, product=-1, weight=weight, asked_kw=asked_kw, area=-1
        )
    for where, sign, names, asked_kw in _asked(snapshot.balance_needs):
        inside = sent * (area_of == where)
        yield _Question(
            kind="BALANCE",
            names=names,
            product=-1,
            weight=inside[:, None] * (directions == sign),
            asked_kw=asked_kw,
            area=where,
        )
    for where, _, names, asked_kw in _asked(snapshot.capacity_needs):
        product, area = divmod(where, len(snapshot.network.area_ids))
        inside = sent * (area_of == area)
        yield _Question(
            kind="CAPACITY",
            names=names,
            product=product,
            weight=np.repeat(inside[:, None], 2, axis=1),
            asked_kw=asked_kw,
            area=-1,
        )


def _asked(needs: Needs) -> Iterator[tuple[int, float, tuple[str, ...], FloatArray]]:
    """Yield place, sign, ids of the auctioned needs and the kW asked for, by place and sign."""
    groups: dict[tuple[int, float], list[int]] = {}
    for row in range(len(needs.ids)):
        groups.setdefault((int(needs.where[row]), float(needs.sign[row])), []).append(row)
    for (where, sign), rows in sorted(groups.items()):
        names = tuple(needs.ids[row] for row in rows if not needs.is_posted[row])
        if names:
            yield where, sign, names, needs.asked_kw[rows].sum(axis=0)
