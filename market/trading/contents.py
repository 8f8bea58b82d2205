"""Check what a bid offers and put it into its one canonical form.

The canonical form is the layout of the snapshot's ``bids`` (docs/snapshot.md) without
``id`` and ``resource``, numbers as plain decimal strings. Equal offers have equal bytes,
so that a receipt, a replay and a retry can compare hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of, index_of, name_of
from accounts.fields import HALF_HOURS_COUNT
from market.core.timegrid import INTERVAL_H

STEPS_MAX = 20
CURVES_MAX = HALF_HOURS_COUNT
DESTINATIONS_MAX = 50
LABELS_MAX = 20
CODE_LENGTH_MAX = 40
# The same work takes between half and twice the power elsewhere; beyond that is a typing error.
RATIO_LOW, RATIO_HIGH = Decimal("0.5"), Decimal(2)
KW_HIGH = Decimal(100_000_000)
KWH_HIGH = Decimal(1_000_000_000)
PRICE_HIGH = Decimal(9_999)
STEP_FIELDS = {"quantity_kw", "ask_jpy_per_kwh"}
ONE = Decimal(1)
TENTH = Decimal("0.1")
ZERO = Decimal(0)


class InvalidBid(Refused):
    """The offer breaks a rule of its form."""


Content = dict[str, Any]
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
    """Canonical bytes: sorted keys, no white space."""
    return _ENCODER.encode(content).encode()


def content_sha256(canonical: bytes) -> str:
    """Hash of an offer's canonical bytes, as printed on receipts."""
    return hashlib.sha256(canonical).hexdigest()


def _only(content: object, field: str, required: set[str], optional: set[str]) -> Mapping[str, Any]:
    if type(content) is dict and content.keys() == required:
        return content
    if not isinstance(content, Mapping):
        raise InvalidBid(field=field, value=content, rule="an object")
    for name in sorted(required - content.keys()):
        raise InvalidBid(field=f"{field}.{name}", value=None, rule="required")
    for name in sorted(content.keys() - required - optional, key=repr):
        raise InvalidBid(
            field=f"{field}.{name}"[:80], value=content[name], rule="not a field of this form"
        )
    return content


def _items(value: object, field: str, count_max: int) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= count_max:
        raise InvalidBid(field=field, value=value, rule=f"a list of 1 to {count_max}")
    return value


def _text(number: Decimal) -> str:
    """Shortest plain form: 12.50 and 12.5 are the same offer."""
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


@lru_cache(maxsize=65_536)
def _known_kw(value: str) -> str | None:
    """Canonical text of a quantity in plain text, or None if a rule speaks against it.

    A basket repeats few numbers many times, so reading each text once is what makes a
    thousand bids cheap; refusals go the long way, which names the field.
    """
    try:
        return _text(decimal_of(value, field="", low=ZERO, high=KW_HIGH, places=1))
    except Refused:
        return None


@lru_cache(maxsize=65_536)
def _known_price(value: str) -> tuple[str, Decimal] | None:
    """Canonical text and value of a price in plain text; see :func:`_known_kw`."""
    try:
        number = decimal_of(value, field="", low=-PRICE_HIGH, high=PRICE_HIGH, places=2)
    except Refused:
        return None
    return _text(number), number


def _kw(value: object, field: str) -> str:
    return _text(decimal_of(value, field=field, low=ZERO, high=KW_HIGH, places=1))


def _price(value: object, field: str, *, low: Decimal = -PRICE_HIGH) -> str:
    return _text(decimal_of(value, field=field, low=low, high=PRICE_HIGH, places=2))


def _range(row: Mapping[str, Any], field: str) -> tuple[int, int]:
    first_t = index_of(row["first_t"], field=f"{field}.first_t", count=HALF_HOURS_COUNT)
    last_t = index_of(row["last_t"], field=f"{field}.last_t", count=HALF_HOURS_COUNT)
    if last_t < first_t:
        raise InvalidBid(field=f"{field}.last_t", value=last_t, rule="not before first_t")
    return first_t, last_t


