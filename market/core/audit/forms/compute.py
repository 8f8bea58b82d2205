"""Computing: what an offer runs for requests, and where labels, hardware and paths allow one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import Block, Leg, Market, RowSet, Term, Use, family, window_of


def offer_block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a compute offer may do: run up to its capacity, and draw the power for it."""
    t = np.arange(market.count)
    return Block(
        families={
            "run": family(
                market.count, upper=bid["capacity_kw"], cost_jpy=market.h * bid["ask_jpy_per_kwh"]
            )
        },
        legs=(
            Leg(
                name="COMPUTE",
                direction="DOWN",
                resource=bid["resource"],
                family="run",
                column=t,
                t=t,
                kw_per_unit=bid["pue_ratio"],
            ),
        ),
        compute=(Use(where=bid["id"], family="run", column=t, t=t, amount=-1.0),),
    )


def request_block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a compute request may do; columns in the order offer, path, half hour."""
    t = window_of(bid)
    ways = placements(bid, market)
    count = len(ways) * len(t)
    asked_kw = np.asarray(bid["quantity_kw"], dtype=np.float64)[t]
    families = {
        "placed": family(
            count,
            upper=np.tile(asked_kw, len(ways)),
            cost_jpy=-market.h * bid["value_jpy_per_kwh"],
        )
    }
    if not ways:
        return Block(families=families)
    position = np.arange(count)
    rows = {
        "asked": RowSet(
            is_equal=False,
            rhs=asked_kw,
            terms=(
                Term(
                    family="placed",
                    row=np.tile(np.arange(len(t)), len(ways)),
                    column=position,
                    coefficient=1.0,
                ),
            ),
            scale=asked_kw,
        )
    }
    uses = [
        (number * len(t) + np.arange(len(t)), offer, path)
        for number, (offer, path) in enumerate(ways)
    ]
    return Block(
        families=families,
        rows=rows,
        traffic=tuple(
            Use(
                where=path,
                family="placed",
                column=column,
                t=t,
                amount=market.h * bid["gb_per_kwh"],
            )
            for column, _, path in uses
            if path is not None
        ),
        compute=tuple(
            Use(where=offer, family="placed", column=column, t=t, amount=1.0)
            for column, offer, _ in uses
        ),
    )


def placements(bid: Mapping[str, Any], market: Market) -> list[tuple[str, str | None]]:
    """Return each (offer, path) a request may use, in order; no path at its own place."""
    quick: dict[str, list[str | None]] = {}
    for name, path in sorted(market.paths.items()):
        if path["from_place"] == bid["place"] and _is_quick(bid, path):
            quick.setdefault(path["to_place"], []).append(name)
    quick[bid["place"]] = [None]
    return [
        (name, path)
        for name, offer in market.compute_offers.items()
        if _is_fit(bid, offer, market.resources[offer["resource"]])
        for path in quick.get(market.resources[offer["resource"]]["place"], [])
    ]


def _is_quick(bid: Mapping[str, Any], path: Mapping[str, Any]) -> bool:
    return bool(path["latency_ms"] <= bid.get("latency_max_ms", np.inf))


def _is_fit(bid: Mapping[str, Any], offer: Mapping[str, Any], site: Mapping[str, Any]) -> bool:
    """Return whether hardware and labels of a site are those the request requires."""
    lacks = [label for label in bid["labels_required"] if label not in site["labels"]]
    return not lacks and bid.get("hardware", offer["hardware"]) == offer["hardware"]
