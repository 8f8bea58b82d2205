"""Read the parts of an offer: exact numbers to their shortest text, windows, series, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of, index_of, name_of
from accounts.fields import HALF_HOURS_COUNT

STEPS_MAX = 20
CURVES_MAX = HALF_HOURS_COUNT
LABELS_MAX = 20
CODE_LENGTH_MAX = 40
KW_HIGH = Decimal(100_000_000)
KWH_HIGH = Decimal(1_000_000_000)
JPY_HIGH = Decimal(1_000_000_000)
PRICE_HIGH = Decimal(9_999)
GB_HIGH = Decimal(1_000_000)
LATENCY_HIGH_MS = Decimal(100_000)
STEP_FIELDS = {"quantity_kw", "ask_jpy_per_kwh"}
DIRECTIONS = ("UP", "DOWN")
ONE = Decimal(1)
ZERO = Decimal(0)

Content = dict[str, Any]


class InvalidBid(Refused):
    """The offer breaks a rule of its form."""


def only(
    content: object, field: str, required: set[str], optional: set[str] | None = None
) -> Mapping[str, Any]:
    """Return `content` if it has all required names and no unknown one."""
    if type(content) is dict and content.keys() == required:
        return content
    if not isinstance(content, Mapping):
        raise InvalidBid(field=field, value=content, rule="an object")
    for name in sorted(required - content.keys()):
        raise InvalidBid(field=f"{field}.{name}", value=None, rule="required")
    for name in sorted(content.keys() - required - (optional or set()), key=repr):
        raise InvalidBid(
            field=f"{field}.{name}"[:80], value=content[name], rule="not a field of this form"
        )
    return content


def items(value: object, field: str, count_max: int) -> Sequence[Any]:
    """Return a list of 1 to `count_max` things."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= count_max:
        raise InvalidBid(field=field, value=value, rule=f"a list of 1 to {count_max}")
    return value


def text(number: Decimal) -> str:
    """Shortest plain form: 12.50 and 12.5 are the same offer."""
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def number(value: object, field: str, *, low: Decimal = ZERO, high: Decimal, places: int) -> str:
    """Return the text of an exact number within its bounds."""
    return text(decimal_of(value, field=field, low=low, high=high, places=places))


@lru_cache(maxsize=65_536)
def known_kw(value: str) -> str | None:
    """Canonical text of a quantity in plain text, or None if a rule speaks against it.

    A basket repeats few numbers many times, so reading each text once is what makes a
    thousand bids cheap; refusals go the long way, which names the field.
    """
    try:
        return number(value, "", high=KW_HIGH, places=1)
    except Refused:
        return None


@lru_cache(maxsize=65_536)
def known_step(quantity_kw: str, ask_jpy_per_kwh: str) -> tuple[str, str, Decimal] | None:
    """Canonical texts of a step and the value of its ask; see :func:`known_kw`."""
    quantity_text, known = known_kw(quantity_kw), known_price(ask_jpy_per_kwh)
    return None if quantity_text is None or known is None else (quantity_text, *known)


@lru_cache(maxsize=65_536)
def known_price(value: str) -> tuple[str, Decimal] | None:
    """Canonical text and value of a price in plain text; see :func:`known_kw`."""
    try:
        known = decimal_of(value, field="", low=-PRICE_HIGH, high=PRICE_HIGH, places=2)
    except Refused:
        return None
    return text(known), known


def kw(value: object, field: str) -> str:
    """Return the text of a quantity in kW."""
    known = known_kw(value) if type(value) is str else None
    return number(value, field, high=KW_HIGH, places=1) if known is None else known


def price(value: object, field: str, *, low: Decimal = -PRICE_HIGH) -> str:
    """Return the text of a price in JPY per kWh, kW or GB."""
    return number(value, field, low=low, high=PRICE_HIGH, places=2)


def direction(value: object, field: str) -> str:
    """Return UP or DOWN."""
    if value not in DIRECTIONS or not isinstance(value, str):
        raise InvalidBid(field=field, value=value, rule="UP or DOWN")
    return value


def code(value: object, field: str) -> str:
    """Return a short name, as of a resource, path, product or label."""
    return name_of(value, field=field, length_max=CODE_LENGTH_MAX)


