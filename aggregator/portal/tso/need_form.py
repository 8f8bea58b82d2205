"""A need as a form: a place, and a demand curve of steps over 48 half hours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.forms import HiddenInput
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from aggregator.portal import facts, words
from aggregator.portal.forms import ChoiceField, NumberField, Place, PortalForm, TextField
from aggregator.portal.selectors import spans_of
from aggregator.portal.tso import selectors as own
from market.trading import proposals
from market.trading.models import (
    STEPS_MAX,
    Auction,
    Direction,
    Need,
    NeedKind,
    NeedPricing,
    NeedStep,
)
from market.trading.needs import NeedDetails

HALF_HOURS: Final = 48
CAP_DEFAULT: Final = Decimal(60)
KW_HIGH: Final = 100_000_000
PRICE_HIGH: Final = 100_000
ZERO: Final = Decimal(0)
_AT: Final = re.compile(r"(?:steps\[(\d+)\]\.)?(quantity_kw|cap_\w+?)\[(\d+)\]")
_NAME: Final = re.compile(r"(kw|cap)_(\d+)(_\d+)?")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a demand curve; what more is asked for, at most for how much, of 48."""

    quantity_kw: Sequence[Decimal]
    cap: Sequence[Decimal]

    @property
    def stretches(self) -> list[tuple[int, int, Decimal, Decimal]]:
        """Stretches of half hours with the same quantity and cap: t, end, kW, cap."""
        found: list[tuple[int, int, Decimal, Decimal]] = []
        for t, (kw, cap) in enumerate(zip(self.quantity_kw, self.cap, strict=True)):
            if not kw:
                continue
            if found and found[-1][1:] == (t, kw, cap):
                found[-1] = (found[-1][0], t + 1, kw, cap)
            else:
                found.append((t, t + 1, kw, cap))
        return found


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One input of the table."""

    name: str
    label: str
    value: str
    error: str
    is_cap: bool


class NeedForm(PortalForm):
    """One need: per step a cap for all half hours, quantities, and caps of single half hours."""

    places = (
        (r"congestion_point|area_code|area|flow_sign|product", "place"),
        (r"steps", "pricing"),
    )
    code = TextField(label=gettext_lazy("コード（英数字）"), max_length=60)
    version = NumberField(required=False, widget=HiddenInput())
    steps = NumberField(low=1, high=STEPS_MAX, widget=HiddenInput())

    def __init__(self, *args: Any, auction: Auction, sight: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["place"] = ChoiceField(
            label=gettext("設備・エリア"), choices=place_choices(auction, sight)
        )
        self.fields["direction"] = ChoiceField(
            label=gettext("方向"),
            choices=[
                (Direction.UP, gettext("上げ（負荷を減らす）")),
                (Direction.DOWN, gettext("下げ（負荷を増やす）")),
            ],
        )
        self.fields["pricing"] = ChoiceField(
            label=gettext("価格の決め方"), choices=list(pricing_words().items()), required=False
        )
        self.count = step_count(self.data if self.is_bound else self.initial)
        for s in range(self.count):
            self._step_fields(s)
        self.order_fields(["place", "direction", "pricing", "code", "version", "steps"])

    def _step_fields(self, s: int) -> None:
        many = self.count > 1
        mark = gettext("段%(n)d ") % {"n": s + 1} if many else ""
        self.fields[f"cap_{s}"] = NumberField(
            label=mark + gettext("上限価格"), unit=gettext("円/kWh"), digits=2, low=0,
            high=PRICE_HIGH,
        )  # fmt: skip
        for t in range(HALF_HOURS):
            koma = words.koma_full(t)
            self.fields[f"kw_{s}_{t}"] = NumberField(
                label=f"{mark}{koma} kW", digits=1, low=0, high=KW_HIGH, required=False
            )
            self.fields[f"cap_{s}_{t}"] = NumberField(
                label=f"{mark}{koma} {gettext('上限価格')}", digits=2, low=0, high=PRICE_HIGH,
                required=False,
            )  # fmt: skip

    @property
    def step_numbers(self) -> list[int]:
        """Numbers of the steps, from 0."""
        return list(range(self.count))

    @property
    def caps(self) -> list[Any]:
        """The cap of each step, as fields."""
        return [self[f"cap_{s}"] for s in range(self.count)]

    @property
    def may_grow(self) -> bool:
        """Whether a step can be added."""
        return self.count < STEPS_MAX

    @property
    def rows(self) -> list[tuple[int, list[Cell]]]:
        """Return the table: t, and for each step a quantity and a cap."""
        return [
            (t, [self._cell(f"{what}_{s}_{t}") for s in range(self.count) for what in WHATS])
            for t in range(HALF_HOURS)
        ]

    def _cell(self, name: str) -> Cell:
        field = self.fields[name]
        if self.is_bound:
            value = self.data.get(name, "")
            errors = self.errors.get(name)
        else:
            value, errors = field.prepare_value(self.initial.get(name, "")), None
        return Cell(
            name=name,
            label=str(field.label),
            value=value,
            error=str(errors[0]) if errors else "",
            is_cap=name.startswith("cap"),
        )

    def clean(self) -> dict[str, Any]:
        """Refuse a need of nothing here, so that the sentence stands above the whole table."""
        clean: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return clean
        for s in range(self.count):
            if not any(clean.get(f"kw_{s}_{t}") for t in range(HALF_HOURS)):
                self.add_error(
                    None,
                    gettext("1コマ以上に量を入力してください。")
                    if self.count == 1
                    else gettext(
                        "段%(n)dに量がありません。1コマ以上に入力するか、段を外してください。"
                    )
                    % {"n": s + 1},
                )
        return clean

    def _field_of(self, path: str, place: Place | None) -> str | None:
        """Lead a refusal of one number to its cell, of a cap that stands above to that one."""
        found = _AT.fullmatch(path)
        if found is None:
            return super()._field_of(path, place)
        what = "kw" if found[2] == "quantity_kw" else "cap"
        s, t = int(found[1] or 0), int(found[3])
        name = f"{what}_{s}_{t}"
        if what == "cap" and self.cleaned_data.get(name) is None:
            name = f"cap_{s}"
        return name if name in self.fields else None


WHATS: Final = ("kw", "cap")


def pricing_words() -> dict[str, str]:
    """Return how a price is found, in words."""
    return {
        NeedPricing.AUCTION.value: gettext("オークション（上限まで）"),
        NeedPricing.POSTED.value: gettext("公示価格（上限の価格で買う）"),
    }


def place_choices(auction: Auction, sight: Any) -> list[tuple[str, str]]:
    """Return where the visitor may ask: elements in both directions, areas, capacity of areas."""
    choices = []
    for point in own.points_own(auction, seen_by=sight):
        name = words.local_name(point)
        choices += [
            (f"point:{point.code}:1", gettext("%(name)s（正方向）") % {"name": name}),
            (f"point:{point.code}:-1", gettext("%(name)s（逆方向）") % {"name": name}),
        ]
    areas = own.areas_own(seen_by=sight)
    choices += [
        (f"area:{area.code}", gettext("%(name)s（需給）") % {"name": facts.area_word(area)})
        for area in areas
    ]
    choices += [
        (
            f"product:{area.code}:{product['id']}",
            gettext("%(name)s（調整力 %(product)s・円/kW・30分）")
            % {"name": facts.area_word(area), "product": product["id"]},
        )
        for area in areas
        for product in auction.ruleset.rules.get("products", ())
    ]
    return choices


def step_count(fields: Mapping[str, Any]) -> int:
    """Read how many steps a form has; what cannot be is one."""
    text = str(fields.get("steps", "1"))
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= len("20") else 1
    return min(max(count, 1), STEPS_MAX)


def reshaped(sent: QueryDict) -> dict[str, str]:
    """Return a form's text with one step more, or without one, as the buttons ask."""
    count = step_count(sent)
    text = {name: str(sent[name]) for name in sent}
    dropped = text.pop("drop_step", None)
    text.pop("add_step", None)
    if dropped is None:
        return {**text, "steps": str(min(count + 1, STEPS_MAX))}
    gone = int(dropped) if dropped.isascii() and dropped.isdigit() else count
    if not 0 <= gone < count or count == 1:
        return text
    moved: dict[str, str] = {"steps": str(count - 1)}
    for name, value in text.items():
        found = _NAME.fullmatch(name)
        if found is None:
            moved.setdefault(name, value)
        elif int(found[2]) != gone:
            s = int(found[2]) - (int(found[2]) > gone)
            moved[f"{found[1]}_{s}{found[3] or ''}"] = value
    return moved


