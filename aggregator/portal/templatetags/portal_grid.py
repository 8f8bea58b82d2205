"""Marks of the desk's and the grid operators' pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from aggregator.portal import words
from aggregator.portal.templatetags.portal import icon

register = template.Library()

BAR_MAX_PERCENT = 120.0
TOLERANCE_PERCENT = 90.0
POOR_PERCENT = 60.0


@register.simple_tag
def ratio_bar(ratio: float | None) -> SafeString:
    """Draw how much of an order is done, with a tick at the lowest that is tolerated."""
    if ratio is None:
        return format_html('<span class="muted sm">{}</span>', gettext("報告待ち"))
    percent = max(0.0, min(ratio * 100, BAR_MAX_PERCENT))
    tone = "good" if percent >= TOLERANCE_PERCENT else "fair" if percent >= POOR_PERCENT else "over"
    return format_html(
        '<svg class="bar" viewBox="0 0 120 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="120" height="6" rx="1"/>'
        '<rect class="{}" width="{}" height="6" rx="1"/>'
        '<path class="tick" d="M90 0v6"/></svg><span class="vh">{} %</span>',
        tone,
        f"{percent:.1f}",
        f"{ratio * 100:.0f}",
    )


@register.simple_tag
def run_pill(run: Any) -> SafeString:
    """Draw the state of a clearing run as glyph and word."""
    glyph, tone, word = {
        "READY": ("ring", "", gettext("待機")),
        "RUNNING": ("half", "high", gettext("計算中")),
        "VERIFIED": ("half", "acc", gettext("検証済・公表待ち")),
        "PUBLISHED": ("check", "ok", gettext("公表済")),
        "FAILED": ("alarm", "crit", gettext("失敗")),
    }[run.state]
    return format_html('<span class="pill {}">{}{}</span>', tone, icon(glyph), word)


@register.filter
def koma_start(t: int) -> str:
    """Write when half hour t begins; 48 is the end of the day."""
    return words.clock(t)