def window(row: Mapping[str, Any], field: str) -> tuple[int, int]:
    """Return ``first_t`` and ``last_t``, both included."""
    first_t = index_of(row["first_t"], field=f"{field}.first_t", count=HALF_HOURS_COUNT)
    last_t = index_of(row["last_t"], field=f"{field}.last_t", count=HALF_HOURS_COUNT)
    if last_t < first_t:
        raise InvalidBid(field=f"{field}.last_t", value=last_t, rule="not before first_t")
    return first_t, last_t


def kw_list(value: object, field: str, count: int) -> list[str]:
    """Return `count` quantities in kW."""
    if not isinstance(value, list | tuple) or len(value) != count:
        raise InvalidBid(field=field, value=value, rule=f"a list of {count} values")
    return [kw(entry, f"{field}[{i}]") for i, entry in enumerate(value)]


def kw_series(value: object, field: str) -> list[str]:
    """Return one quantity per half hour of the day; one number stands for all."""
    if isinstance(value, list | tuple):
        return kw_list(value, field, HALF_HOURS_COUNT)
    return [kw(value, field)] * HALF_HOURS_COUNT


def labels(value: object, field: str) -> list[str]:
    """Return labels in order, each once."""
    if not isinstance(value, list | tuple) or len(value) > LABELS_MAX:
        raise InvalidBid(field=field, value=value, rule=f"a list of at most {LABELS_MAX} labels")
    found = [code(label, f"{field}[{i}]") for i, label in enumerate(value)]
    if len(set(found)) != len(found):
        raise InvalidBid(field=field, value=value, rule="each label once")
    return sorted(found)


def apart(rows: list[Content], field: str, what: str) -> list[Content]:
    """Return rows with windows in order of time, none over another."""
    rows.sort(key=lambda row: row["first_t"])
    for before, after in pairwise(rows):
        if after["first_t"] <= before["last_t"]:
            raise InvalidBid(
                field=field,
                value=after["first_t"],
                rule=f"{what} of one bid do not overlap in time",
            )
    return rows


def curves(value: object, field: str) -> list[Content]:
    """Return step curves over windows that do not overlap."""
    read: list[Content] = []
    for i, raw in enumerate(items(value, field, CURVES_MAX)):
        place = f"{field}[{i}]"
        curve = only(raw, place, {"first_t", "last_t", "steps"})
        first_t, last_t = window(curve, place)
        read.append({"first_t": first_t, "last_t": last_t, "steps": _steps(curve["steps"], place)})
    return apart(read, field, "curves")


def _steps(steps: object, place: str) -> list[dict[str, str]]:
    read = []
    ask_before = -PRICE_HIGH
    for j, raw in enumerate(items(steps, f"{place}.steps", STEPS_MAX)):
        quantity_text, ask_text, ask_now = _step(raw, place, j)
        if ask_now < ask_before:
            raise InvalidBid(
                field=f"{place}.steps[{j}].ask_jpy_per_kwh", value=ask_text, rule="asks do not fall"
            )
        ask_before = ask_now
        read.append({"quantity_kw": quantity_text, "ask_jpy_per_kwh": ask_text})
    return read


def _step(raw: object, place: str, j: int) -> tuple[str, str, Decimal]:
    if type(raw) is dict and raw.keys() == STEP_FIELDS:
        quantity, ask = raw["quantity_kw"], raw["ask_jpy_per_kwh"]
        known = known_step(quantity, ask) if type(quantity) is type(ask) is str else None
        if known is not None:
            return known
    step = only(raw, f"{place}.steps[{j}]", STEP_FIELDS)
    quantity_text = kw(step["quantity_kw"], f"{place}.steps[{j}].quantity_kw")
    ask_text = price(step["ask_jpy_per_kwh"], f"{place}.steps[{j}].ask_jpy_per_kwh")
    return quantity_text, ask_text, Decimal(ask_text)


def eligibility(row: Mapping[str, Any], field: str) -> Content:
    """Return labels, hardware and latency that moved or asked work requires."""
    read: Content = {
        "labels_required": labels(row.get("labels_required", []), f"{field}.labels_required")
    }
    if row.get("hardware") is not None:
        read["hardware"] = code(row["hardware"], f"{field}.hardware")
    if row.get("latency_max_ms") is not None:
        read["latency_max_ms"] = number(
            row["latency_max_ms"], f"{field}.latency_max_ms", high=LATENCY_HIGH_MS, places=2
        )
    return read
