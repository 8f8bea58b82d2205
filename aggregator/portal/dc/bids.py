"""The list of bids: what stands in the book, what is still a draft; and the bids' charts."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.core.csvtext import Cell
from aggregator.portal import words
from aggregator.portal.dc import selectors
from aggregator.portal.dc.desk import KIND, desk_of
from aggregator.portal.dc.editor import told_saved
from aggregator.portal.dc.offered import OFFERS, form_word
from aggregator.portal.dc.pictures import chart_answer
from aggregator.portal.dc.sheets import body_kept
from aggregator.portal.drafts import draft_text, drafts_open
from aggregator.portal.entering import person_required
from aggregator.portal.facts import mechanism_word
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, Listing, csv_answer, listed
from aggregator.portal.tokens import Palette
from market.registry.models import Resource, WorkloadKind
from market.trading import bid_sheets
from market.trading.bid_checks import FITS
from market.trading.models import Auction, AuctionState, Bid, BidForm, BidState

READ = "bid.read"
HALF_HOURS = 48
RESOURCES_MAX = 30  # that a select is made of
RESOURCE_TEXT_MAX = 80
COLUMNS = (
    "auction", "client_bid_id", "version", "state", "form", "mechanism", "resource",
    "workload_class", "received_at",
)  # fmt: skip


def state_word(state: str) -> str:
    """Name the state of a bid in the page's language."""
    return {
        "SUBMITTED": gettext("提出済"),
        "SUPERSEDED": gettext("差替済"),
        "WITHDRAWN": gettext("取下げ"),
    }.get(state, state)


def _filters(auctions: list[Auction]) -> list[Filter]:
    def by(name: str) -> Any:
        def apply(rows: QuerySet[Bid], value: str) -> QuerySet[Bid]:
            return rows.filter(**{name: value})

        return apply

    return [
        Filter(
            name="auction",
            label=gettext("オークション"),
            apply=by("auction__code"),
            choices=[
                (row.code, f"{words.auction_name(row)} {words.day_short(row.delivery_on)}")
                for row in auctions
            ],
        ),
        Filter(
            name="state",
            label=gettext("状態"),
            apply=by("state"),
            choices=[(state, state_word(state)) for state in BidState.values],
        ),
        Filter(
            name="form",
            label=gettext("形式"),
            apply=by("form"),
            choices=[(form, form_word(form)) for form in BidForm.values],
        ),
        Filter(name="q", label=gettext("入札番号"), apply=by("client_bid_id__startswith")),
    ]


def listing_of(request: HttpRequest, auctions: list[Auction]) -> Listing:
    """Return the person's bids as asked for."""
    rows = selectors.bids_own(sight_in(request))
    return listed(
        request,
        rows,
        filters=_filters(auctions),
        sorts={
            "received": ("received_at", "id"),
            "name": ("client_bid_id", "version", "id"),
        },
        sort="-received",
        ids_first=True,
    )


@person_required(READ)
@require_safe
def bid_list(request: HttpRequest) -> HttpResponse:
    """Show bids and drafts, or the bids as CSV."""
    sight = sight_in(request)
    opened = selectors.auctions_open()
    auctions = list({row.id: row for row in (*opened, *selectors.auctions_recent())}.values())
    listing = listing_of(request, auctions)
    if listing.wants_csv:
        return listing.csv("bids.csv", COLUMNS, _cells)
    chosen = next((row for row in auctions if row.code == request.GET.get("auction")), None)
    now = market_time()
    writes = sight.may_somewhere("bid.submit")
    return render(
        request,
        "portal/dc/bids.html",
        {
            **frame(request, page="dc_bids", now=now),
            "listing": listing,
            "drafts": _drafts(sight) if writes else [],
            "auction": chosen or (opened[0] if opened else None),
            "opened": opened,
            "gate_ms": _gate_ms(chosen or (opened[0] if opened else None)),
            **(_offers(request) if writes else {}),
            "writes": writes,
        },
    )


def _offers(request: HttpRequest) -> dict[str, Any]:
    """Return what may be bid now; of many resources those like a name, the first of them."""
    text = request.GET.get("resource", "").strip()[:RESOURCE_TEXT_MAX]
    found = selectors.resources_named(sight_in(request), text, most=RESOURCES_MAX + 1)
    return {
        "offers": offers_possible(found[:RESOURCES_MAX]),
        "resource_text": text,
        "is_searched": bool(text) or len(found) > RESOURCES_MAX,
    }


def _gate_ms(auction: Auction | None) -> int | None:
    if auction is None or auction.state != AuctionState.OPEN:
        return None
    return int(auction.gate_closure_at.timestamp() * 1000)


def _drafts(sight: Any) -> list[dict[str, Any]]:
    found = []
    own = [row.id for row in selectors.operators_of(sight, "bid.submit")]
    for row in drafts_open(organisation_ids=own, kind=KIND)[:50]:
        head = draft_text(row).head
        found.append({"draft": row, "form": head.get("form"), "resource": head.get("resource")})
    return found


def _cells(bid: Bid) -> list[Cell]:
    return [
        bid.auction.code,
        bid.client_bid_id,
        bid.version,
        bid.state,
        bid.form,
        bid.mechanism,
        bid.resource.code if bid.resource else "",
        bid.workload_class.kind if bid.workload_class else "",
        bid.received_at,
    ]


