"""Sites and what stands on them; standing bids; prequalifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from accounts.core.csvtext import Cell
from accounts.core.errors import Refused
from aggregator.portal import words
from aggregator.portal.answering import Done, led_on
from aggregator.portal.dc import selectors
from aggregator.portal.dc.results import refusal_ja
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import csv_answer, listed
from market.registry.models import Branch, Site
from market.registry.selectors import buses_latest, prequalifications_seen
from market.trading.models import StandingBid, StandingState
from market.trading.selectors import (
    renewals_of,
    standing_bid_seen,
    standing_bids_seen,
)
from market.trading.standing_services import (
    standing_bid_pause,
    standing_bid_resume,
    standing_bid_withdraw,
)

READ: Final = "bid.read"
MAP_WIDTH, MAP_HEIGHT, MAP_MARGIN = 640.0, 340.0, 46.0
SPREAD_MIN_DEG: Final = 0.2
RENEWALS_SHOWN: Final = 5
COLUMNS: Final = (
    "site", "name", "area", "contract_kw", "labels", "resource", "kind", "limit_up_kw",
    "limit_down_kw", "response_s",
)  # fmt: skip


@person_required(READ)
@require_safe
def site_list(request: HttpRequest) -> HttpResponse:
    """Show own sites on a map and in a table."""
    sight = sight_in(request)
    if request.GET.get("format") == "csv":
        return csv_answer("sites.csv", COLUMNS, map(_cells, selectors.resources_own(sight)))
    listing = listed(request, selectors.sites_of(sight))
    limits = selectors.limits_by_site(listing.shown)
    none = {"up_kw": 0, "down_kw": 0, "count": 0}
    return render(
        request,
        "portal/dc/sites.html",
        {
            **frame(request, page="dc_sites"),
            "listing": listing,
            "sites": [{"site": site, **limits.get(site.id, none)} for site in listing.shown],
            "map": map_of(listing.shown),
            "changes": sight.may_somewhere("site.change"),
        },
    )


def _cells(row: Any) -> list[Cell]:
    return [
        row.site.code,
        row.site.name,
        row.site.area_id,
        row.site.contract_kw,
        ";".join(row.site.labels),
        row.code,
        row.kind,
        row.limit_up_kw,
        row.limit_down_kw,
        row.response_s,
    ]


def map_of(sites: Sequence[Site]) -> dict[str, Any]:
    """Lay sites and the substations around them out in a frame of 640 × 340."""
    if not sites:
        return {"pins": [], "buses": [], "lines": []}
    lon = [float(site.longitude_deg) for site in sites]
    lat = [float(site.latitude_deg) for site in sites]
    spread = max(max(lon) - min(lon), (max(lat) - min(lat)) * 1.4, SPREAD_MIN_DEG)
    scale = min((MAP_WIDTH - 2 * MAP_MARGIN) / spread, (MAP_HEIGHT - 2 * MAP_MARGIN) * 1.4 / spread)
    mid_lon, mid_lat = (max(lon) + min(lon)) / 2, (max(lat) + min(lat)) / 2

    def place(longitude: float, latitude: float) -> tuple[float, float]:
        x = MAP_WIDTH / 2 + (longitude - mid_lon) * scale
        y = MAP_HEIGHT / 2 - (latitude - mid_lat) * scale * 1.22
        return round(x, 1), round(y, 1)

    pins: list[dict[str, Any]] = []
    for site in sites:
        x, y = place(float(site.longitude_deg), float(site.latitude_deg))
        near = sum(abs(pin["y"] - y) < 14 and abs(pin["x"] - x) < 90 for pin in pins)  # noqa: PLR2004 - px of a label
        pins.append({"x": x, "y": y, "label_y": round(y + 4 + 13 * near, 1), "site": site})
    at = {}
    buses = []
    for bus in buses_latest().order_by("code"):
        if bus.longitude_deg is None or bus.latitude_deg is None:
            continue
        x, y = at[bus.pk] = place(float(bus.longitude_deg), float(bus.latitude_deg))
        if 0 < x < MAP_WIDTH and 0 < y < MAP_HEIGHT:
            buses.append({"x": x - 3, "y": y - 3, "name": words.local_name(bus)})
    lines = [
        {"x1": at[a][0], "y1": at[a][1], "x2": at[b][0], "y2": at[b][1]}
        for a, b in Branch.objects.filter(from_bus__in=list(at)).values_list("from_bus", "to_bus")
        if a in at and b in at
    ]
    return {"pins": pins, "buses": buses, "lines": lines}


@person_required(READ)
@require_safe
def site_one(request: HttpRequest, code: str) -> HttpResponse:
    """Show one site: contract, labels, resources, classes of work, prequalifications."""
    sight = sight_in(request)
    site = selectors.sites_of(sight).filter(code=code).first()
    if site is None:
        raise Http404(gettext("この拠点は見つかりません。"))
    return render(
        request,
        "portal/dc/site.html",
        {
            **frame(request, page="dc_sites"),
            "site": site,
            "changes": site.organisation_id in sight.organisations_for("site.change"),
            "resources": selectors.resources_own(sight, [site.id]),
            "prequalifications": list(
                prequalifications_seen(seen_by=sight)
                .filter(resource__site=site)
                .order_by("-requested_at", "-id")[:50]
            )
            if sight.may_somewhere("prequalification.read")
            else [],
        },
    )


def standing_word(state: str) -> str:
    """Name the state of a standing bid in the page's language."""
    return {
        "ACTIVE": gettext("有効"),
        "PAUSED": gettext("休止"),
        "WITHDRAWN": gettext("取下げ"),
    }.get(state, state)