def steps_of(clean: Mapping[str, Any]) -> list[Step]:
    """Return the demand curve of a valid form.

    A cap where nothing is asked for means nothing; it is filled in so that caps do not rise
    from step to step for its sake.
    """
    count = int(clean["steps"])
    quantity = [[clean.get(f"kw_{s}_{t}") or ZERO for t in range(HALF_HOURS)] for s in range(count)]
    caps: list[list[Decimal]] = []
    for s in range(count):
        row = []
        for t in range(HALF_HOURS):
            own_cap = clean.get(f"cap_{s}_{t}")
            cap = clean[f"cap_{s}"] if own_cap is None else own_cap
            if not quantity[s][t]:
                later = [_cap_asked(clean, r, t) for r in range(s + 1, count) if quantity[r][t]]
                cap = caps[s - 1][t] if s else max([cap, *later])
            row.append(cap)
        caps.append(row)
    return [Step(quantity_kw=kw, cap=cap) for kw, cap in zip(quantity, caps, strict=True)]


def _cap_asked(clean: Mapping[str, Any], s: int, t: int) -> Decimal:
    asked = clean.get(f"cap_{s}_{t}")
    found: Decimal = clean[f"cap_{s}"] if asked is None else asked
    return found


def kind_of(place: str) -> str:
    """Return the kind of a need at a place of the form."""
    return {"area": NeedKind.BALANCE, "product": NeedKind.CAPACITY}.get(
        place.partition(":")[0], NeedKind.LOCAL
    )


