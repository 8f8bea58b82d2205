"""The forms of an offer with an inner life: a store, work that waits, work that moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext, gettext_lazy

from aggregator.portal.dc.offers import (
    HALF_HOURS,
    Content,
    OfferForm,
    ProfileField,
    kw_field,
    kwh_field,
    plain,
    price_field,
    ratio_field,
    share,
)
from aggregator.portal.forms import ChoiceField, NumberField, TextField
from market.trading.models import BidForm

DESTINATIONS_MAX: Final = 3


class StorageForm(OfferForm):
    """A battery the market may charge and discharge."""

    form = BidForm.STORAGE
    NAMES = (
        ("charge_limit_kw", "charge_kw", "kw"),
        ("discharge_limit_kw", "discharge_kw", "kw"),
        ("energy_limit_kwh", "energy_kwh", "kw"),
        ("reserve_kwh", "reserve_kwh", "kw"),
        ("start_kwh", "start_kwh", "kw"),
        ("end_min_kwh", "end_min_kwh", "kw"),
        ("charge_efficiency_ratio", "charge_efficiency", "share"),
        ("discharge_efficiency_ratio", "discharge_efficiency", "share"),
        ("standing_loss_ratio", "standing_loss", "share"),
        ("wear_jpy_per_kwh", "wear", "kw"),
        ("cycles_max", "cycles_max", "kw"),
    )
    places = (
        (r"(?:.*\.)?first_t", "t_first"),
        (r"(?:.*\.)?last_t", "t_end"),
        *((rf"(?:.*\.)?{name}", field) for name, field, _ in NAMES),
        (r"(?:.*\.)?quantity_kw", "discharge_kw"),
    )
    discharge_kw = kw_field(gettext_lazy("放電上限"))
    charge_kw = kw_field(gettext_lazy("充電上限"))
    wear = price_field(gettext_lazy("摩耗費"), low=0)
    cycles_max = NumberField(
        label=gettext_lazy("1日の回数の上限"), unit="", digits=2, low=0, high=48
    )
    energy_kwh = kwh_field(gettext_lazy("使える容量"))
    reserve_kwh = kwh_field(gettext_lazy("売らない予備"))
    start_kwh = kwh_field(gettext_lazy("はじめの残量"))
    end_min_kwh = kwh_field(gettext_lazy("終わりの残量（最低）"))
    charge_efficiency = ratio_field(gettext_lazy("充電効率"))
    discharge_efficiency = ratio_field(gettext_lazy("放電効率"))
    standing_loss = NumberField(
        label=gettext_lazy("待機損失（毎時）"),
        unit="%",
        digits=4,
        low=0,
        high=100,
        initial=Decimal(0),
    )

    def content(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """Return the store."""
        found: dict[str, Any] = dict(self.window(clean))
        for name, field, kind in self.NAMES:
            found[name] = share(clean[field]) if kind == "share" else plain(clean[field])
        return found

    @classmethod
    def initial_of(cls, content: Content) -> dict[str, Any]:
        """Show a store."""
        found: dict[str, Any] = {"t_first": content["first_t"], "t_end": content["last_t"] + 1}
        for name, field, kind in cls.NAMES:
            value = Decimal(content[name])
            found[field] = value * 100 if kind == "share" else value
        return found


class DeferralForm(OfferForm):
    """Work that arrives and may wait."""

    form = BidForm.DEFERRAL
    places = (
        (r"(?:.*\.)?first_t", "t_first"),
        (r"(?:.*\.)?last_t", "t_end"),
        (r"(?:.*\.)?arriving_kw.*", "arriving_kw"),
        (r"(?:.*\.)?slack_count", "slack_count"),
        (r"(?:.*\.)?service_limit_kw.*", "service_kw"),
        (r"(?:.*\.)?rebound_limit_kw", "rebound_kw"),
        (r"(?:.*\.)?extra_work_ratio", "extra_work"),
        (r"(?:.*\.)?ask_jpy_per_kwh", "ask"),
    )
    arriving_kw = ProfileField(
        label=gettext_lazy("到着する作業"),
        help_text=gettext_lazy("猶予できる作業の電力。1つの数なら全コマ同じ。"),
    )
    service_kw = ProfileField(
        label=gettext_lazy("処理の上限"),
        help_text=gettext_lazy("後回しにした分も含めて処理できる電力。"),
    )
    slack_count = NumberField(
        label=gettext_lazy("猶予"), unit=gettext_lazy("コマ"), digits=0, low=1, high=HALF_HOURS
    )
    rebound_kw = kw_field(gettext_lazy("回復の上限"))
    extra_work = ratio_field(gettext_lazy("再開の手間"), initial=Decimal(0))
    ask = price_field(gettext_lazy("価格"))

    def content(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """Return the work."""
        return {
            **self.window(clean),
            "arriving_kw": self.profile(clean, "arriving_kw"),
            "slack_count": int(clean["slack_count"]),
            "service_limit_kw": self.profile(clean, "service_kw"),
            "rebound_limit_kw": plain(clean["rebound_kw"]),
            "extra_work_ratio": share(clean["extra_work"]),
            "ask_jpy_per_kwh": plain(clean["ask"]),
        }

    @classmethod
    def initial_of(cls, content: Content) -> dict[str, Any]:
        """Show work that may wait."""
        return {
            "t_first": content["first_t"],
            "t_end": content["last_t"] + 1,
            "arriving_kw": [Decimal(kw) for kw in content["arriving_kw"]],
            "service_kw": [Decimal(kw) for kw in content["service_limit_kw"]],
            "slack_count": Decimal(content["slack_count"]),
            "rebound_kw": Decimal(content["rebound_limit_kw"]),
            "extra_work": Decimal(content["extra_work_ratio"]) * 100,
            "ask": Decimal(content["ask_jpy_per_kwh"]),
        }


class ShiftForm(OfferForm):
    """Work that can run elsewhere."""

    form = BidForm.SHIFT
    places = (
        (r"(?:.*\.)?offers\[0\]\.first_t", "t_first"),
        (r"(?:.*\.)?offers\[0\]\.last_t", "t_end"),
        (r"(?:.*\.)?(?:offers\[0\]\.)?quantity_kw", "kw"),
        (r"(?:.*\.)?offers\[0\]\.ask_jpy_per_kwh", "ask"),
        (r"(?:.*\.)?change_cost_jpy_per_kw", "change_cost"),
        (r"(?:.*\.)?gb_per_kw", "gb_per_kw"),
        (r"(?:.*\.)?gb_per_kwh", "gb_per_kwh"),
        (r"(?:.*\.)?labels_required.*", "labels"),
        (r"(?:.*\.)?hardware", "hardware"),
        (r"(?:.*\.)?latency_max_ms", "latency_ms"),
        *(
            (rf"(?:.*\.)?destinations\[{i}\]\.{name}", f"{field}_{i}")
            for i in range(DESTINATIONS_MAX)
            for name, field in (("resource", "to"), ("path", "path"), ("ratio", "ratio"))
        ),
        (r"(?:.*\.)?destinations", "to_0"),
    )
    kw = kw_field(gettext_lazy("量"))
    ask = price_field(gettext_lazy("価格"))
    change_cost = NumberField(
        label=gettext_lazy("切替の費用"),
        unit=gettext_lazy("円/kW"),
        digits=2,
        low=0,
        initial=Decimal(0),
    )
    gb_per_kw = NumberField(
        label=gettext_lazy("切替の通信量"), unit="GB/kW", digits=6, low=0, initial=Decimal(0)
    )
    gb_per_kwh = NumberField(
        label=gettext_lazy("実行中の通信量"), unit="GB/kWh", digits=6, low=0, initial=Decimal(0)
    )
    labels = TextField(
        label=gettext_lazy("必要なデータの所在ラベル"),
        required=False,
        help_text=gettext_lazy("空白で区切ります。例：country:JP"),
    )
    hardware = TextField(label=gettext_lazy("計算機種別"), required=False, max_length=40)
    latency_ms = NumberField(
        label=gettext_lazy("許容遅延"), unit="ms", digits=2, low=0, required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.destinations: Sequence[tuple[str, str]] = kwargs.pop("destinations", ())
        self.paths: Sequence[tuple[str, str]] = kwargs.pop("paths", ())
        super().__init__(*args, **kwargs)
        for i in range(DESTINATIONS_MAX):
            n = {"n": i + 1}
            self.fields[f"to_{i}"] = ChoiceField(
                label=gettext("移動先%(n)d") % n,
                choices=[("", "—"), *self.destinations],
                required=i == 0,
            )
            self.fields[f"path_{i}"] = ChoiceField(
                label=gettext("光パス%(n)d") % n,
                choices=[("", "—"), *self.paths],
                required=i == 0,
            )
            self.fields[f"ratio_{i}"] = NumberField(
                label=gettext("電力の比%(n)d") % n,
                digits=4,
                required=False,
                help_text=gettext("移動先で増える kW ÷ ここで減る kW"),
            )

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of the table of destinations."""
        return [
            {"to": self[f"to_{i}"], "path": self[f"path_{i}"], "ratio": self[f"ratio_{i}"]}
            for i in range(DESTINATIONS_MAX)
        ]

    def content(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """Return the shift."""
        found: dict[str, Any] = {
            "destinations": [
                {
                    "resource": clean[f"to_{i}"],
                    "path": clean[f"path_{i}"],
                    "ratio": plain(clean[f"ratio_{i}"] or Decimal(1)),
                }
                for i in range(DESTINATIONS_MAX)
                if clean[f"to_{i}"]
            ],
            "offers": [
                {
                    **self.window(clean),
                    "quantity_kw": plain(clean["kw"]),
                    "ask_jpy_per_kwh": plain(clean["ask"]),
                }
            ],
            "change_cost_jpy_per_kw": plain(clean["change_cost"]),
            "gb_per_kw": plain(clean["gb_per_kw"]),
            "gb_per_kwh": plain(clean["gb_per_kwh"]),
        }
        if clean["labels"]:
            found["labels_required"] = clean["labels"].split()
        if clean["hardware"]:
            found["hardware"] = clean["hardware"]
        if clean["latency_ms"] is not None:
            found["latency_max_ms"] = plain(clean["latency_ms"])
        return found

    @classmethod
    def initial_of(cls, content: Content) -> dict[str, Any]:
        """Show the first offer of a shift; a form has one window."""
        offer = content["offers"][0]
        found: dict[str, Any] = {
            "t_first": offer["first_t"],
            "t_end": offer["last_t"] + 1,
            "kw": Decimal(offer["quantity_kw"]),
            "ask": Decimal(offer["ask_jpy_per_kwh"]),
            "change_cost": Decimal(content["change_cost_jpy_per_kw"]),
            "gb_per_kw": Decimal(content["gb_per_kw"]),
            "gb_per_kwh": Decimal(content["gb_per_kwh"]),
            "labels": " ".join(content.get("labels_required") or ()),
            "hardware": content.get("hardware") or "",
        }
        if content.get("latency_max_ms") is not None:
            found["latency_ms"] = Decimal(str(content["latency_max_ms"]))
        for i, row in enumerate(content["destinations"][:DESTINATIONS_MAX]):
            found |= {
                f"to_{i}": row["resource"],
                f"path_{i}": row["path"],
                f"ratio_{i}": Decimal(row["ratio"]),
            }
        return found
