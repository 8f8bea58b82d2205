"""What is typed to register or alter a site, a resource or a class of work; services judge it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy

from accounts.parties.models import Organisation, OrganisationKind
from aggregator.portal import words
from aggregator.portal.dc.bids import work_kind_word
from aggregator.portal.forms import ChoiceField, NumberField, PortalForm, TextField, TickField
from aggregator.portal.templatetags.portal_dc import kind_word
from market.registry.models import (
    STORAGE_KINDS,
    Area,
    Resource,
    ResourceKind,
    Site,
    WorkloadClass,
    WorkloadKind,
)
from market.registry.selectors import buses_latest

PERCENT: Final = Decimal(100)
KW_HIGH: Final = Decimal(10) ** 9
BUSES_MAX: Final = 400  # that a select is made of; of more the code is typed
RATIOS: Final = (
    "loss_ratio", "charge_efficiency_ratio", "discharge_efficiency_ratio", "standing_loss_ratio",
)  # fmt: skip
LISTS: Final = ("labels", "hardware", "labels_required")
STORAGE: Final = (
    "energy_kwh", "reserve_kwh", "charge_kw", "discharge_kw", "charge_efficiency_ratio",
    "discharge_efficiency_ratio", "standing_loss_ratio",
)  # fmt: skip
STORAGE_NEEDED: Final = tuple(
    name for name in STORAGE if name not in ("reserve_kwh", "standing_loss_ratio")
)


class RegistryForm(PortalForm):
    """A form of a registered thing; `version` is of the row it was filled from."""

    version = TextField(required=False, max_length=12, widget=forms.HiddenInput())

    @property
    def shown(self) -> list[forms.BoundField]:
        """Fields that a person fills in."""
        return [bound for bound in self if not bound.is_hidden]

    def typed(self) -> dict[str, Any]:
        """Return what the services take: shares instead of percents, lists instead of words."""
        found = {}
        for name, value in self.cleaned_data.items():
            if name in RATIOS and value is not None:
                found[name] = value / PERCENT
            elif name in LISTS:
                found[name] = listed_words(value)
            else:
                found[name] = value
        found.pop("version", None)
        return found


def listed_words(text: str) -> list[str]:
    """Split what stands between commas and spaces, wide ones too."""
    return text.replace("、", " ").replace(",", " ").replace("，", " ").split()


def initial_of(row: Any, names: Any) -> dict[str, Any]:
    """Return a row's columns as its form shows them."""
    found: dict[str, Any] = {"version": str(row.version)}
    for name in names:
        if name == "version" or not hasattr(row, name):
            continue
        value = getattr(row, name)
        if name in RATIOS and value is not None:
            value = value * PERCENT
        elif name in LISTS:
            value = ", ".join(value)
        elif isinstance(value, Organisation | Area):
            value = value.pk
        found[name] = value
    return found


def _kw(label: Any, **more: Any) -> NumberField:
    return NumberField(
        label=label, unit="kW", digits=1, low=0, high=KW_HIGH, is_trimmed=True, **more
    )


def _kwh(label: Any, **more: Any) -> NumberField:
    return NumberField(
        label=label, unit="kWh", digits=1, low=0, high=KW_HIGH, is_trimmed=True, **more
    )


def _percent(label: Any, *, high: int = 100, digits: int = 2, **more: Any) -> NumberField:
    return NumberField(label=label, unit="%", digits=digits, low=0, high=high, **more)


