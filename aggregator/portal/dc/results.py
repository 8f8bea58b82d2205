"""What became of bids, and why."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, Max, OuterRef, QuerySet, Sum, Value
from django.db.models.functions import Concat
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.core.csvtext import Cell
from accounts.core.errors import NotFound
from accounts.core.wording import rule_ja
from accounts.parties.sight import Sight
from aggregator.portal import words
from aggregator.portal.dc import selectors
from aggregator.portal.dc.offered import form_word
from aggregator.portal.dc.tentative import Standing, is_by_order, standings_of
from aggregator.portal.entering import person_required
from aggregator.portal.facts import need_word
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, listed
from market.clearing.models import BidOutcome, Outcome, RunState
from market.clearing.selectors import outcomes_seen, with_intervals
from market.registry.models import Area, CongestionPoint
from market.trading.models import Auction, Bid, Need
from market.trading.selectors import OPEN_BOOK_STATES, bid_seen, content_of

READ: Final = "bid.read"
COLUMNS: Final = (
    "auction", "client_bid_id", "form", "mechanism", "resource", "outcome", "awarded_max_kw",
    "awarded_kwh", "price_max_jpy_per_kwh", "margin_jpy_per_kwh", "change_at_jpy_per_kwh",
    "reason",
)  # fmt: skip


def outcome_word(outcome: str) -> str:
    """Name an outcome in the page's language."""
    return {
        Outcome.ACCEPTED: gettext("約定済"),
        Outcome.PARTLY: gettext("一部約定"),
        Outcome.REJECTED: gettext("約定せず"),
    }.get(Outcome(outcome), outcome)


def reason_word(explanation: Mapping[str, Any]) -> str:
    """Say what decided a bid's outcome."""
    kind = (explanation.get("deciding") or {}).get("kind", "")
    return {
        "price": gettext("このエリアには、これより高く払う買い手がいません。"),
        "need": gettext("必要量の上限価格が、この入札の価格より低いためです。"),
        "element": gettext("この設備の混雑による差し引きが、残っている余裕より大きいためです。"),
        "path": gettext("光パスの混雑料が、残っている余裕より大きいためです。"),
        "compute": gettext("最も安い計算でも、この依頼の価値より高いためです。"),
        "resource": gettext("リソースの上限まで使われています。"),
        "integer": gettext("価格は見合いますが、全部か無しかの選択で選ばれませんでした。"),
        "group": gettext("価格は見合いますが、同じ排他グループの別の入札が選ばれました。"),
        "parent": gettext("価格は見合いますが、親の入札が選ばれませんでした。"),
        "quantity": gettext("提示した量がすべて約定しました。"),
        "limit": gettext("これ以上売るには、自分で付けた上限を広げる必要があります。"),
        "reserve": gettext("これ以上は、呼び出されたときに届けられません。"),
        "eligibility": gettext("条件を満たす移動先がありません。"),
    }.get(kind, str(explanation.get("note", "")))


def gap_word(explanation: Mapping[str, Any], outcome: str) -> str:
    """Say at which price the bid would change sides."""
    at = explanation.get("change_at_jpy_per_kwh")
    if at is None:
        return ""
    price = words.number(Decimal(str(at)), 2)
    if outcome == Outcome.REJECTED:
        text = gettext("%(price)s 円/kWh までの入札なら約定していました。")
    else:
        text = gettext("%(price)s 円/kWh を超えると、最初のコマを失っていました。")
    return text % {"price": price}


