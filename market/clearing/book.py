"""Freeze the closed book: rows in, one canonical snapshot out.

With `market.trading.snapshot_rows` the place where Decimal becomes float (the award writer is
the way back).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from market.core.errors import InvalidSnapshot
from market.core.snapshot import snapshot_bytes, snapshot_from_json
from market.core.timegrid import INTERVAL_H, INTERVALS_PER_DAY
from market.registry.models import Branch, Bus, OpticalPath, OpticalTrunk, Resource, Site
from market.registry.selectors import resources_by_code
from market.trading.contents import resources_named
from market.trading.models import (
    Auction,
    BaseFlow,
    Bid,
    BidForm,
    Need,
    NeedKind,
    NeedStep,
    TransferLimit,
)
from market.trading.prequalified import bids_unqualified
from market.trading.sealing import contents_open
from market.trading.selectors import book_of, envelopes_of, needs_of
from market.trading.snapshot_rows import bid_row, resource_row

SCHEMA = "wattbit-snapshot/2"
BID_NUMBER = re.compile(r"bids\[(\d+)\]")
LEFT_OUT_MAX = 50

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FrozenBook:
    """A book's canonical bytes, and the bids that could not be in it, each with the reason."""

    content: bytes
    left_out: Mapping[UUID, str]


def book_freeze(auction: Auction, *, without: Collection[UUID] = ()) -> FrozenBook:
    """Freeze the book; a bid that the engine refuses is left out by name and stops nobody.

    The doors let in only what the engine reads, but the registry may change between a bid and
    its gate: hardware that is gone, a path that ends elsewhere. So may a prequalification that
    the rules ask for at the gate.

    Raises
    ------
    InvalidSnapshot
        If the layout is broken otherwise, or by more bids than :data:`LEFT_OUT_MAX`.
    """
    sealed = book_of(auction).filter(content=None).values_list("id", flat=True)
    left_out: dict[UUID, str] = dict.fromkeys(sealed, "content: not what was sealed")
    left_out |= bids_unqualified(auction, (b for b in book_of(auction) if b.id not in left_out))
    gate_count = len(left_out)
    while True:
        excluded = {*without, *left_out}
        try:
            content = snapshot_of_book(auction, without=excluded)
        except InvalidSnapshot as refusal:
            found = BID_NUMBER.match(refusal.field)
            if found is None or len(left_out) >= LEFT_OUT_MAX + gate_count:
                raise
            book = list(book_of(auction))
            if excluded:
                book = _kept(book, excluded)
            broken = book[int(found[1])]
            left_out[broken.id] = f"{refusal.field}: {refusal.rule}"
        else:
            return FrozenBook(content=content, left_out=left_out)


def snapshot_of_book(auction: Auction, *, without: Collection[UUID] = ()) -> bytes:
    """Return the canonical bytes of everything that was known at the gate.

    Parameters
    ----------
    auction
        A closed auction.
    without
        Bids the desk leaves out; blocks whose parent is among them go with it.

    Raises
    ------
    InvalidSnapshot
        If the book breaks the layout; the doors should have refused it before.
    """
    bids = list(book_of(auction))
    if without:
        bids = _kept(bids, set(without))
    contents = contents_open([bid.id for bid in bids])
    resources = _resources_of(bids, contents)
    envelopes = list(envelopes_of(auction))
    paths = _paths(bids, contents)
    sites = {resource.site.code: resource.site for resource in resources}
    sites |= {bid.site.code: bid.site for bid in bids if bid.site is not None}
    sites |= {envelope.site.code: envelope.site for envelope in envelopes}
    document = {
        "schema": SCHEMA,
        "auction": auction.code,
        "interval_h": INTERVAL_H,
        "interval_count": INTERVALS_PER_DAY,
        "rules": {"version": auction.ruleset_id, **auction.ruleset.rules["clearing"]},
        "network": network_row(auction),
        "transfers": _transfers(auction),
        "elements": _elements(auction),
        "places": _places(sites.values()),
        "labels": _labels(contents.values()),
        "resources": [resource_row(resource) for resource in resources],
        "paths": [_path(path) for path in paths],
        "trunks": _trunks(paths),
        "envelopes": [
            {
                "id": envelope.site.code,
                "place": envelope.site.code,
                "kind": envelope.kind,
                "owner": owner_of(envelope.site.organisation_id),
                "max_import_kw": _floats(envelope.max_import_kw),
                "scheduled_import_kw": _floats(envelope.scheduled_import_kw),
            }
            for envelope in envelopes
        ],
        "products": auction.ruleset.rules.get("products", []),
        **_needs(auction),
        "bids": _bids(bids, contents),
    }
    return snapshot_bytes(snapshot_from_json(document))


