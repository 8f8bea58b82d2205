"""Does it pay? A resource's flexibility at past public prices, over the years of an investment.

Nothing is stored: what was typed stands in the address, so that it can be shared and printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import quantiles
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_safe

from aggregator.core import business_case as core
from aggregator.core.business_case import BusinessCase, DayEarned, Terms
from aggregator.core.terms import SettlementRules, rules_from_mapping
from aggregator.core.value_of_compute import (
    DISPLACED_DEFAULT_RATIO,
    CostStep,
    deferral_jpy_per_kwh,
    power_cap_steps,
    stop_jpy_per_kwh,
)
from aggregator.portal import words
from aggregator.portal.dc import selectors
from aggregator.portal.dc.bids import RESOURCE_TEXT_MAX, RESOURCES_MAX, work_kind_word
from aggregator.portal.dc.meaning import WEAR_DEFAULT_JPY_PER_KWH
from aggregator.portal.entering import person_required
from aggregator.portal.facts import mechanism_word
from aggregator.portal.forms import NumberField, PortalForm
from aggregator.portal.frame import frame, market_time, sight_in
from market.registry.models import Resource, WorkloadClass
from market.registry.selectors import ruleset_on
from market.trading.bid_checks import FITS
from market.trading.models import Mechanism

READ: Final = "bid.read"
DAYS_MAX: Final = 28
LONGEST_DEFAULT_H: Final = Decimal(3)
LONGEST_MAX_H: Final = Decimal(24)
PARTS: Final = 3  # of a choice: resource, mechanism, class of work
PERCENT: Final = Decimal(100)
DECILES: Final = 10
FINEST: Final = 2
TURNS: Final = (Decimal("0.8"), Decimal("1.2"))
WORTH: Final = (Mechanism.POWER_CAP, Mechanism.DEFERRAL, Mechanism.STOP)
JPY_HIGH: Final = Decimal(10) ** 12
KW_HIGH: Final = Decimal(10) ** 7


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is looked at: a resource used in one way."""

    resource: Resource
    mechanism: str
    work: WorkloadClass | None

    @property
    def is_store(self) -> bool:
        """Whether energy is stored rather than work put off."""
        return self.mechanism == Mechanism.BATTERY

    @property
    def value(self) -> str:
        """The choice as an address has it."""
        kind = self.work.kind if self.work else ""
        return f"{self.resource.code}|{self.mechanism}|{kind}"

    @property
    def word(self) -> str:
        """The choice in the page's language."""
        parts = [words.local_name(self.resource), mechanism_word(self.mechanism)]
        if self.work is not None:
            parts.append(work_kind_word(self.work.kind))
        return gettext("・").join(parts)