@person_required(READ)
@require_safe
def award_list(request: HttpRequest) -> HttpResponse:
    """Show what became of the bids of one auction."""
    sight = sight_in(request)
    auctions = list(
        Auction.objects.filter(
            # looked up in the index auction by auction: a join would read every bid ever made
            Exists(
                Bid.objects.filter(
                    auction=OuterRef("pk"), organisation_id__in=sight.organisations_for(READ)
                )
            ),
            state__in=OPEN_BOOK_STATES,
        ).order_by("-delivery_on", "code")[:30]
    )
    code = request.GET.get("auction")
    auction = next((row for row in auctions if code in (None, row.code)), None)
    if auction is None and code is not None:
        raise Http404(gettext("このオークションの結果は見つかりません。"))
    context: dict[str, Any] = {
        **frame(request, page="dc_awards"),
        "auctions": auctions,
        "auction": auction,
    }
    if auction is None:
        return render(request, "portal/dc/awards.html", context)
    own = sight.organisations_for("bid.read")
    rows: QuerySet[BidOutcome] = (
        outcomes_seen(auction, seen_by=sight)
        .filter(bid__organisation_id__in=own, bid__auction=auction)
        .select_related("bid__resource__site", "bid__auction")
        # in a form that no index of the whole table is sorted by: this auction's bids are read
        .annotate(named=Concat("bid__client_bid_id", Value("")))
        .order_by("named", "bid_id")
    )
    listing = listed(
        request,
        rows,
        filters=[
            Filter(
                name="outcome",
                label=gettext("結果"),
                apply=lambda found, value: found.filter(outcome=value),
                choices=[(value, outcome_word(value)) for value in Outcome.values],
            )
        ],
        sorts={"name": ("named", "bid_id")},
        sort="name",
        ids_first=True,
        is_short=True,
    )
    if listing.wants_csv:
        sold = _sold(auction, [row.bid_id for row in rows])
        return listing.csv(
            f"awards-{auction.code}.csv", COLUMNS, lambda row: _cells(row, auction, sold)
        )
    sold = _sold(auction, [row.bid_id for row in listing.shown])
    standings = _standings(sight, auction, [row.bid_id for row in listing.shown])
    shown = [
        {
            "outcome": row,
            "word": outcome_word(row.outcome),
            "standing": standings.get(row.bid_id),
            "reason": reason_word(row.explanation),
            "gap": gap_word(row.explanation, row.outcome),
            **sold.get(row.bid_id, {}),
        }
        for row in listing.shown
    ]
    return render(request, "portal/dc/awards.html", {**context, "listing": listing, "rows": shown})


def _standings(sight: Sight, auction: Auction, bid_ids: list[UUID]) -> dict[UUID, Standing]:
    """Return which of some bids wait for their buyer's order, or were let go."""
    if not is_by_order(auction):
        return {}
    awards = list(selectors.awards_published(sight, auction).filter(bid_id__in=bid_ids))
    if not awards:
        return {}
    of = {award.id: award.bid_id for award in awards}
    return standings_of(auction, of, run_id=awards[0].run_id)


