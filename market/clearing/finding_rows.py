"""Write what a result says beside awards and prices: outcomes, rents, computing, envelopes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.fields.copying import rows_copy
from accounts.parties.models import Organisation
from market.clearing.models import (
    BidOutcome,
    ClearingRun,
    ComputePlacement,
    ComputeUse,
    EnvelopeUse,
    PivotalFinding,
    RentKind,
    RentShare,
)
from market.registry.models import Area, OpticalPath, OpticalTrunk, Site

Result = Mapping[str, Any]
TENTH = Decimal("0.1")
CENT = Decimal("0.01")


def exact(value: float, tick: Decimal) -> Decimal:
    """Digits as printed; the quantize only pads, since results stand on their ticks."""
    return Decimal(repr(float(value))).quantize(tick)


def findings_write(run: ClearingRun, result: Result, starts_at: Sequence[datetime]) -> None:
    """Store them, inside the publishing transaction."""
    _outcomes_write(run, result)
    _rents_write(run, result)
    _pivotal_write(run, result)
    _compute_write(run, result, starts_at)
    _envelopes_write(run, result["envelopes"], starts_at)


def _outcomes_write(run: ClearingRun, result: Result) -> None:
    """One row per bid, accepted or not, with its explanation and what made it whole."""
    whole_jpy = {item["bid"]: item["amount_jpy"] for item in result["payments"]["make_whole"]}
    forgone_jpy = {item["bid"]: item["surplus_jpy"] for item in result["rejected_in_money"]}
    rows_copy(
        BidOutcome,
        ("run_id", "bid_id", "outcome", "explanation", "make_whole_jpy", "surplus_forgone_jpy"),
        (
            (
                run.id,
                entry["bid"],
                entry["outcome"],
                json.dumps(entry),
                exact(whole_jpy.get(entry["bid"], 0), CENT),
                None if entry["bid"] not in forgone_jpy else exact(forgone_jpy[entry["bid"]], CENT),
            )
            for entry in result["explanations"]
        ),
    )


def _rents_write(run: ClearingRun, result: Result) -> None:
    """Rents of elements, links and transfers by owner; of paths and trunks as they are used."""
    owners = _owners()
    earned: dict[tuple[str, str, UUID | None], Decimal] = {}

    def add(kind: str, code: str, owner: UUID | None, amount_jpy: float) -> None:
        key = (kind, code, owner)
        earned[key] = earned.get(key, Decimal(0)) + exact(amount_jpy, CENT)

    for rent in result["payments"]["rents"]:
        add(RentKind(rent["kind"]).value, rent["id"], owners.get(rent["owner"]), rent["jpy"])
    path_owners = dict(OpticalPath.objects.values_list("code", "owner_id"))
    for path in result["paths"]:
        amount_jpy = _product(path["used_gb"], path["rent_jpy_per_gb"])
        if amount_jpy:
            add(RentKind.PATH.value, path["id"], path_owners.get(path["id"]), amount_jpy)
    trunk_owners = dict(OpticalTrunk.objects.values_list("code", "owner_id"))
    for trunk in result["trunks"]:
        if trunk["rent_jpy"]:
            add(RentKind.TRUNK.value, trunk["id"], trunk_owners.get(trunk["id"]), trunk["rent_jpy"])
    RentShare.objects.bulk_create(
        RentShare(run=run, kind=kind, code=code, organisation_id=owner, amount_jpy=amount_jpy)
        for (kind, code, owner), amount_jpy in sorted(earned.items(), key=str)
    )


def _product(quantities: Sequence[float], prices: Sequence[float]) -> float:
    return sum(quantity * price for quantity, price in zip(quantities, prices, strict=True))


def _owners() -> dict[str, UUID]:
    """Return organisations by what a result calls them: an id, or the area of a grid operator."""
    owners = {str(row): row for row in Organisation.objects.values_list("id", flat=True)}
    areas = Area.objects.filter(tso__isnull=False).values_list("code", "tso_id")
    return owners | dict(areas)


def _pivotal_write(run: ClearingRun, result: Result) -> None:
    owners = _owners()
    PivotalFinding.objects.bulk_create(
        PivotalFinding(
            run=run,
            need_id=finding["need"],
            organisation_id=owners[finding["owner"]],
            half_hours=finding["t"],
        )
        for finding in result["pivotal"]
    )


def _compute_write(run: ClearingRun, result: Result, starts_at: Sequence[datetime]) -> None:
    rows_copy(
        ComputeUse,
        ("run_id", "bid_id", "t", "start_at", "used_kw", "price_jpy_per_kwh"),
        (
            (
                *(run.id, offer["id"], t, starts_at[t], exact(used_kw, TENTH)),
                exact(offer["price_jpy_per_kwh"][t], CENT),
            )
            for offer in result["compute"]
            for t, used_kw in enumerate(offer["used_kw"])
        ),
    )
    paths = dict(OpticalPath.objects.values_list("code", "id"))

    def placements() -> Iterable[tuple[Any, ...]]:
        for request in result["requests"]:
            for placed in request["placed"]:
                path_id = None if placed["path"] is None else paths[placed["path"]]
                for t, kw in enumerate(placed["kw"]):
                    if kw:
                        yield (
                            *(run.id, request["id"], placed["offer"], path_id),
                            *(t, starts_at[t], exact(kw, TENTH)),
                        )

    rows_copy(
        ComputePlacement,
        ("run_id", "bid_id", "offer_id", "path_id", "t", "start_at", "quantity_kw"),
        placements(),
    )


def _envelopes_write(
    run: ClearingRun, envelopes: Sequence[Mapping[str, Any]], starts_at: Sequence[datetime]
) -> None:
    sites = dict(
        Site.objects.filter(code__in=[row["id"] for row in envelopes]).values_list("code", "id")
    )
    rows_copy(
        EnvelopeUse,
        ("run_id", "site_id", "t", "start_at", "over_kw", "price_jpy_per_kwh"),
        (
            (
                *(run.id, sites[envelope["id"]], t, starts_at[t]),
                *(exact(over_kw, TENTH), exact(envelope["price_jpy_per_kwh"][t], CENT)),
            )
            for envelope in envelopes
            for t, over_kw in enumerate(envelope["over_kw"])
            if over_kw or envelope["price_jpy_per_kwh"][t]
        ),
    )