class CaseForm(PortalForm):
    """What a case rests on; what the resource tells is filled in."""

    kw = NumberField(label=gettext_lazy("使う電力"), unit="kW", digits=1, low=0, high=KW_HIGH)
    value = NumberField(
        label=gettext_lazy("計算の価値"), unit=gettext_lazy("円/kWh"), digits=2, low=0,
        high=100_000, required=False,
    )  # fmt: skip
    displaced = NumberField(
        label=gettext_lazy("有料の仕事を押しのける割合"), unit="%", digits=1, low=0, high=100,
        required=False,
    )  # fmt: skip
    longest = NumberField(
        label=gettext_lazy("1日に続けられる時間"), unit=gettext_lazy("時間"), digits=1, low=0,
        high=LONGEST_MAX_H, required=False,
    )  # fmt: skip
    usable = NumberField(
        label=gettext_lazy("使える容量"), unit="kWh", digits=1, low=0, high=KW_HIGH, required=False
    )
    wear = NumberField(
        label=gettext_lazy("摩耗費"), unit=gettext_lazy("円/kWh"), digits=2, low=0, high=1_000,
        required=False,
    )  # fmt: skip
    days = NumberField(label=gettext_lazy("年に出す日数"), unit=gettext_lazy("日"), low=1, high=366)
    missing = NumberField(label=gettext_lazy("未達の割合"), unit="%", digits=1, low=0, high=100)
    capital = NumberField(
        label=gettext_lazy("初期投資"), unit=gettext_lazy("円"), low=0, high=JPY_HIGH
    )
    fixed = NumberField(
        label=gettext_lazy("毎年の固定費"), unit=gettext_lazy("円"), low=0, high=JPY_HIGH
    )
    years = NumberField(label=gettext_lazy("使う年数"), unit=gettext_lazy("年"), low=1, high=40)
    discount = NumberField(label=gettext_lazy("割引率"), unit="%", digits=1, low=0, high=50)

    def __init__(self, subject: Subject, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        left_out = {"value", "displaced", "longest"} if subject.is_store else {"usable", "wear"}
        if subject.mechanism != Mechanism.DEFERRAL:
            left_out.add("displaced")
        for name in left_out:
            del self.fields[name]
        for name in ("value", "displaced", "longest", "usable", "wear"):
            if name in self.fields:
                self.fields[name].required = True


def subjects_of(resources: Sequence[Resource]) -> list[Subject]:
    """Return the ways to use resources whose cost can be computed."""
    found = []
    for resource in resources:
        fitting = {name for ways in FITS.get(resource.kind, {}).values() for name in ways}
        if Mechanism.BATTERY in fitting and getattr(resource, "storage", None) is not None:
            found.append(Subject(resource=resource, mechanism=Mechanism.BATTERY, work=None))
        found += [
            Subject(resource=resource, mechanism=mechanism, work=work)
            for work in resource.workload_classes.all()
            for mechanism in WORTH
            if mechanism in fitting and work.power_kw > 0
        ]
    return found


def proposal(subject: Subject) -> dict[str, Any]:
    """Return what is filled in: what is registered of the resource; money is the reader's."""
    resource, work = subject.resource, subject.work
    found: dict[str, Any] = {
        "kw": resource.limit_up_kw, "days": 365, "missing": Decimal(0), "capital": Decimal(0),
        "fixed": Decimal(0), "years": 10, "discount": Decimal(5),
    }  # fmt: skip
    if subject.is_store:
        store = resource.storage
        found |= {
            "kw": min(store.discharge_kw, resource.limit_up_kw),
            "usable": store.energy_kwh - store.reserve_kwh,
            "wear": WEAR_DEFAULT_JPY_PER_KWH,
        }
    elif work is not None:
        slack_h = min(LONGEST_MAX_H, work.slack_h)
        is_deferral = subject.mechanism == Mechanism.DEFERRAL
        found |= {
            "kw": min(work.power_kw, resource.limit_up_kw),
            "value": work.value_jpy_per_kwh,
            "longest": slack_h if is_deferral else LONGEST_DEFAULT_H,
            "displaced": DISPLACED_DEFAULT_RATIO * PERCENT,
        }
    return found


def steps_of(subject: Subject, clean: dict[str, Any]) -> list[CostStep]:
    """Return the cost curve of what is typed."""
    kw, value = clean["kw"], clean["value"]
    if subject.mechanism == Mechanism.POWER_CAP:
        kind = subject.work.kind if subject.work else ""
        return power_cap_steps(value, power_kw=kw, kind=kind)
    if subject.mechanism == Mechanism.DEFERRAL:
        cost = deferral_jpy_per_kwh(value, displaced_ratio=clean["displaced"] / PERCENT)
    else:
        cost = stop_jpy_per_kwh(value)
    return [CostStep(quantity_kw=kw, cost_jpy_per_kwh=cost)]


def day_of(subject: Subject, clean: dict[str, Any], prices: Sequence[Decimal]) -> DayEarned:
    """Return what one day's prices would have brought."""
    if not subject.is_store:
        return core.day_earned(prices, steps_of(subject, clean), longest_h=clean["longest"])
    store = subject.resource.storage
    return core.stored_day_earned(
        prices,
        discharge_kw=clean["kw"],
        charge_kw=min(store.charge_kw, subject.resource.limit_down_kw),
        usable_kwh=clean["usable"],
        charge_efficiency_ratio=store.charge_efficiency_ratio,
        discharge_efficiency_ratio=store.discharge_efficiency_ratio,
        wear_jpy_per_kwh=clean["wear"],
    )


def terms_of(clean: dict[str, Any], rules: SettlementRules) -> Terms:
    """Return the terms that are typed and those of the rules in force."""
    return Terms(
        day_count=clean["days"],
        missing_ratio=clean["missing"] / PERCENT,
        tolerance_ratio=rules.tolerance_ratio,
        penalty_factor_ratio=rules.penalty_factor_ratio,
        fee_ratio=rules.fee_ratio,
        capital_jpy=clean["capital"],
        fixed_jpy=clean["fixed"],
        year_count=int(clean["years"]),
        discount_ratio=clean["discount"] / PERCENT,
    )


@person_required(READ)
@require_safe
def business_case(request: HttpRequest) -> HttpResponse:
    """Show what a resource's flexibility brings in a year and over the years, and why."""
    sight, now = sight_in(request), market_time()
    text = request.GET.get("named", "").strip()[:RESOURCE_TEXT_MAX]
    resources = selectors.resources_named(sight, text, most=RESOURCES_MAX + 1)
    subjects = subjects_of(resources[:RESOURCES_MAX])
    chosen = _chosen(request, subjects)
    context: dict[str, Any] = {
        **frame(request, page="dc_sites", now=now),
        "subjects": subjects,
        "chosen": chosen,
        "named": text,
        "is_searched": bool(text) or len(resources) > RESOURCES_MAX,
    }
    if chosen is None:
        return render(request, "portal/dc/business_case.html", context)
    is_typed = "kw" in request.GET
    form = CaseForm(chosen, request.GET if is_typed else _as_typed(proposal(chosen)))
    context |= {"form": form, "status": 200}
    today = selectors.jst_day(now.now)
    rules = rules_from_mapping(ruleset_on(today).rules.get("settlement", {}))
    prices = selectors.prices_before(chosen.resource.site, today + timedelta(days=1), days=DAYS_MAX)
    if form.is_valid() and prices:
        context |= told_of(chosen, form.cleaned_data, prices, rules)
    status = 200 if form.is_valid() else 422
    return render(request, "portal/dc/business_case.html", context, status=status)


def _chosen(request: HttpRequest, subjects: Sequence[Subject]) -> Subject | None:
    """Return what the address chooses, else the first there is."""
    value = request.GET.get("subject")
    if value is None:
        return subjects[0] if subjects else None
    code = value.split("|")[0]
    if value.count("|") != PARTS - 1:
        raise Http404(gettext("このリソースは見つかりません。"))
    resource = selectors.resource_own(sight_in(request), code)
    of_it = subjects_of([resource]) if resource is not None else []
    found = next((subject for subject in of_it if subject.value == value), None)
    if found is None:
        raise Http404(gettext("このリソースは見つかりません。"))
    return found


def _as_typed(values: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        number = Decimal(value)
        found[name] = words.number(number, 0 if number == int(number) else FINEST)
    return found


def told_of(
    subject: Subject,
    clean: dict[str, Any],
    prices: dict[date, list[Decimal]],
    rules: SettlementRules,
) -> dict[str, Any]:
    """Return the case and what is said of it."""
    days = [day_of(subject, clean, series) for series in prices.values()]
    case = core.case_of(days, terms_of(clean, rules))
    return {
        "case": case,
        "rows": rows_of(case),
        "first_day": min(prices),
        "last_day": max(prices),
        "day_count": len(prices),
        "deciles": _deciles([day.gain_jpy for day in days]),
        "turns": turns_of(case),
        "steps": [] if subject.is_store else steps_of(subject, clean),
        "mean_jpy_per_kwh": case.received_jpy / case.sold_kwh if case.sold_kwh else None,
        "net_headline": words.yen_headline(case.net_jpy),
        "value_headline": words.yen_headline(case.value_jpy),
    }


def rows_of(case: BusinessCase) -> list[tuple[str, str, Decimal]]:
    """Return a year by item: its name, its formula in words, JPY."""
    terms = case.terms
    share = {
        "missing": words.percent(terms.missing_ratio, 1),
        "tolerance": words.percent(terms.tolerance_ratio, 1),
        "extra": words.number(terms.penalty_factor_ratio - 1, 2),
        "fee": words.percent(terms.fee_ratio, 1),
        "kwh": words.number(case.sold_kwh),
        "days": words.number(terms.day_count),
    }
    return [
        (
            gettext("受取"),
            gettext("売れる電力量 %(kwh)s kWh × そのときの地点価格（1日の平均 × %(days)s日）")
            % share,
            case.received_jpy,
        ),
        (
            gettext("未達で払われない分"),
            gettext("受取 × 未達 %(missing)s %%") % share,
            -case.unpaid_jpy,
        ),
        (
            gettext("ペナルティ"),
            gettext("受取 ×（未達 %(missing)s %% − 許容 %(tolerance)s %%、0 以上）× %(extra)s")
            % share,
            -case.penalty_jpy,
        ),
        (
            gettext("手数料"),
            gettext("（受取 − 未達で払われない分）× %(fee)s %%") % share,
            -case.fee_jpy,
        ),
        (gettext("出すための費用"), gettext("売れる電力量 × その段の費用"), -case.cost_jpy),
        (gettext("毎年の固定費"), gettext("入力のとおり"), -terms.fixed_jpy),
    ]


def turns_of(case: BusinessCase) -> list[tuple[str, list[BusinessCase]]]:
    """Return what a fifth less and more of one thing changes."""
    names = [
        ("receipts", gettext("価格")),
        ("cost", gettext("出すための費用")),
        ("days", gettext("出す日数")),
        ("capital", gettext("初期投資")),
    ]
    return [(word, [core.turned(case, name, ratio) for ratio in TURNS]) for name, word in names]


def _deciles(gains: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal] | None:
    """Return P10, P50 and P90 of the days' gains; None of a single day."""
    if len(gains) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    cuts = quantiles(gains, n=DECILES, method="inclusive")
    return cuts[0], cuts[4], cuts[8]
