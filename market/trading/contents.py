"""Check what a bid offers and put it into its one canonical form.

The canonical form is the layout of the snapshot's ``bids`` (docs/snapshot.md) without
``id``, ``owner`` and what the envelope names (resource, portfolio or place), numbers as plain
decimal strings. Equal offers have equal bytes, so that a receipt, a replay and a retry can
compare hashes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from accounts.core.errors import Refused
from market.core.timegrid import INTERVAL_H
from market.trading import content_forms
from market.trading.content_reading import (
    CURVES_MAX,
    GB_HIGH,
    KWH_HIGH,
    ONE,
    ZERO,
    Content,
    InvalidBid,
    apart,
    code,
    curves,
    direction,
    eligibility,
    items,
    kw,
    number,
    only,
    price,
    window,
)

__all__ = (
    "Content",
    "InvalidBid",
    "capacity_peak_kw",
    "content_bytes",
    "content_canonical",
    "quantity_peak_kw",
    "resources_named",
)

DESTINATIONS_MAX = 50
# The same work takes between half and twice the power elsewhere; beyond that is a typing error.
RATIO_LOW, RATIO_HIGH = Decimal("0.5"), Decimal(2)
TENTH = Decimal("0.1")

STEPS_FIELDS = {"direction", "curves"}
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def content_canonical(form: str, content: Mapping[str, Any], *, field: str) -> Content:
    """Return `content` checked and in canonical form.

    Raises
    ------
    InvalidBid
        Naming the path below `field`, the value and the rule.
    """
    reader = _FORMS.get(form)
    if reader is None:
        raise InvalidBid(field=f"{field}.form", value=form, rule=f"one of {', '.join(_FORMS)}")
    try:
        return reader(content, field)
    except InvalidBid:
        raise
    except Refused as refused:
        raise InvalidBid(field=refused.field, value=refused.value, rule=refused.rule) from refused


def content_bytes(content: Mapping[str, Any]) -> bytes:
    """Canonical bytes: sorted keys, no white space, ASCII."""
    if content.keys() == STEPS_FIELDS:
        return _steps_bytes(content)
    return _ENCODER.encode(content).encode()


def _steps_bytes(content: Mapping[str, Any]) -> bytes:
    """Write the commonest form out by hand: the same bytes in a tenth of the time.

    Its texts are plain decimals and one of two words, so nothing needs escaping.
    """
    curves = ",".join(
        [
            f'{{"first_t":{curve["first_t"]},"last_t":{curve["last_t"]},"steps":['
            + ",".join(
                [
                    f'{{"ask_jpy_per_kwh":"{step["ask_jpy_per_kwh"]}",'
                    f'"quantity_kw":"{step["quantity_kw"]}"}}'
                    for step in curve["steps"]
                ]
            )
            + "]}"
            for curve in content["curves"]
        ]
    )
    return f'{{"curves":[{curves}],"direction":"{content["direction"]}"}}'.encode()


def _steps(content: Mapping[str, Any], field: str) -> Content:
    row = only(content, field, STEPS_FIELDS)
    return {
        "direction": direction(row["direction"], f"{field}.direction"),
        "curves": curves(row["curves"], f"{field}.curves"),
    }


def _storage(content: Mapping[str, Any], field: str) -> Content:
    energies = ("energy_limit_kwh", "reserve_kwh", "start_kwh", "end_min_kwh")
    efficiencies = ("charge_efficiency_ratio", "discharge_efficiency_ratio")
    powers = ("charge_limit_kw", "discharge_limit_kw")
    required = {"first_t", "last_t", "wear_jpy_per_kwh", "standing_loss_ratio", "cycles_max"}
    row = only(content, field, required | {*energies, *efficiencies, *powers})
    first_t, last_t = window(row, field)
    read: Content = {"first_t": first_t, "last_t": last_t}
    for name in powers:
        read[name] = kw(row[name], f"{field}.{name}")
    bounds = {
        **dict.fromkeys(energies, (ZERO, KWH_HIGH, 1)),
        **{name: (Decimal("0.01"), ONE, 4) for name in efficiencies},
        "standing_loss_ratio": (ZERO, Decimal("0.999"), 6),
        "cycles_max": (ZERO, Decimal(48), 2),
    }
    for name, (low, high, places) in bounds.items():
        read[name] = number(row[name], f"{field}.{name}", low=low, high=high, places=places)
    read["wear_jpy_per_kwh"] = price(row["wear_jpy_per_kwh"], f"{field}.wear_jpy_per_kwh", low=ZERO)
    limit, reserve = Decimal(read["energy_limit_kwh"]), Decimal(read["reserve_kwh"])
    for name in ("start_kwh", "end_min_kwh"):
        if not reserve <= Decimal(read[name]) <= limit:
            raise InvalidBid(
                field=f"{field}.{name}",
                value=read[name],
                rule=f"between the reserve {reserve} and the limit {limit}",
            )
    if read["charge_limit_kw"] == read["discharge_limit_kw"] == "0":
        raise InvalidBid(
            field=f"{field}.charge_limit_kw", value="0", rule="above 0, or the discharge limit is"
        )
    _refuse_unkept(read, field)
    return read


def _refuse_unkept(read: Content, field: str) -> None:
    """Refuse a store that breaks its own promise when nobody uses it.

    Doing nothing must be a solution of every book; a bid that forbids it would make the
    auction infeasible for everyone.
    """
    hours = (read["last_t"] - read["first_t"] + 1) * INTERVAL_H
    kept = (ONE - Decimal(read["standing_loss_ratio"])) ** Decimal(str(hours))
    left_kwh = (Decimal(read["start_kwh"]) * kept).quantize(TENTH, ROUND_FLOOR)
    for name in ("reserve_kwh", "end_min_kwh"):
        if left_kwh < Decimal(read[name]):
            raise InvalidBid(
                field=f"{field}.{name}",
                value=read[name],
                rule=f"at most {left_kwh} kWh, what standing losses leave of the start",
            )


def _shift(content: Mapping[str, Any], field: str) -> Content:
    row = only(
        content,
        field,
        {"destinations", "offers", "change_cost_jpy_per_kw", "gb_per_kw", "gb_per_kwh"},
        {"labels_required", "hardware", "latency_max_ms"},
    )
    read: Content = {
        "destinations": _destinations(row["destinations"], field),
        "offers": _shift_offers(row["offers"], field),
        "change_cost_jpy_per_kw": price(
            row["change_cost_jpy_per_kw"], f"{field}.change_cost_jpy_per_kw", low=ZERO
        ),
        **eligibility(row, field),
    }
    for name in ("gb_per_kw", "gb_per_kwh"):
        read[name] = number(row[name], f"{field}.{name}", high=GB_HIGH, places=6)
    return read


def _destinations(value: object, field: str) -> list[dict[str, str]]:
    read = []
    for i, raw in enumerate(items(value, f"{field}.destinations", DESTINATIONS_MAX)):
        at = f"{field}.destinations[{i}]"
        row = only(raw, at, {"resource", "path", "ratio"})
        read.append(
            {
                "resource": code(row["resource"], f"{at}.resource"),
                "path": code(row["path"], f"{at}.path"),
                "ratio": number(
                    row["ratio"], f"{at}.ratio", low=RATIO_LOW, high=RATIO_HIGH, places=4
                ),
            }
        )
    if len({row["resource"] for row in read}) != len(read):
        raise InvalidBid(field=f"{field}.destinations", value=len(read), rule="each resource once")
    return sorted(read, key=lambda row: row["resource"])


def _shift_offers(value: object, field: str) -> list[Content]:
    read: list[Content] = []
    for i, raw in enumerate(items(value, f"{field}.offers", CURVES_MAX)):
        at = f"{field}.offers[{i}]"
        row = only(raw, at, {"first_t", "last_t", "quantity_kw", "ask_jpy_per_kwh"})
        first_t, last_t = window(row, at)
        read.append(
            {
                "first_t": first_t,
                "last_t": last_t,
                "quantity_kw": kw(row["quantity_kw"], f"{at}.quantity_kw"),
                "ask_jpy_per_kwh": price(row["ask_jpy_per_kwh"], f"{at}.ask_jpy_per_kwh"),
            }
        )
    return apart(read, f"{field}.offers", "offers")


_FORMS: dict[str, Callable[[Mapping[str, Any], str], Content]] = {
    "STEPS": _steps,
    "STORAGE": _storage,
    "SHIFT": _shift,
    "BLOCK": content_forms.block,
    "DEFERRAL": content_forms.deferral,
    "RENEWABLE": content_forms.renewable,
    "PORTFOLIO": content_forms.portfolio,
    "CAPACITY": content_forms.capacity,
    "COMPUTE_OFFER": content_forms.compute_offer,
    "COMPUTE_REQUEST": content_forms.compute_request,
}


def _curves_peak_kw(content: Content) -> Decimal:
    return max(
        sum((Decimal(step["quantity_kw"]) for step in curve["steps"]), ZERO)
        for curve in content["curves"]
    )


def _most(values: object) -> Decimal:
    return max(map(Decimal, values))  # type: ignore[call-overload,no-any-return]


def _release_peak_kw(content: Content) -> Decimal:
    pairs = zip(content["available_kw"], content["scheduled_kw"], strict=True)
    return max(max(ZERO, Decimal(could) - Decimal(does)) for could, does in pairs)


def capacity_peak_kw(content: Content) -> Decimal:
    """Largest ΔkW an offer of capacity reserves in a half hour."""
    return max(
        sum(
            (
                Decimal(offer["quantity_kw"])
                for offer in content["offers"]
                if offer["first_t"] <= first["first_t"] <= offer["last_t"]
            ),
            ZERO,
        )
        for first in content["offers"]
    )


_PEAKS: dict[str, Callable[[Content], dict[str, Decimal]]] = {
    "STEPS": lambda content: {content["direction"]: _curves_peak_kw(content)},
    "STORAGE": lambda content: {
        "UP": Decimal(content["discharge_limit_kw"]),
        "DOWN": Decimal(content["charge_limit_kw"]),
    },
    "SHIFT": lambda content: {"UP": _most(row["quantity_kw"] for row in content["offers"])},
    "BLOCK": lambda content: {content["direction"]: _most(content["quantity_kw"])},
    "RENEWABLE": lambda content: {
        "DOWN": _most(content["scheduled_kw"]),
        "UP": _release_peak_kw(content),
    },
    "COMPUTE_OFFER": lambda content: {
        "DOWN": _most(content["capacity_kw"]) * Decimal(content["pue_ratio"])
    },
}


def quantity_peak_kw(form: str, content: Content) -> dict[str, Decimal]:
    """Largest power the canonical content asks of its own resource, per direction.

    Nothing for forms without one resource of their own, for ΔkW, whose direction is its
    product's, and for waiting work, of which a resource may defer less than arrives.
    """
    peaks = _PEAKS.get(form)
    return {} if peaks is None else peaks(content)


def resources_named(content: Content) -> list[tuple[str, str]]:
    """Return the codes of further resources that a content names, each with its field."""
    return [
        (row["resource"], f"{name}[{i}].resource")
        for name in ("destinations", "members")
        for i, row in enumerate(content.get(name, ()))
    ]