def _steps(content: Mapping[str, Any], field: str) -> Content:
    row = _only(content, field, {"direction", "curves"}, set())
    if row["direction"] not in ("UP", "DOWN"):
        raise InvalidBid(field=f"{field}.direction", value=row["direction"], rule="UP or DOWN")
    curves: list[Content] = []
    for i, raw in enumerate(_items(row["curves"], f"{field}.curves", CURVES_MAX)):
        place = f"{field}.curves[{i}]"
        curve = _only(raw, place, {"first_t", "last_t", "steps"}, set())
        first_t, last_t = _range(curve, place)
        curves.append(
            {"first_t": first_t, "last_t": last_t, "steps": _curve_steps(curve["steps"], place)}
        )
    curves.sort(key=lambda curve: curve["first_t"])
    for before, after in pairwise(curves):
        if after["first_t"] <= before["last_t"]:
            raise InvalidBid(
                field=f"{field}.curves",
                value=after["first_t"],
                rule="curves of one bid do not overlap in time",
            )
    return {"direction": row["direction"], "curves": curves}


def _curve_steps(steps: object, place: str) -> list[dict[str, str]]:
    read = []
    ask_before = -PRICE_HIGH
    for j, raw in enumerate(_items(steps, f"{place}.steps", STEPS_MAX)):
        step = _only(raw, f"{place}.steps[{j}]", STEP_FIELDS, set())
        quantity, ask = step["quantity_kw"], step["ask_jpy_per_kwh"]
        quantity_text = _known_kw(quantity) if type(quantity) is str else None
        if quantity_text is None:
            quantity_text = _kw(quantity, f"{place}.steps[{j}].quantity_kw")
        known = _known_price(ask) if type(ask) is str else None
        if known is None:
            text = _price(ask, f"{place}.steps[{j}].ask_jpy_per_kwh")
            known = (text, Decimal(text))
        ask_text, ask_now = known
        if ask_now < ask_before:
            raise InvalidBid(
                field=f"{place}.steps[{j}].ask_jpy_per_kwh", value=ask_text, rule="asks do not fall"
            )
        ask_before = ask_now
        read.append({"quantity_kw": quantity_text, "ask_jpy_per_kwh": ask_text})
    return read


def _storage(content: Mapping[str, Any], field: str) -> Content:
    energies = ("energy_limit_kwh", "reserve_kwh", "start_kwh", "end_min_kwh")
    efficiencies = ("charge_efficiency_ratio", "discharge_efficiency_ratio")
    powers = ("charge_limit_kw", "discharge_limit_kw")
    required = {"first_t", "last_t", "wear_jpy_per_kwh", "standing_loss_ratio", "cycles_max"}
    row = _only(content, field, required | {*energies, *efficiencies, *powers}, set())
    first_t, last_t = _range(row, field)
    read: Content = {"first_t": first_t, "last_t": last_t}
    for name in powers:
        read[name] = _kw(row[name], f"{field}.{name}")
    for name in energies:
        read[name] = _text(
            decimal_of(row[name], field=f"{field}.{name}", low=ZERO, high=KWH_HIGH, places=1)
        )
    for name in efficiencies:
        read[name] = _text(
            decimal_of(row[name], field=f"{field}.{name}", low=Decimal("0.01"), high=ONE, places=4)
        )
    read["standing_loss_ratio"] = _text(
        decimal_of(
            row["standing_loss_ratio"],
            field=f"{field}.standing_loss_ratio",
            low=ZERO,
            high=Decimal("0.999"),
            places=6,
        )
    )
    read["cycles_max"] = _text(
        decimal_of(
            row["cycles_max"], field=f"{field}.cycles_max", low=ZERO, high=Decimal(48), places=2
        )
    )
    read["wear_jpy_per_kwh"] = _price(
        row["wear_jpy_per_kwh"], f"{field}.wear_jpy_per_kwh", low=ZERO
    )
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
    row = _only(
        content,
        field,
        {"destinations", "offers", "change_cost_jpy_per_kw", "gb_per_kw", "gb_per_kwh"},
        {"labels_required", "hardware", "latency_max_ms"},
    )
    gb_high = Decimal(1_000_000)
    read: Content = {
        "destinations": _destinations(row["destinations"], field),
        "offers": _shift_offers(row["offers"], field),
        "change_cost_jpy_per_kw": _price(
            row["change_cost_jpy_per_kw"], f"{field}.change_cost_jpy_per_kw", low=ZERO
        ),
        "labels_required": _labels(row.get("labels_required", []), f"{field}.labels_required"),
    }
    for name in ("gb_per_kw", "gb_per_kwh"):
        read[name] = _text(
            decimal_of(row[name], field=f"{field}.{name}", low=ZERO, high=gb_high, places=6)
        )
    if row.get("hardware") is not None:
        read["hardware"] = name_of(
            row["hardware"], field=f"{field}.hardware", length_max=CODE_LENGTH_MAX
        )
    if row.get("latency_max_ms") is not None:
        read["latency_max_ms"] = _text(
            decimal_of(
                row["latency_max_ms"],
                field=f"{field}.latency_max_ms",
                low=ZERO,
                high=Decimal(100_000),
                places=2,
            )
        )
    return read