def _kept(bids: Sequence[Bid], without: set[UUID]) -> list[Bid]:
    """Return the bids that stay when some are left out: children go with their parents."""
    kept = [bid for bid in bids if bid.id not in without]
    while True:
        names = {(bid.organisation_id, bid.client_bid_id) for bid in kept}
        whole = [
            bid
            for bid in kept
            if not bid.parent_client_bid_id
            or (bid.organisation_id, bid.parent_client_bid_id) in names
        ]
        if len(whole) == len(kept):
            return kept
        kept = whole


def owner_of(organisation_id: UUID) -> str:
    """Return the name an organisation has in snapshots and results: stable, and no name at all."""
    return str(organisation_id)


def _labels(contents: Iterable[Json]) -> list[str]:
    """Return all labels that bids require: that nobody in this book has one stops no auction."""
    return sorted({label for content in contents for label in content.get("labels_required", [])})


def _floats(values: Iterable[Decimal]) -> list[float]:
    return [float(value) for value in values]


def _limits(auction: Auction) -> Iterable[TransferLimit]:
    return (
        TransferLimit.objects.filter(auction=auction, available_at__lt=auction.gate_closure_at)
        .select_related("link__from_bus", "link__to_bus")
        .order_by("id")
    )


def network_row(auction: Auction) -> Json:
    """Return the auction's network as the snapshot has it, with the links allowed to carry."""
    model = auction.grid_model
    buses = Bus.objects.filter(grid_model=model).values_list(
        "code", "area_id", "island", "slack_share_ratio"
    )
    branches = Branch.objects.filter(grid_model=model).select_related("from_bus", "to_bus")
    return {
        "convention": model.convention,
        "base_mva": float(model.base_mva),
        "buses": [
            {"id": code, "area": area, "island": island, "slack_share_ratio": float(share)}
            for code, area, island, share in buses
        ],
        "branches": [
            {
                "id": branch.code,
                "from": branch.from_bus.code,
                "to": branch.to_bus.code,
                "resistance_pu": float(branch.resistance_pu),
                "reactance_pu": float(branch.reactance_pu),
                "tap_ratio": float(branch.tap_ratio),
                "shift_deg": float(branch.shift_deg),
                "rating_kw": float(branch.rating_kw),
            }
            for branch in branches
        ],
        "links": [
            {
                "id": limit.link.code,
                "from": limit.link.from_bus.code,
                "to": limit.link.to_bus.code,
                "limit_kw": _floats(limit.limit_kw),
            }
            for limit in _limits(auction)
            if limit.link is not None
        ],
    }


def _transfers(auction: Auction) -> list[Json]:
    return [
        {
            "id": f"{limit.from_area_id}-{limit.to_area_id}",
            "from_area": limit.from_area_id,
            "to_area": limit.to_area_id,
            "limit_kw": _floats(limit.limit_kw),
        }
        for limit in _limits(auction)
        if limit.link is None
    ]


def _elements(auction: Auction) -> list[Json]:
    flows = (
        BaseFlow.objects.filter(auction=auction, available_at__lt=auction.gate_closure_at)
        .select_related("congestion_point__branch")
        .order_by("congestion_point__code", "-revision")
        .distinct("congestion_point__code")
    )
    return [_element(flow) for flow in flows]


def _element(flow: BaseFlow) -> Json:
    point = flow.congestion_point
    owners = {point.owner_id, point.co_owner_id} - {None}
    row: Json = {
        "id": point.code,
        "branch": point.branch.code,
        "rating_kw": float(point.rating_kw),
        "base_flow_kw": _floats(flow.base_flow_kw),
        "owners": sorted(owner_of(owner) for owner in owners if owner is not None),
    }
    if not any(row["base_flow_kw"]):
        # The cost of carrying is for whole flows; of a change to one nobody asks it.
        row["flow_cost_jpy_per_kwh"] = float(point.branch.flow_cost_jpy_per_kwh)
    return row