def details_of(clean: Mapping[str, Any]) -> NeedDetails:
    """Return what the service is asked to publish."""
    what, _, rest = clean["place"].partition(":")
    kind = kind_of(clean["place"])
    cap_name = "cap_jpy_per_kw_30min" if kind == NeedKind.CAPACITY else "cap_jpy_per_kwh"
    curve = [
        {"quantity_kw": [str(kw) for kw in step.quantity_kw], cap_name: [str(c) for c in step.cap]}
        for step in steps_of(clean)
    ]
    common: dict[str, Any] = {
        "code": clean["code"],
        "kind": kind,
        "direction": clean["direction"],
        "pricing": clean.get("pricing") or NeedPricing.AUCTION.value,
        **(curve[0] if len(curve) == 1 else {"steps": curve}),
    }
    if what == "area":
        return NeedDetails(area_code=rest, **common)
    head, _, tail = rest.rpartition(":") if what == "point" else rest.partition(":")
    if what == "product":
        return NeedDetails(area_code=head, product=tail, **common)
    return NeedDetails(congestion_point=head, flow_sign=int(tail), **common)


def curve_of(need: Need, steps: Iterable[NeedStep]) -> list[Step]:
    """Return the demand curve of a stored need; one of a single step has no rows of its own."""
    rows: list[Need | NeedStep] = list(steps)
    return [
        Step(quantity_kw=row.quantity_kw, cap=row.cap_jpy_per_kwh or row.cap_jpy_per_kw_30min or [])
        for row in rows or [need]
    ]


def initial_of(need: Need, curve: Sequence[Step]) -> dict[str, Any]:
    """Return a need as the form's text: a cap per step, and where a half hour's differs."""
    point = need.congestion_point
    if point is not None:
        place = f"point:{point.code}:{need.flow_sign}"
    elif need.kind == NeedKind.CAPACITY:
        place = f"product:{need.area_id}:{need.product_id}"
    else:
        place = f"area:{need.area_id}"
    found: dict[str, Any] = {
        "place": place,
        "direction": need.direction,
        "pricing": need.pricing,
        "code": need.code,
        "version": need.revision,
        "steps": str(len(curve)),
    }
    for s, step in enumerate(curve):
        asked = [cap for kw, cap in zip(step.quantity_kw, step.cap, strict=True) if kw]
        common = max(asked, key=lambda cap: (asked.count(cap), cap), default=CAP_DEFAULT)
        found[f"cap_{s}"] = common
        for t, (kw, cap) in enumerate(zip(step.quantity_kw, step.cap, strict=True)):
            if kw:
                found[f"kw_{s}_{t}"] = kw
                if cap != common:
                    found[f"cap_{s}_{t}"] = cap
    return found


def initial_of_overload(one: own.Overload) -> dict[str, Any]:
    """Return an overload as the form's text: what each half hour is above the limit."""
    sign = "" if one.flow_sign > 0 else "-reverse"
    return {
        "place": f"point:{one.point.code}:{one.flow_sign}",
        "direction": Direction.UP,
        "pricing": NeedPricing.AUCTION,
        "code": f"{one.point.code}{sign}-up",
        "steps": "1",
        "cap_0": CAP_DEFAULT,
        **{f"kw_0_{t}": kw for t, kw in enumerate(one.quantity_kw) if kw},
    }


def value_of(kind: str, curve: Sequence[Step]) -> Decimal:
    """Return what a need can cost at most [JPY]."""
    return proposals.value_jpy((step.quantity_kw, step.cap, kind) for step in curve)


def curve_facts(kind: str, curve: Sequence[Step]) -> list[dict[str, str]]:
    """Return a demand curve as rows of a summary: the whole, then each stretch of each step."""
    total = [sum(of_t, ZERO) for of_t in zip(*(step.quantity_kw for step in curve), strict=True)]
    rows = [
        {
            "label": gettext("時間帯"),
            "value": gettext("、").join(words.spans(spans_of([kw > 0 for kw in total]))),
        },
        {"label": gettext("最大"), "value": f"{words.number(max(total))} kW"},
        {
            "label": gettext("電力量"),
            "value": f"{words.number(sum(total, ZERO) / 2000, 1)} MWh",
        },
    ]
    unit = gettext("円/kW・30分") if kind == NeedKind.CAPACITY else gettext("円/kWh")
    for s, step in enumerate(curve):
        mark = gettext("段%(n)d ") % {"n": s + 1} if len(curve) > 1 else ""
        for first, end, kw, cap in step.stretches:
            rows.append(
                {
                    "label": f"{mark}{words.clock(first)}–{words.clock(end)}",
                    "value": gettext("%(kw)s kW・上限 %(cap)s %(unit)s")
                    % {"kw": words.number(kw, _digits(kw)), "cap": words.number(cap, 2),
                       "unit": unit},
                }
            )  # fmt: skip
    return rows


def _digits(kw: Decimal) -> int:
    return 0 if kw == kw.to_integral_value() else 1
