"""Instructions to one's sites, and what was delivered against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.csvtext import Cell
from aggregator.core.terms import rules_from_mapping
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.services import instruction_acknowledge, instruction_opt_out
from aggregator.metering.models import CAUSE_CHOICES, Baseline, Delivery, Meter
from aggregator.metering.selectors import readings_latest
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.dc import looks, selectors
from aggregator.portal.dc.pictures import chart_answer
from aggregator.portal.entering import person_required
from aggregator.portal.forms import PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, csv_answer, listed
from aggregator.portal.templatetags.portal import instruction_word
from aggregator.portal.tokens import Palette
from market.registry.models import Resource
from market.trading.models import Auction

READ: Final = "bid.read"
READ_DELIVERY: Final = "delivery.read"
HALF_HOURS: Final = 48
REASON_LENGTH_MAX: Final = 200
AUCTIONS_SHOWN: Final = 30
CAUSES: Final = dict(CAUSE_CHOICES)
COLUMNS: Final = (
    "resource", "direction", "koma", "ordered_kwh", "baseline_kwh", "metered_kwh", "delivered_kwh",
    "shortfall_kwh", "cause",
)  # fmt: skip


@person_required(READ)
@require_safe
def instruction_list(request: HttpRequest) -> HttpResponse:
    """Show instructions, those that wait for an answer first."""
    sight = sight_in(request)
    rows = selectors.instructions_own(sight)
    listing = listed(
        request,
        rows,
        filters=[
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=[(state, instruction_word(state)) for state in InstructionState.values],
            )
        ],
        sorts={"start": ("starts_at", "id")},
        sort="-start",
    )
    if listing.wants_csv:
        header = ("site", "resource", "direction", "starts_at", "ends_at", "state", "peak_kw")
        return listing.csv("instructions.csv", header, _instruction_cells)
    waiting = list(selectors.instructions_waiting(sight).order_by("respond_by_at", "id")[:20])
    return render(
        request,
        "portal/dc/instructions.html",
        {
            **frame(request, page="dc_instructions"),
            "listing": listing,
            "rows": [{"row": row, "peak_kw": _peak_kw(row)} for row in listing.shown],
            "waiting": [
                {
                    "row": row,
                    "peak_kw": _peak_kw(row),
                    "respond_ms": int(row.respond_by_at.timestamp() * 1000),
                }
                for row in waiting
            ],
            "answers": sight.may_somewhere("instruction.answer"),
        },
    )


def _peak_kw(row: DispatchInstruction) -> Decimal:
    return max((each.quantity_kw for each in row.intervals.all()), default=Decimal(0))


def _instruction_cells(row: DispatchInstruction) -> list[Cell]:
    return [
        row.resource.site.code,
        row.resource.code,
        row.direction,
        row.starts_at,
        row.ends_at,
        row.state,
        _peak_kw(row),
    ]


class AnswerForm(PortalForm):
    """A site's answer: yes, or no with its reason."""

    places = ((r"(?:.*\.)?reason", "reason"),)
    answer = TextField(required=False, max_length=10)
    reason = TextField(
        label=gettext_lazy("辞退の理由"), required=False, max_length=REASON_LENGTH_MAX
    )

    def clean(self) -> dict[str, Any]:
        """Ask for a reason where one is due."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("answer") == "no" and not found.get("reason"):
            self.add_error("reason", gettext("辞退するときは理由を入力してください。"))
        return found


@person_required(READ)
@require_http_methods(["GET", "POST"])
def instruction_one(request: HttpRequest, instruction_id: UUID) -> HttpResponse:
    """Show an instruction, accept or decline it."""
    sight = sight_in(request)
    row = selectors.instructions_own(sight).filter(id=instruction_id).first()
    if row is None:
        raise Http404(gettext("この指令は見つかりません。"))
    may_answer = row.organisation_id in sight.organisations_for("instruction.answer")
    if request.method == "POST" and not may_answer:
        raise Http404(gettext("この指令は見つかりません。"))
    here = reverse("portal:dc_instruction", args=[row.id])

    def work(clean: dict[str, Any]) -> Done:
        if clean["answer"] == "no":
            instruction_opt_out(
                instruction_id=row.id, organisation=row.organisation, reason=clean["reason"]
            )
            return Done(url=here, said=gettext("指令を辞退しました。代わりが探されます。"))
        instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
        return Done(url=here, said=gettext("指令の受領を確認しました。"))

    def context(form: PortalForm) -> dict[str, Any]:
        del form
        now = market_time()
        can_yes = row.state == InstructionState.SENT and now.now <= row.respond_by_at
        can_no = row.state in (InstructionState.SENT, InstructionState.ACKNOWLEDGED) and (
            now.now < row.starts_at
        )
        return {
            **frame(request, page="dc_instructions", now=now),
            "row": row,
            "intervals": sorted(row.intervals.all(), key=lambda each: each.t),
            "peak_kw": _peak_kw(row),
            "kwh": sum((each.quantity_kw for each in row.intervals.all()), Decimal(0)) / 2,
            "respond_ms": int(row.respond_by_at.timestamp() * 1000),
            "can_yes": may_answer and can_yes,
            "can_no": may_answer and can_no,
        }

    page = FormPage(
        form=lambda data, _: AnswerForm(data),
        work=work,
        template="portal/dc/instruction.html",
        context=context,
    )
    return page.answer(request)


@person_required(READ)
@require_safe
def delivery_list(request: HttpRequest) -> HttpResponse:
    """Show by auction what was ordered and delivered."""
    sight = sight_in(request)
    own = sight.organisations_for(READ_DELIVERY)
    auctions = list(looks.auctions_verified(own).order_by("-delivery_on", "code")[:AUCTIONS_SHOWN])
    latest = looks.verifications_latest([row.id for row in auctions])
    code = request.GET.get("auction")
    auction = next((row for row in auctions if code in (None, row.code)), None)
    if auction is None and code is not None:
        raise Http404(gettext("この実績は見つかりません。"))
    found = looks.deliveries_own(sight, latest[auction.id]) if auction else None
    if auction and found is not None and request.GET.get("format") == "csv":
        rows = list(found)
        rows.sort(key=lambda row: (row.award.resource.code, row.award.direction, row.t))
        return csv_answer(f"deliveries-{auction.code}.csv", COLUMNS, map(_delivery_cells, rows))
    return render(
        request,
        "portal/dc/deliveries.html",
        {
            **frame(request, page="dc_deliveries"),
            "auctions": auctions,
            "auction": auction,
            "look": latest[auction.id] if auction else None,
            **({} if found is None else _summed(request, found)),
        },
    )


def _delivery_cells(row: Delivery) -> list[Cell]:
    return [
        row.award.resource.code,
        row.award.direction,
        row.t + 1,
        row.ordered_kwh,
        row.baseline_kwh,
        row.metered_kwh,
        row.delivered_kwh,
        row.shortfall_kwh,
        row.cause,
    ]


def _totals(rows: Sequence[Delivery]) -> dict[str, Any]:
    ordered = sum((row.ordered_kwh for row in rows), Decimal(0))
    delivered = sum((row.delivered_kwh for row in rows), Decimal(0))
    return {
        "ordered": ordered,
        "delivered": delivered,
        "missing": sum((row.shortfall_kwh for row in rows), Decimal(0)),
        "ratio": delivered / ordered if ordered else None,
    }


def _summed(request: HttpRequest, rows: QuerySet[Delivery]) -> dict[str, Any]:
    """Return a page of sums by resource and direction, and the totals of all."""
    groups = looks.delivery_groups(rows)
    listing = listed(request, groups)
    resources = Resource.objects.select_related("site").in_bulk(
        [row["award__resource_id"] for row in listing.shown]
    )
    shown = [
        {
            **row,
            "resource": resources[row["award__resource_id"]],
            "direction": row["award__direction"],
            "ratio": row["delivered"] / row["ordered"] if row["ordered"] else None,
            "causes": sorted({str(CAUSES[cause]) for cause in row["causes"] if cause}),
        }
        for row in listing.shown
    ]
    totals = looks.sums_of(rows)
    ratio = totals["delivered"] / totals["ordered"] if totals["ordered"] else None
    return {"listing": listing, "rows": shown, "totals": {**totals, "ratio": ratio}}


def _delivery_of(
    request: HttpRequest, code: str, resource_code: str
) -> tuple[Auction, Resource, list[Delivery]]:
    sight = sight_in(request)
    auction = Auction.objects.filter(code=code).select_related("ruleset").first()
    resource = Resource.objects.filter(code=resource_code).select_related("site").first()
    if auction is None or resource is None:
        raise Http404(gettext("この実績は見つかりません。"))
    look = looks.verifications_latest([auction.id]).get(auction.id)
    rows = (
        list(looks.deliveries_own(sight, look).filter(award__resource=resource))
        if look is not None
        else []
    )
    if not rows:
        raise Http404(gettext("この実績は見つかりません。"))
    return auction, resource, sorted(rows, key=lambda row: (row.t, row.pk))


def _half_hours(rows: Sequence[Delivery]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(
            row.t,
            {"t": row.t, "up": Decimal(0), "down": Decimal(0), "delivered": Decimal(0),
             "missing": Decimal(0), "baseline": row.baseline_kwh, "metered": row.metered_kwh,
             "cause": row.get_cause_display() if row.cause else ""},
        )  # fmt: skip
        one["up" if row.award.direction == "UP" else "down"] += row.ordered_kwh
        one["delivered"] += row.delivered_kwh
        one["missing"] += row.shortfall_kwh
    return [found[t] for t in sorted(found)]


@person_required(READ)
@require_safe
def delivery_one(request: HttpRequest, code: str, resource: str) -> HttpResponse:
    """Show the delivery of one resource, half hour by half hour."""
    auction, unit, rows = _delivery_of(request, code, resource)
    baseline = (
        Baseline.objects.filter(resource=unit, delivery_on=auction.delivery_on)
        .order_by("-revision")
        .first()
    )
    return render(
        request,
        "portal/dc/delivery.html",
        {
            **frame(request, page="dc_deliveries"),
            "auction": auction,
            "resource": unit,
            "rows": _half_hours(rows),
            "totals": _totals(rows),
            "baseline": baseline,
            "look": looks.verifications_latest([auction.id])[auction.id],
        },
    )


@person_required(READ)
@require_safe
def delivery_chart(request: HttpRequest, code: str, resource: str) -> HttpResponse:
    """Draw meter against baseline."""
    auction, unit, rows = _delivery_of(request, code, resource)
    base, meter = _series(auction, unit, rows)
    order = [0.0] * HALF_HOURS
    for row in rows:
        kw = float(row.ordered_kwh) * 2
        order[row.t] += -kw if row.award.direction == "UP" else kw
    rules = rules_from_mapping(auction.ruleset.rules.get("settlement", {}))

    def build(palette: Palette) -> Any:
        from aggregator.portal.charts.dc import DeliveryChart, delivery_figure

        chart = DeliveryChart(
            base_kw=base,
            meter_kw=meter,
            order_kw=order,
            tolerance_ratio=float(rules.tolerance_ratio),
            words={},
        )
        return delivery_figure(chart, palette)

    return chart_answer(request, build)


def _series(
    auction: Auction, unit: Resource, rows: Sequence[Delivery]
) -> tuple[list[float], list[float]]:
    """Return baseline and meter over the day in kW; unknown half hours are NaN."""
    base, meter = [math.nan] * HALF_HOURS, [math.nan] * HALF_HOURS
    known = (
        Baseline.objects.filter(
            resource=unit, delivery_on=auction.delivery_on, baseline_kwh__isnull=False
        )
        .order_by("-revision")
        .first()
    )
    if known is not None and known.baseline_kwh is not None:
        base = [float(kwh) * 2 for kwh in known.baseline_kwh]
    device = Meter.objects.filter(resource=unit).first()
    if device is not None:
        start = selectors.day_start(auction.delivery_on)
        for reading in readings_latest(
            meter_ids=[device.pk],
            start_at=start,
            end_at=start + timedelta(days=1),
            as_of=market_time().now,
        ):
            if reading.energy_kwh is not None:
                meter[reading.t] = float(reading.energy_kwh) * 2
    for row in rows:
        if row.baseline_kwh is not None:
            base[row.t] = float(row.baseline_kwh) * 2
        if row.metered_kwh is not None:
            meter[row.t] = float(row.metered_kwh) * 2
    return base, meter
