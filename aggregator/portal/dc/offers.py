"""The five forms of an offer that people fill in: what is typed, and the bid it means.

Rules of an offer are the services'; here text becomes numbers, and a refusal's path a field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.forms import Textarea
from django.utils.translation import gettext, gettext_lazy

from aggregator.portal.forms import (
    ChoiceField,
    KomaField,
    NumberField,
    PortalForm,
    TextField,
)
from market.trading.models import BidForm, Direction

STEPS_MAX: Final = 20
STEPS_SHOWN: Final = 3
HALF_HOURS: Final = 48

Content = Mapping[str, Any]


def kw_field(label: Any, **more: Any) -> NumberField:
    """Power: whole tenths of a kW."""
    return NumberField(label=label, unit="kW", digits=1, low=0, is_trimmed=True, **more)


def kwh_field(label: Any, **more: Any) -> NumberField:
    """Energy."""
    return NumberField(label=label, unit="kWh", digits=1, low=0, is_trimmed=True, **more)


def price_field(label: Any, **more: Any) -> NumberField:
    """Price per kWh."""
    return NumberField(label=label, unit=gettext_lazy("円/kWh"), digits=2, **more)


def ratio_field(label: Any, **more: Any) -> NumberField:
    """Share, typed in percent."""
    return NumberField(label=label, unit="%", digits=2, low=0, high=100, is_trimmed=True, **more)


def plain(number: Any) -> str:
    """Write a number as services read it."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(percent: Decimal) -> str:
    """Write percent as a ratio."""
    return plain(percent / 100)