def qualification_word(state: str) -> str:
    """Name the state of a prequalification in the page's language."""
    return {
        "REQUESTED": gettext("申請"),
        "CHECKED": gettext("自動確認済"),
        "TEMPORARY": gettext("仮認定"),
        "QUALIFIED": gettext("認定"),
        "SUSPENDED": gettext("停止"),
        "REJECTED": gettext("却下"),
        "WITHDRAWN": gettext("取下げ"),
    }.get(state, state)


@person_required("bid.read")
@require_safe
def standing_list(request: HttpRequest) -> HttpResponse:
    """Show standing bids with what became of them, and the prequalifications they need."""
    sight = sight_in(request)
    rows = list(standing_bids_seen(seen_by=sight).order_by("code", "-created_at", "id")[:200])
    return render(
        request,
        "portal/dc/standing.html",
        {
            **frame(request, page="dc_standing"),
            "rows": [
                {
                    "row": row,
                    "word": standing_word(row.state),
                    "weekdays": "".join(words.WEEKDAYS_JA[day] for day in row.weekdays)
                    if not words.is_english()
                    else " ".join(words.WEEKDAYS_EN[day] for day in row.weekdays),
                    "renewals": [
                        {"auction": one.auction, "refusal": refusal_ja(one.refusal)}
                        for one in renewals_of(row).order_by("-id")[:RENEWALS_SHOWN]
                    ]
                    if i < 10  # noqa: PLR2004 - what a page reads row by row
                    else [],
                }
                for i, row in enumerate(rows)
            ],
            "prequalifications": list(
                prequalifications_seen(seen_by=sight).order_by("-requested_at", "-id")[:50]
            )
            if sight.may_somewhere("prequalification.read")
            else [],
            "writes": sight.may_somewhere("bid.submit"),
        },
    )


@person_required("bid.submit")
@require_POST
def standing_turn(request: HttpRequest, standing_bid_id: UUID, verb: str) -> HttpResponse:
    """Pause, resume or end a standing bid."""
    sight = sight_in(request)
    here = reverse("portal:dc_standing")
    try:
        row: StandingBid = standing_bid_seen(standing_bid_id, seen_by=sight)
    except Refused as unknown:
        raise Http404(gettext("この常時入札は見つかりません。")) from unknown
    if row.organisation_id not in sight.organisations_for("bid.submit"):
        raise Http404(gettext("この常時入札は見つかりません。"))
    turns: dict[str, tuple[Any, str]] = {
        "pause": (standing_bid_pause, gettext("%(code)s を休止しました。")),
        "resume": (standing_bid_resume, gettext("%(code)s を再開しました。")),
        "end": (standing_bid_withdraw, gettext("%(code)s を終えました。")),
    }
    if verb not in turns:
        raise Http404(gettext("この常時入札は見つかりません。"))
    turn, said = turns[verb]
    try:
        turn(organisation=row.organisation, code=row.code)
    except Refused as refused:
        return led_on(request, Done(url=here, said=words.rule(refused)))
    undo = ""
    if verb == "pause" and row.state == StandingState.ACTIVE:
        undo = reverse("portal:dc_standing_turn", args=[row.id, "resume"])
    return led_on(request, Done(url=here, said=said % {"code": row.code}, undo_url=undo))