def _sold(auction: Auction, bid_ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return largest kW, energy and highest price of the awards of bids."""
    from market.clearing.models import AwardInterval

    rows = (
        AwardInterval.objects.filter(
            award__auction=auction,
            award__bid_id__in=bid_ids,
            award__run__state=RunState.PUBLISHED,
        )
        .values("award__bid_id")
        .annotate(
            max_kw=Max("quantity_kw"), sum_kw=Sum("quantity_kw"), top=Max("price_jpy_per_kwh")
        )
        .order_by("award__bid_id")
    )
    return {
        row["award__bid_id"]: {
            "max_kw": row["max_kw"],
            "kwh": row["sum_kw"] / 2,
            "price_max": row["top"],
        }
        for row in rows
    }


def _cells(row: BidOutcome, auction: Auction, sold: Mapping[UUID, Mapping[str, Any]]) -> list[Cell]:
    found = sold.get(row.bid_id, {})
    margin, change = (
        row.explanation.get("margin_jpy_per_kwh"),
        row.explanation.get("change_at_jpy_per_kwh"),
    )
    return [
        auction.code,
        row.bid.client_bid_id,
        row.bid.form,
        row.bid.mechanism,
        row.bid.resource.code if row.bid.resource else "",
        row.outcome,
        found.get("max_kw"),
        found.get("kwh"),
        found.get("price_max"),
        margin,
        change,
        reason_word(row.explanation),
    ]


@person_required("bid.read")
@require_safe
def award_one(request: HttpRequest, bid_id: UUID) -> HttpResponse:
    """Show one bid: what it offered, what it got, why."""
    sight = sight_in(request)
    try:
        bid = bid_seen(bid_id, seen_by=sight)
    except NotFound as unknown:
        raise Http404(gettext("この入札は見つかりません。")) from unknown
    if bid.organisation_id not in sight.organisations_for("bid.read"):
        raise Http404(gettext("この入札は見つかりません。"))
    outcome = outcomes_seen(bid.auction, seen_by=sight).filter(bid=bid).first()
    awards = list(with_intervals(selectors.awards_own(sight).filter(bid=bid, auction=bid.auction)))
    content = content_of(bid)
    standings = _standings(sight, bid.auction, [bid.id]) if awards else {}
    return render(
        request,
        "portal/dc/award.html",
        {
            **frame(request, page="dc_awards"),
            "bid": bid,
            "form_word": form_word(bid.form),
            "outcome": outcome,
            "outcome_word": outcome_word(outcome.outcome) if outcome else "",
            "reason": reason_word(outcome.explanation) if outcome else "",
            "gap": gap_word(outcome.explanation, outcome.outcome) if outcome else "",
            "deciding": _deciding(outcome.explanation) if outcome else "",
            "margin": _number(outcome, "margin_jpy_per_kwh"),
            "change_at": _number(outcome, "change_at_jpy_per_kwh"),
            "awards": awards,
            "standing": standings.get(bid.id),
            "offer": content_rows(content) if content else [],
            "is_sealed": content is None,
            "versions": _versions(bid),
            "writes": sight.may_somewhere("bid.submit") and bid.auction.state == "OPEN",
        },
    )


def _versions(bid: Bid) -> list[Bid]:
    return list(
        Bid.objects.filter(
            organisation_id=bid.organisation_id, client_bid_id=bid.client_bid_id
        ).order_by("-version")[:20]
    )


def _number(outcome: BidOutcome | None, name: str) -> Decimal | None:
    value = outcome.explanation.get(name) if outcome else None
    return None if value is None else Decimal(str(value))


def _deciding(explanation: Mapping[str, Any]) -> str:
    """Say where and when it was decided."""
    deciding = explanation.get("deciding") or {}
    t, code, kind = deciding.get("t"), deciding.get("id"), deciding.get("kind")
    place = ""
    if code and kind == "price":
        area = Area.objects.filter(code=code).first()
        place = words.local_name(area) if area else str(code)
    elif code and kind == "element":
        point = CongestionPoint.objects.filter(code=code).first()
        place = words.local_name(point) if point else str(code)
    elif code and kind == "need":
        need = Need.objects.select_related("area", "congestion_point").filter(pk=UUID(code)).first()
        place = need_word(need) if need else str(code)
    elif code:
        place = str(code)
    when = words.koma_full(t) if isinstance(t, int) else ""
    return gettext("、").join(part for part in (place, when) if part)


def content_rows(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what an offer says, a line per fact, whatever its form."""
    found: list[tuple[str, str]] = []
    if "direction" in content:
        up = content["direction"] == "UP"
        found.append((gettext("方向"), gettext("上げ") if up else gettext("下げ")))
    found += [
        (_window(curve), _step_word(step))
        for curve in content.get("curves", ())
        for step in curve["steps"]
    ]
    for offer in content.get("offers", ()):
        ask = offer.get("ask_jpy_per_kwh") or offer.get("ask_jpy_per_kw")
        unit = gettext("円/kWh") if "ask_jpy_per_kwh" in offer else gettext("円/ΔkW・30分")
        kw = words.number(Decimal(offer["quantity_kw"]))
        found.append((_window(offer), f"{kw} kW · {words.number(Decimal(ask), 2)} {unit}"))
    if "first_t" in content and "last_t" in content:
        found.append((gettext("対象コマ"), _window(content)))
    names = _names()
    for name, value in content.items():
        if name in names and not isinstance(value, list | dict):
            found.append((names[name], str(value)))
        elif name in names and isinstance(value, list) and value:
            texts = list(dict.fromkeys(str(one) for one in value if not isinstance(one, dict)))
            if texts:
                found.append((names[name], " ".join(texts[:12])))
    return found


def _step_word(step: Mapping[str, Any]) -> str:
    kw = words.number(Decimal(step["quantity_kw"]))
    ask = words.number(Decimal(step["ask_jpy_per_kwh"]), 2)
    return f"{kw} kW · {ask} {gettext('円/kWh')}"


def _window(row: Mapping[str, Any]) -> str:
    from aggregator.portal.dc.offered import window_word

    return window_word(row["first_t"], row["last_t"] + 1)


def _names() -> dict[str, str]:
    return {
        "quantity_kw": gettext("量 kW"),
        "ask_jpy_per_kwh": gettext("価格 円/kWh"),
        "acceptance_min_ratio": gettext("最低約定比率"),
        "start_cost_jpy": gettext("起動費 円"),
        "exclusive_group": gettext("排他グループ"),
        "parent": gettext("親の入札番号"),
        "charge_limit_kw": gettext("充電上限 kW"),
        "discharge_limit_kw": gettext("放電上限 kW"),
        "energy_limit_kwh": gettext("使える容量 kWh"),
        "reserve_kwh": gettext("売らない予備 kWh"),
        "start_kwh": gettext("はじめの残量 kWh"),
        "end_min_kwh": gettext("終わりの残量 kWh"),
        "wear_jpy_per_kwh": gettext("摩耗費 円/kWh"),
        "cycles_max": gettext("1日の回数の上限"),
        "arriving_kw": gettext("到着する作業 kW"),
        "slack_count": gettext("猶予 コマ"),
        "rebound_limit_kw": gettext("回復の上限 kW"),
        "change_cost_jpy_per_kw": gettext("切替の費用 円/kW"),
        "labels_required": gettext("必要なデータの所在ラベル"),
    }


def refusal_ja(text: str) -> str:
    """Say a stored rule in the page's language."""
    return text if words.is_english() else rule_ja(text) or text