class ProfileField(NumberField):
    """kW per half hour: one number for all, or as many as there are half hours, by line or tab."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"class": "in", "rows": 2, "inputmode": "decimal", "autocomplete": "off"}
        super().__init__(
            unit="kW", digits=1, low=0, is_trimmed=True, widget=Textarea(attrs=attrs), **kwargs
        )

    def to_python(self, value: Any) -> Any:
        """Read one number or several.

        Raises
        ------
        ValidationError
            Naming the number that is none.
        """
        texts = re.split(r"[\s;；]+", str(value or "").strip())
        if texts == [""]:
            return None
        return [super(ProfileField, self).to_python(text) for text in texts]

    def prepare_value(self, value: Any) -> Any:
        """Show equal numbers as one."""
        if isinstance(value, list | tuple):
            texts = [super(ProfileField, self).prepare_value(number) for number in value]
            return texts[0] if len(set(texts)) == 1 else "\n".join(map(str, texts))
        return super().prepare_value(value)


class OfferForm(PortalForm):
    """What all forms of an offer share: the half hours."""

    form: BidForm
    has_direction = False

    t_first = KomaField(label=gettext_lazy("開始"))
    t_end = KomaField(label=gettext_lazy("終了"), is_end=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.is_loose = kwargs.pop("is_loose", False)
        super().__init__(*args, **kwargs)

    def is_valid(self) -> bool:
        """Whether the offer can be read; a draft is kept whatever it says."""
        return super().is_valid() or self.is_loose

    def clean(self) -> dict[str, Any]:
        """Check what concerns two fields."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        first, end = found.get("t_first"), found.get("t_end")
        if first is not None and end is not None and end <= first:
            self.add_error("t_end", gettext("開始より後の時刻を選んでください。"))
        return found

    def content(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the bid that this form means."""
        raise NotImplementedError

    @classmethod
    def initial_of(cls, content: Content) -> dict[str, Any]:
        """Return what the form shows of an offer that was stored."""
        raise NotImplementedError

    @staticmethod
    def window(clean: Mapping[str, Any]) -> dict[str, int]:
        """Return the half hours as services name them."""
        return {"first_t": clean["t_first"], "last_t": clean["t_end"] - 1}

    def profile(self, clean: Mapping[str, Any], name: str) -> list[str]:
        """Return one number per half hour of the window.

        Raises
        ------
        ValidationError
            If there are several, but not as many as half hours.
        """
        count = clean["t_end"] - clean["t_first"]
        values = clean[name]
        if len(values) == 1:
            values = values * count
        if len(values) != count:
            raise ValidationError(
                gettext("対象は%(count)dコマですが、%(found)d個の数があります。")
                % {"count": count, "found": len(values)}
            )
        return [plain(value) for value in values]


def _directions() -> list[tuple[str, str]]:
    return [
        (Direction.UP, gettext("▲ 上げ（負荷を減らす）")),
        (Direction.DOWN, gettext("▼ 下げ（負荷を増やす）")),
    ]


class StepsForm(OfferForm):
    """A price–quantity curve over one window."""

    form = BidForm.STEPS
    has_direction = True
    places = (
        (r"(?:.*\.)?curves\[0\]\.(?:first_t)", "t_first"),
        (r"(?:.*\.)?curves\[0\]\.(?:last_t)", "t_end"),
        (r"(?:.*\.)?direction", "direction"),
        (r"(?:.*\.)?quantity_kw", "kw_0"),
    )
    direction = ChoiceField(label=gettext_lazy("方向"), choices=_directions)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.step_count = self._step_count()
        for i in range(self.step_count):
            self.fields[f"kw_{i}"] = kw_field(
                gettext("段%(n)d の量") % {"n": i + 1}, required=False
            )
            self.fields[f"ask_{i}"] = price_field(
                gettext("段%(n)d の価格") % {"n": i + 1}, required=False
            )

    def _step_count(self) -> int:
        names = self.data if self.is_bound else (self.initial or {})
        found = [int(m[1]) for name in names if (m := re.fullmatch(r"kw_(\d{1,2})", str(name)))]
        return min(STEPS_MAX, max([STEPS_SHOWN, *(i + 1 for i in found)]))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Rows of the table."""
        return [
            {"n": i + 1, "kw": self[f"kw_{i}"], "ask": self[f"ask_{i}"]}
            for i in range(self.step_count)
        ]

    def clean(self) -> dict[str, Any]:
        """Pair quantities with prices; empty rows say nothing."""
        found = super().clean()
        rows = []
        for i in range(self.step_count):
            kw, ask = found.get(f"kw_{i}"), found.get(f"ask_{i}")
            if kw is None and ask is None:
                continue
            for name, value, other in ((f"kw_{i}", kw, ask), (f"ask_{i}", ask, kw)):
                if value is None and other is not None and name not in self.errors:
                    self.add_error(name, gettext("量と価格の両方を入力してください。"))
            rows.append((i, kw, ask))
        if not rows and not self.is_loose:
            self.add_error("kw_0", gettext("段を1つ以上入力してください。"))
        self.rows = [row for row in rows if row[1] is not None and row[2] is not None]
        return found

    def content(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """Return the curve, its steps in the order of price."""
        return {
            "direction": clean["direction"],
            "curves": [
                {
                    **self.window(clean),
                    "steps": [
                        {"quantity_kw": plain(kw), "ask_jpy_per_kwh": plain(ask)}
                        for _, kw, ask in self.rows
                    ],
                }
            ],
        }

    def place_of(self, path: str) -> str | None:
        """Return the field of a step that a refusal names."""
        found = re.search(r"steps\[(\d+)\]\.(quantity_kw|ask_jpy_per_kwh)", path)
        if found is None or int(found[1]) >= len(self.rows):
            return None
        row = self.rows[int(found[1])][0]
        return f"{'kw' if found[2] == 'quantity_kw' else 'ask'}_{row}"

    @classmethod
    def initial_of(cls, content: Content) -> dict[str, Any]:
        """Show the first curve; a form has one window."""
        curve = content["curves"][0]
        found: dict[str, Any] = {
            "direction": content["direction"],
            "t_first": curve["first_t"],
            "t_end": curve["last_t"] + 1,
        }
        for i, step in enumerate(curve["steps"]):
            found[f"kw_{i}"] = Decimal(step["quantity_kw"])
            found[f"ask_{i}"] = Decimal(step["ask_jpy_per_kwh"])
        return found


class BlockForm(OfferForm):
    """A profile that is accepted as a whole."""

    form = BidForm.BLOCK
    has_direction = True
    places = (
        (r"(?:.*\.)?first_t", "t_first"),
        (r"(?:.*\.)?quantity_kw.*", "profile_kw"),
        (r"(?:.*\.)?ask_jpy_per_kwh", "ask"),
        (r"(?:.*\.)?acceptance_min_ratio", "acceptance_min"),
        (r"(?:.*\.)?start_cost_jpy", "start_cost"),
        (r"(?:.*\.)?exclusive_group", "exclusive_group"),
        (r"(?:.*\.)?parent", "parent"),
    )
    direction = ChoiceField(label=gettext_lazy("方向"), choices=_directions)
    profile_kw = ProfileField(
        label=gettext_lazy("量"),
        help_text=gettext_lazy("1つの数なら全コマ同じ。コマごとなら改行かタブで区切ります。"),
    )
    ask = price_field(gettext_lazy("価格"))
    acceptance_min = ratio_field(gettext_lazy("最低約定比率"), initial=Decimal(100))
    start_cost = NumberField(
        label=gettext_lazy("起動費"), unit=gettext_lazy("円"), digits=2, low=0, initial=Decimal(0)
    )
    exclusive_group = TextField(label=gettext_lazy("排他グループ"), required=False, max_length=40)
    parent = TextField(label=gettext_lazy("親の入札番号"), required=False, max_length=64)

    def content(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """Return the block."""
        found = {
            "direction": clean["direction"],
            "first_t": clean["t_first"],
            "quantity_kw": self.profile(clean, "profile_kw"),
            "ask_jpy_per_kwh": plain(clean["ask"]),
            "acceptance_min_ratio": share(clean["acceptance_min"]),
            "start_cost_jpy": plain(clean["start_cost"]),
        }
        for name in ("exclusive_group", "parent"):
            if clean[name]:
                found[name] = clean[name]
        return found

    @classmethod
    def initial_of(cls, content: Content) -> dict[str, Any]:
        """Show a block."""
        return {
            "direction": content["direction"],
            "t_first": content["first_t"],
            "t_end": content["first_t"] + len(content["quantity_kw"]),
            "profile_kw": [Decimal(kw) for kw in content["quantity_kw"]],
            "ask": Decimal(content["ask_jpy_per_kwh"]),
            "acceptance_min": Decimal(content["acceptance_min_ratio"]) * 100,
            "start_cost": Decimal(content["start_cost_jpy"]),
            "exclusive_group": content.get("exclusive_group", ""),
            "parent": content.get("parent", ""),
        }