def _resources_of(bids: Sequence[Bid], contents: Mapping[UUID, Json]) -> list[Resource]:
    resources = {bid.resource.code: bid.resource for bid in bids if bid.resource is not None}
    named = {code for content in contents.values() for code, _ in resources_named(content)}
    resources |= resources_by_code(named - resources.keys())
    return [resources[code] for code in sorted(resources)]


def _places(sites: Iterable[Site]) -> list[Json]:
    return [
        {"id": site.code, "bus": site.bus_code, "loss_ratio": float(site.loss_ratio)}
        for site in sites
    ]


def _paths(bids: Sequence[Bid], contents: Mapping[UUID, Json]) -> list[OpticalPath]:
    """Return the paths that shifts name, and those from where computing is asked to where it is."""
    codes = {
        row["path"] for content in contents.values() for row in content.get("destinations", ())
    }
    asked = {bid.site_id for bid in bids if bid.form == BidForm.COMPUTE_REQUEST}
    offered = {
        bid.resource.site_id
        for bid in bids
        if bid.form == BidForm.COMPUTE_OFFER and bid.resource is not None
    }
    paths = OpticalPath.objects.select_related("from_site", "to_site").order_by("code")
    return [
        *paths.filter(code__in=codes),
        *paths.filter(from_site__in=asked, to_site__in=offered).exclude(code__in=codes),
    ]


def _path(path: OpticalPath) -> Json:
    return {
        "id": path.code,
        "from_place": path.from_site.code,
        "to_place": path.to_site.code,
        "capacity_gb": float(path.capacity_gb),
        "price_jpy_per_gb": float(path.price_jpy_per_gb),
        "latency_ms": float(path.latency_ms),
        "owner": owner_of(path.owner_id),
    }


def _trunks(paths: Sequence[OpticalPath]) -> list[Json]:
    """Return the trunks of the paths in the book, bounding those."""
    code_of = {path.id: path.code for path in paths}
    trunks = OpticalTrunk.objects.filter(paths__in=code_of).distinct().order_by("code")
    return [
        {
            "id": trunk.code,
            "paths": sorted(code_of[path.id] for path in trunk.paths.all() if path.id in code_of),
            "capacity_gb": float(trunk.capacity_gb),
            "owner": owner_of(trunk.owner_id),
        }
        for trunk in trunks.prefetch_related("paths")
    ]


def _needs(auction: Auction) -> Json:
    found: Json = {"local_needs": [], "balance_needs": [], "capacity_needs": []}
    needs = needs_of(auction).filter(available_at__lt=auction.gate_closure_at)
    for need in needs.prefetch_related("steps"):
        curve: list[Need | NeedStep] = [*need.steps.all()] or [need]
        row: Json = {
            "id": str(need.id),
            "pricing": need.pricing.lower(),
            "steps": [
                {
                    "need_kw": _floats(step.quantity_kw),
                    # the layout has one name for a cap, whatever it is per
                    "cap_jpy_per_kwh": _floats(
                        step.cap_jpy_per_kw_30min
                        if need.kind == NeedKind.CAPACITY
                        else step.cap_jpy_per_kwh
                    ),
                }
                for step in curve
            ],
        }
        if need.congestion_point is not None:
            element = need.congestion_point.code
            found["local_needs"].append(row | {"element": element, "sign": need.flow_sign})
        elif need.product_id is not None:
            found["capacity_needs"].append(row | {"area": need.area_id, "product": need.product_id})
        else:
            found["balance_needs"].append(row | {"area": need.area_id, "direction": need.direction})
    return found


def _bids(bids: Sequence[Bid], contents: Mapping[UUID, Json]) -> list[Json]:
    """Return the bids; what bidders call their blocks and groups becomes unmistakable."""
    blocks = {
        (bid.organisation_id, bid.client_bid_id): str(bid.id)
        for bid in bids
        if bid.form == BidForm.BLOCK
    }
    rows = []
    for bid in bids:
        owner = owner_of(bid.organisation_id)
        row = bid_row(str(bid.id), bid, contents[bid.id]) | {"owner": owner}
        if row.get("parent") is not None:
            row["parent"] = blocks.get((bid.organisation_id, row["parent"]), row["parent"])
        if row.get("exclusive_group") is not None:
            row["exclusive_group"] = f"{owner}/{row['exclusive_group']}"
        rows.append(row)
    return rows