class SiteChangeForm(RegistryForm):
    """What may change of a site."""

    name = TextField(label=gettext_lazy("名称"), max_length=80)
    name_en = TextField(label=gettext_lazy("名称（英語）"), max_length=80)
    bus_code = TextField(label=gettext_lazy("接続母線"), max_length=40)
    contract_kw = _kw(gettext_lazy("契約電力"))
    longitude_deg = NumberField(
        label=gettext_lazy("経度"), unit="°", digits=5, low=-180, high=180, is_trimmed=True
    )
    latitude_deg = NumberField(
        label=gettext_lazy("緯度"), unit="°", digits=5, low=-90, high=90, is_trimmed=True
    )
    labels = TextField(
        label=gettext_lazy("データの所在ラベル"), required=False, max_length=400,
        help_text=gettext_lazy("カンマか空白で区切ります。例：country:JP, cert:A"),
    )  # fmt: skip
    retailer = ChoiceField(label=gettext_lazy("小売電気事業者"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Organisation.objects.filter(kind=OrganisationKind.RETAILER).order_by("code")
        field: Any = self.fields["retailer"]
        field.choices = [("", "—"), *((str(row.pk), words.local_name(row)) for row in rows)]
        buses = list(buses_latest().order_by("area", "code")[: BUSES_MAX + 1])
        if 0 < len(buses) <= BUSES_MAX:
            choices = [(bus.code, f"{words.local_name(bus)} ({bus.code})") for bus in buses]
            self.fields["bus_code"] = ChoiceField(
                label=self.fields["bus_code"].label, choices=[("", "—"), *choices]
            )

    def typed(self) -> dict[str, Any]:
        """Return the entries with the retailer as the register has it."""
        found = super().typed()
        chosen = found["retailer"]
        found["retailer"] = Organisation.objects.get(pk=chosen) if chosen else None
        return found


class SiteForm(SiteChangeForm):
    """A site to register."""

    places = ((r"area_code", "area"),)
    code = TextField(
        label=gettext_lazy("コード"), max_length=40,
        help_text=gettext_lazy("英数字とハイフン。後から変えられません。"),
    )  # fmt: skip
    area = ChoiceField(label=gettext_lazy("エリア"))
    point_number = TextField(
        label=gettext_lazy("供給地点特定番号"), max_length=22,
        help_text=gettext_lazy("22桁。後から変えられません。"),
    )  # fmt: skip
    loss_ratio = _percent(gettext_lazy("損失率"), high=50)
    field_order: Any = (
        "code", "name", "name_en", "area", "bus_code", "point_number", "contract_kw", "loss_ratio",
        "longitude_deg", "latitude_deg", "labels", "retailer", "organisation",
    )  # fmt: skip

    def __init__(self, organisations: list[Organisation], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        area: Any = self.fields["area"]
        area.choices = [(row.pk, words.local_name(row)) for row in Area.objects.order_by("code")]
        if len(organisations) > 1:
            self.fields["organisation"] = ChoiceField(
                label=gettext_lazy("運用者"),
                choices=[(str(row.pk), words.local_name(row)) for row in organisations],
            )


class ResourceChangeForm(RegistryForm):
    """What may change of a resource."""

    name = TextField(label=gettext_lazy("名称"), max_length=80)
    name_en = TextField(label=gettext_lazy("名称（英語）"), max_length=80)
    limit_up_kw = _kw(gettext_lazy("上げ上限"))
    limit_down_kw = _kw(gettext_lazy("下げ上限"))
    response_s = NumberField(
        label=gettext_lazy("応動時間"), unit=gettext_lazy("秒"), low=0, high=86_400, required=False
    )
    hardware = TextField(
        label=gettext_lazy("計算機種別"), required=False, max_length=200,
        help_text=gettext_lazy("カンマか空白で区切ります。例：GPU, CPU"),
    )  # fmt: skip
    is_behind_meter = TickField(label=gettext_lazy("構内設置"))
    energy_kwh = _kwh(gettext_lazy("容量"), required=False)
    reserve_kwh = _kwh(gettext_lazy("売らない予備"), required=False)
    charge_kw = _kw(gettext_lazy("充電上限"), required=False)
    discharge_kw = _kw(gettext_lazy("放電上限"), required=False)
    charge_efficiency_ratio = _percent(gettext_lazy("充電効率"), required=False)
    discharge_efficiency_ratio = _percent(gettext_lazy("放電効率"), required=False)
    standing_loss_ratio = _percent(gettext_lazy("1時間の自己放電"), digits=4, required=False)

    def __init__(self, *args: Any, kind: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind_fixed = kind
        if kind and kind not in STORAGE_KINDS:
            for name in STORAGE:
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """Ask for a store's limits where there is a store."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if (self.kind_fixed or found.get("kind")) in STORAGE_KINDS:
            for name in STORAGE_NEEDED:
                if found.get(name) is None and name not in self.errors:
                    required = self.fields[name].error_messages["required"]
                    self.add_error(name, required)
        return found

    def storage(self) -> dict[str, Any] | None:
        """Return the store that is typed, if the kind has one."""
        typed = self.typed()
        if (self.kind_fixed or typed.get("kind")) not in STORAGE_KINDS:
            return None
        return {name: typed[name] for name in STORAGE if typed.get(name) is not None}

    def plain(self) -> dict[str, Any]:
        """Return what is typed of the resource itself."""
        found = {name: value for name, value in self.typed().items() if name not in STORAGE}
        if found.get("response_s") is not None:
            found["response_s"] = int(found["response_s"])
        return found


class ResourceForm(ResourceChangeForm):
    """A resource to register."""

    code = TextField(
        label=gettext_lazy("コード"), max_length=40,
        help_text=gettext_lazy("英数字とハイフン。後から変えられません。"),
    )  # fmt: skip
    kind = ChoiceField(label=gettext_lazy("種別"))
    field_order: Any = ("code", "name", "name_en", "kind")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["kind"]
        field.choices = [(kind, kind_word(kind)) for kind in ResourceKind.values]


class WorkChangeForm(RegistryForm):
    """What may change of a class of work."""

    power_kw = _kw(gettext_lazy("電力"))
    slack_h = NumberField(
        label=gettext_lazy("猶予"), unit=gettext_lazy("時間"), digits=1, low=0, high=10_000,
        is_trimmed=True,
    )  # fmt: skip
    value_jpy_per_kwh = NumberField(
        label=gettext_lazy("計算の価値"), unit=gettext_lazy("円/kWh"), digits=2, low=0,
        high=100_000,
    )  # fmt: skip
    latency_max_ms = NumberField(
        label=gettext_lazy("許される遅延"), unit="ms", digits=2, low=0, high=100_000, required=False
    )
    labels_required = TextField(
        label=gettext_lazy("必要なラベル"), required=False, max_length=400,
        help_text=gettext_lazy("カンマか空白で区切ります。例：country:JP, cert:A"),
    )  # fmt: skip


class WorkForm(WorkChangeForm):
    """A class of work to add."""

    kind = ChoiceField(label=gettext_lazy("作業の種類"))
    pool = TextField(label=gettext_lazy("計算機"), max_length=20)
    field_order: Any = ("kind", "pool")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["kind"]
        field.choices = [(kind, work_kind_word(kind)) for kind in WorkloadKind.values]


def site_initial(site: Site) -> dict[str, Any]:
    """Return what is shown of a site."""
    return initial_of(site, SiteChangeForm.base_fields)


def resource_initial(resource: Resource) -> dict[str, Any]:
    """Return what is shown of a resource and its store."""
    found = initial_of(resource, ResourceChangeForm.base_fields)
    store = getattr(resource, "storage", None)
    if store is not None:
        found |= {name: _shown(name, getattr(store, name)) for name in STORAGE}
    return found


def work_initial(work: WorkloadClass) -> dict[str, Any]:
    """Return what is shown of a class of work."""
    return initial_of(work, WorkChangeForm.base_fields)


def _shown(name: str, value: Any) -> Any:
    return value * PERCENT if name in RATIOS else value


def as_text(form: RegistryForm, values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as the form's inputs would show them; for comparing two tabs."""
    found = {}
    for name, field in form.fields.items():
        value = values.get(name)
        found[name] = "" if value is None else str(field.prepare_value(value))
    return found