def _labels(value: object, field: str) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > LABELS_MAX:
        raise InvalidBid(field=field, value=value, rule=f"a list of at most {LABELS_MAX} labels")
    labels = [
        name_of(label, field=f"{field}[{i}]", length_max=CODE_LENGTH_MAX)
        for i, label in enumerate(value)
    ]
    if len(set(labels)) != len(labels):
        raise InvalidBid(field=field, value=value, rule="each label once")
    return sorted(labels)


def _destinations(value: object, field: str) -> list[dict[str, str]]:
    read = []
    for i, raw in enumerate(_items(value, f"{field}.destinations", DESTINATIONS_MAX)):
        at = f"{field}.destinations[{i}]"
        row = _only(raw, at, {"resource", "path", "ratio"}, set())
        ratio = decimal_of(
            row["ratio"], field=f"{at}.ratio", low=RATIO_LOW, high=RATIO_HIGH, places=4
        )
        read.append(
            {
                "resource": name_of(
                    row["resource"], field=f"{at}.resource", length_max=CODE_LENGTH_MAX
                ),
                "path": name_of(row["path"], field=f"{at}.path", length_max=CODE_LENGTH_MAX),
                "ratio": _text(ratio),
            }
        )
    if len({row["resource"] for row in read}) != len(read):
        raise InvalidBid(field=f"{field}.destinations", value=len(read), rule="each resource once")
    return sorted(read, key=lambda row: row["resource"])


def _shift_offers(value: object, field: str) -> list[Content]:
    read: list[Content] = []
    for i, raw in enumerate(_items(value, f"{field}.offers", CURVES_MAX)):
        at = f"{field}.offers[{i}]"
        row = _only(raw, at, {"first_t", "last_t", "quantity_kw", "ask_jpy_per_kwh"}, set())
        first_t, last_t = _range(row, at)
        read.append(
            {
                "first_t": first_t,
                "last_t": last_t,
                "quantity_kw": _kw(row["quantity_kw"], f"{at}.quantity_kw"),
                "ask_jpy_per_kwh": _price(row["ask_jpy_per_kwh"], f"{at}.ask_jpy_per_kwh"),
            }
        )
    read.sort(key=lambda row: row["first_t"])
    for before, after in pairwise(read):
        if after["first_t"] <= before["last_t"]:
            raise InvalidBid(
                field=f"{field}.offers",
                value=after["first_t"],
                rule="offers of one bid do not overlap in time",
            )
    return read


_FORMS: dict[str, Callable[[Mapping[str, Any], str], Content]] = {
    "STEPS": _steps,
    "STORAGE": _storage,
    "SHIFT": _shift,
}


def quantity_peak_kw(form: str, content: Mapping[str, Any]) -> dict[str, Decimal]:
    """Largest power the canonical content asks of its own resource, per direction."""
    if form == "STEPS":
        peak = max(
            sum((Decimal(step["quantity_kw"]) for step in curve["steps"]), ZERO)
            for curve in content["curves"]
        )
        return {content["direction"]: peak}
    if form == "STORAGE":
        return {
            "UP": Decimal(content["discharge_limit_kw"]),
            "DOWN": Decimal(content["charge_limit_kw"]),
        }
    return {"UP": max(Decimal(offer["quantity_kw"]) for offer in content["offers"])}
