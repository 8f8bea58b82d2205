"""Freeze the closed book: rows in, one canonical snapshot out.

One of the two places where Decimal becomes float (the award writer is the way back).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from market.core.snapshot import snapshot_bytes, snapshot_from_json
from market.core.timegrid import INTERVAL_H, INTERVALS_PER_DAY
from market.registry.models import Branch, Bus, OpticalPath, Resource
from market.registry.selectors import resources_by_code
from market.trading.models import Auction, BaseFlow, Bid, Need, NeedKind, TransferLimit
from market.trading.sealing import contents_open
from market.trading.selectors import book_of, needs_of

SCHEMA = "wattbit-snapshot/1"
# Entries of a bid's content that stay text; all others are exact numbers written as text.
TEXT_FIELDS = frozenset({"direction", "resource", "path", "hardware", "labels_required"})

Json = dict[str, Any]


def snapshot_of_book(auction: Auction) -> bytes:
    """Return the canonical bytes of everything that was known at the gate.

    Raises
    ------
    InvalidSnapshot
        If the book breaks the layout; the doors should have refused it before.
    """
    bids = list(book_of(auction))
    contents = contents_open([bid.id for bid in bids])
    resources = _resources_of(bids, contents)
    document = {
        "schema": SCHEMA,
        "auction": auction.code,
        "interval_h": INTERVAL_H,
        "interval_count": INTERVALS_PER_DAY,
        "rules": {"version": auction.ruleset_id, **auction.ruleset.rules["clearing"]},
        "network": _network(auction),
        "transfers": _transfers(auction),
        "elements": _elements(auction),
        "places": _places(resources),
        "resources": [_resource(resource) for resource in resources],
        "paths": _paths(contents),
        **_needs(auction),
        "bids": [_bid(bid, contents[bid.id]) for bid in bids],
    }
    return snapshot_bytes(snapshot_from_json(document))


def _floats(values: Iterable[Decimal]) -> list[float]:
    return [float(value) for value in values]


def _limits(auction: Auction) -> Iterable[TransferLimit]:
    return (
        TransferLimit.objects.filter(auction=auction, available_at__lt=auction.gate_closure_at)
        .select_related("link__from_bus", "link__to_bus")
        .order_by("id")
    )


def _network(auction: Auction) -> Json:
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
    return [
        {
            "id": flow.congestion_point.code,
            "branch": flow.congestion_point.branch.code,
            "rating_kw": float(flow.congestion_point.rating_kw),
            "base_flow_kw": _floats(flow.base_flow_kw),
        }
        for flow in flows
    ]


def _resources_of(bids: Sequence[Bid], contents: Mapping[UUID, Json]) -> list[Resource]:
    resources = {bid.resource.code: bid.resource for bid in bids}
    destinations = {
        row["resource"] for content in contents.values() for row in content.get("destinations", ())
    }
    resources |= resources_by_code(destinations - resources.keys())
    return [resources[code] for code in sorted(resources)]


def _places(resources: Iterable[Resource]) -> list[Json]:
    sites = {resource.site.code: resource.site for resource in resources}
    return [
        {"id": site.code, "bus": site.bus_code, "loss_ratio": float(site.loss_ratio)}
        for site in sites.values()
    ]


def _resource(resource: Resource) -> Json:
    return {
        "id": resource.code,
        "place": resource.site.code,
        "limit_up_kw": float(resource.limit_up_kw),
        "limit_down_kw": float(resource.limit_down_kw),
        "labels": sorted(resource.site.labels),
        "hardware": sorted(resource.hardware),
    }


def _paths(contents: Mapping[UUID, Json]) -> list[Json]:
    codes = {
        row["path"] for content in contents.values() for row in content.get("destinations", ())
    }
    paths = OpticalPath.objects.filter(code__in=codes).select_related("from_site", "to_site")
    return [
        {
            "id": path.code,
            "from_place": path.from_site.code,
            "to_place": path.to_site.code,
            "capacity_gb": float(path.capacity_gb),
            "price_jpy_per_gb": float(path.price_jpy_per_gb),
            "latency_ms": float(path.latency_ms),
        }
        for path in paths
    ]


def _needs(auction: Auction) -> Json:
    local: list[Json] = []
    balance: list[Json] = []
    for need in needs_of(auction).filter(available_at__lt=auction.gate_closure_at):
        row: Json = {
            "id": str(need.id),
            "need_kw": _floats(need.quantity_kw),
            "cap_jpy_per_kwh": _floats(need.cap_jpy_per_kwh),
        }
        if need.kind == NeedKind.LOCAL:
            local.append(row | {"element": _element_code(need), "sign": need.flow_sign})
        else:
            balance.append(row | {"area": need.area_id, "direction": need.direction})
    return {"local_needs": local, "balance_needs": balance}


def _element_code(need: Need) -> str:
    return need.congestion_point.code if need.congestion_point is not None else ""


def _bid(bid: Bid, content: Json) -> Json:
    row: Json = {
        "id": str(bid.id),
        "form": bid.form,
        "resource": bid.resource.code,
        **_numbers(content),
    }
    if bid.form == "STEPS":
        row["mechanism"] = bid.mechanism
    return row


def _numbers(value: Any, name: str = "") -> Any:
    """Exact text to float, throughout a bid's content."""
    if isinstance(value, Mapping):
        return {key: _numbers(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, name) for item in value]
    if isinstance(value, str) and name not in TEXT_FIELDS:
        return float(value)
    return value