def offers_possible(resources: list[Resource]) -> list[dict[str, Any]]:
    """Return what each resource can be bid as, grouped by resource, for a select."""
    found = []
    for resource in resources:
        choices = []
        for form, mechanisms in FITS.get(resource.kind, {}).items():
            if form not in OFFERS:
                continue
            for mechanism in mechanisms:
                choices += _choices(resource, form, mechanism)
        if choices:
            found.append({"resource": resource, "choices": choices})
    return found


def _choices(resource: Resource, form: str, mechanism: str) -> list[tuple[str, str]]:
    kinds = [row.kind for row in resource.workload_classes.all()]
    head = f"{resource.code}|{form}|{mechanism}"
    name = f"{form_word(form)}・{mechanism_word(mechanism)}"
    with_work = [
        (f"{head}|{kind}", f"{name}・{work_kind_word(kind)}") for kind in dict.fromkeys(kinds)
    ]
    return with_work or [(f"{head}|", name)]


def work_kind_word(kind: str) -> str:
    """Name a class of work in the page's language."""
    return {
        WorkloadKind.TRAINING: gettext("事前学習"),
        WorkloadKind.FINE_TUNING: gettext("追加学習"),
        WorkloadKind.INFERENCE: gettext("推論"),
        WorkloadKind.BATCH: gettext("バッチ"),
    }.get(WorkloadKind(kind), kind)


@person_required("bid.submit")
@require_safe
def bid_csv(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Give a bid in the columns of an upload.

    What cannot be read as a bid yet is given field by field: what was typed is never lost.
    """
    desk = desk_of(request, code, name)
    body = body_kept(desk) if desk.text.fields else None
    if body is not None:
        return csv_answer(f"{name}.csv", bid_sheets.COLUMNS, bid_sheets.rows_written([body]))
    form = desk.form(dict(desk.text.fields)) if desk.text.fields else desk.form()
    rows: list[list[Cell]] = [["client_bid_id", "", name], ["auction", "", code]]
    rows += [[key, "", str(value)] for key, value in desk.text.head.items()]
    rows += [[b.name, str(b.label), str(b.value() if b.value() is not None else "")] for b in form]
    return csv_answer(f"{name}.csv", ("field", "label", "value"), rows)


@person_required("bid.submit")
@require_safe
def bid_curve(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Draw the curve of a bid."""
    told, desk = _told(request, code, name)
    curve = told.curve

    def build(palette: Palette) -> Any:
        from aggregator.portal.charts.dc import CurveChart, curve_figure

        steps = [(float(kw), float(ask)) for kw, ask in curve.steps] if curve else []
        chart = CurveChart(
            mechanism=desk.mechanism,
            limit_kw=float(desk.resource.limit_up_kw),
            steps=steps,
            floors=[tuple(_drawn_at((s.quantity_kw, s.cost_jpy_per_kwh))) for s in desk.floors],
            band=(float(told.band[0]), float(told.band[1])) if told.band else None,
            words={"band": gettext("直近の地点価格 P10–P90")},
        )
        return curve_figure(chart, palette)

    return chart_answer(request, build)


@person_required("bid.submit")
@require_safe
def bid_effect(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Draw what a bid does to the load over the day."""
    told, desk = _told(request, code, name)
    if told.effect is None:
        raise Http404(gettext("まだ描けるものがありません。"))
    effect = told.effect
    load = selectors.load_latest(desk.resource)
    base = load[1] if load else [0.0] * HALF_HOURS
    contract = float(desk.resource.site.contract_kw) if load else None
    clean = told.form.cleaned_data

    def build(palette: Palette) -> Any:
        from aggregator.portal.charts.dc import EffectChart, effect_figure

        chart = EffectChart(
            base_kw=base,
            with_kw=[b + float(kw) for b, kw in zip(base, effect.kw, strict=True)],
            contract_kw=contract,
            window=(clean["t_first"], clean["t_end"]),
            words={
                "contract": gettext("契約電力 %(kw)s") % {"kw": words.number(contract)}
                if contract is not None
                else "",
            },
        )
        return effect_figure(chart, palette)

    return chart_answer(request, build)


@person_required("bid.submit")
@require_safe
def bid_past(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Draw what past prices would have paid."""
    told, _ = _told(request, code, name)
    if not told.past:
        raise Http404(gettext("まだ描けるものがありません。"))

    def build(palette: Palette) -> Any:
        from aggregator.portal.charts.dc import PastChart, past_figure

        chart = PastChart(
            days=[f"{row.day.month}/{row.day.day}" for row in told.past],
            cost_jpy=_drawn_at(row.cost_jpy for row in told.past),
            gain_jpy=_drawn_at(row.gain_jpy for row in told.past),
        )
        return past_figure(chart, palette)

    return chart_answer(request, build)


def _told(request: HttpRequest, code: str, name: str) -> tuple[Any, Any]:
    desk = desk_of(request, code, name)
    return told_saved(desk), desk


def _drawn_at(values: Any) -> Any:
    """Return exact numbers as places in a chart; nothing is computed from them."""
    return [float(value) for value in values]
