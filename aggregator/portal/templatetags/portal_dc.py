"""Filters of a data-centre operator's pages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from aggregator.core.value_of_compute import CostStep
from aggregator.portal import words
from aggregator.portal.dc.offered import form_word as _form_word

register = template.Library()
register.filter("form_word", _form_word)
register.filter("auction_name", words.auction_name)


@register.filter
def clock_jst(moment: datetime | None) -> str:
    """Hours, minutes and seconds in Japan."""
    return words.jst(moment, seconds=True)


@register.filter
def yen_big(jpy: Any) -> SafeString:
    """Write a headline figure with its unit."""
    figure, unit = words.yen_headline(jpy)
    return format_html("{}<small>{}</small>", figure, unit)


@register.filter
def work_word(row: Any) -> str:
    """Name a class of work in the page's language."""
    return {
        "TRAINING": gettext("事前学習"),
        "FINE_TUNING": gettext("追加学習"),
        "INFERENCE": gettext("推論"),
        "BATCH": gettext("バッチ"),
    }.get(row.kind, str(row.kind))


@register.filter
def kind_word(kind: str) -> str:
    """Name a kind of resource in the page's language."""
    return {
        "DC_LOAD": gettext("計算負荷"),
        "BATTERY": gettext("蓄電池"),
        "UPS": gettext("無停電電源"),
        "THERMAL": gettext("蓄熱"),
        "HYDROGEN": gettext("水素貯蔵"),
        "PV": gettext("太陽光"),
        "WIND": gettext("風力"),
    }.get(kind, kind)


@register.filter
def mech_class(mechanism: str) -> str:
    """Return the class that gives a mechanism its colour."""
    return f"m-{mechanism.lower().replace('_', '-')}"


@register.filter
def cell_input(bound: BoundField) -> SafeString:
    """Draw an input of a table, its label for readers only."""
    attrs: dict[str, Any] = {"aria-label": str(bound.label)}
    errors = list(bound.errors) if bound.form.is_bound else []
    if errors:
        attrs |= {"aria-invalid": "true", "aria-describedby": f"{bound.auto_id}_error"}
    said = " ".join(map(str, errors))
    error = (
        format_html('<span class="wrong" id="{}_error">{}</span>', bound.auto_id, said)
        if errors
        else ""
    )
    return format_html("{}{}", bound.as_widget(attrs=attrs), error)


@register.filter
def floors_json(steps: Iterable[CostStep]) -> SafeString:
    """Write a cost curve as data for the page's script; numbers only."""
    rows = [[float(one) for one in (step.quantity_kw, step.cost_jpy_per_kwh)] for step in steps]
    return mark_safe(json.dumps(rows))  # noqa: S308 - numbers of our own


@register.simple_tag
def bid_pill(bid: Any) -> SafeString:
    """Draw the state of a bid as glyph and word."""
    from aggregator.portal.dc.bids import state_word
    from aggregator.portal.templatetags.portal import icon

    glyph, tone = {"SUBMITTED": ("check", "ok"), "WITHDRAWN": ("leave", "")}.get(
        bid.state, ("ring", "")
    )
    return format_html(
        '<span class="pill {}">{}{}</span>', tone, icon(glyph), state_word(bid.state)
    )


@register.simple_tag
def qualification_pill(row: Any) -> SafeString:
    """Draw the state of a prequalification as glyph and word."""
    from aggregator.portal.dc.places import qualification_word
    from aggregator.portal.templatetags.portal import icon

    glyph, tone = {
        "QUALIFIED": ("check", "ok"),
        "TEMPORARY": ("half", "acc"),
        "SUSPENDED": ("alarm", "high"),
        "REJECTED": ("alarm", "crit"),
    }.get(row.state, ("ring", ""))
    return format_html(
        '<span class="pill {}">{}{}</span>', tone, icon(glyph), qualification_word(row.state)
    )


@register.filter
def unlocal(value: float) -> str:
    """Write a coordinate for SVG, whatever the language."""
    return f"{value:.1f}"


@register.filter
def add_px(value: float, more: int) -> str:
    """Write a coordinate moved by some pixels."""
    return f"{value + more:.1f}"


@register.filter
def hours(value: Any) -> str:
    """Write hours to one decimal."""
    return words.number(value, 1)
