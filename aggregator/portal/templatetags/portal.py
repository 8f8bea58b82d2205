"""Filters and small marks for the portal's templates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from aggregator.portal import facts, words

register = template.Library()

BAR_WIDTH = 120.0  # user units of the inline bar: 120 % of the rating
OVER_RATIO = 1.0005

register.filter("local", words.local_name)
register.filter("megawatt", words.megawatt)
register.filter("yen", words.yen)
register.filter("day_short", words.day_short)
register.filter("day_long", words.day_long)
register.filter("koma", words.koma)
register.filter("until_jst", words.jst_until)
register.filter("koma_full", words.koma_full)
register.filter("need_place", facts.place_word)
register.filter("need_word", facts.need_word)
register.filter("mechanism", facts.mechanism_word)
register.filter("leg", facts.leg_word)


@register.filter
def spans(stretches: Sequence[tuple[int, int]]) -> SafeString | str:
    """Write stretches of half hours; a line may break between two, never within one."""
    if not stretches:
        return words.UNKNOWN
    return format_html_join(
        gettext("、"),
        '<span class="nowrap">{}</span>',
        ((text,) for text in words.spans(stretches)),
    )


@register.filter
def kw(value: Decimal | float | None) -> str:
    """Power in whole kW."""
    return words.number(value, 0)


@register.filter
def price(value: Decimal | float | None) -> str:
    """Price in yen per kWh, two decimals."""
    return words.number(value, 2)


@register.filter
def mwh(kwh: Decimal | float | None) -> str:
    """Energy in MWh, one decimal, of kWh."""
    return words.megawatt(kwh)


@register.filter
def percent(ratio: Decimal | float | None) -> str:
    """Write a loading in whole percent."""
    return words.percent(ratio)


@register.filter
def percent1(ratio: Decimal | float | None) -> str:
    """Ratio in percent, one decimal."""
    return words.percent(ratio, 1)


@register.filter
def at_jst(moment: datetime | None) -> str:
    """Hour and minute in Japan."""
    return words.jst(moment)


@register.filter
def day_jst(moment: datetime) -> str:
    """Day, hour and minute in Japan."""
    return words.jst_day(moment)


@register.filter
def iso(day: date) -> str:
    """Write a day for an address."""
    return day.isoformat()


@register.filter
def item(row: Sequence[Any], index: int) -> Any:
    """Element `index` of a sequence."""
    return row[index]


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """Draw one icon of the sprite; decorative, always beside a word."""
    return format_html(
        '<svg class="i {}" aria-hidden="true"><use href="#i-{}"/></svg>', extra, name
    )


@register.simple_tag
def direction(value: str) -> SafeString:
    """Mark a direction by shape, word and colour."""
    is_up = value == "UP"
    return format_html(
        '<span class="pill {}">{}{}</span>',
        "up" if is_up else "down",
        icon("up" if is_up else "down"),
        gettext("上げ") if is_up else gettext("下げ"),
    )


@register.simple_tag
def place_options(places: Sequence[Any], chosen: Any) -> SafeString:
    """Write priced places as options; a thousand of them are one join, not a thousand templates."""
    pattern = gettext("%(place)s（%(area)s）")
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        (
            (
                row.key,
                " selected" if row.key == chosen.key else "",
                pattern % {"place": words.local_name(row), "area": words.local_name(row.area)},
            )
            for row in places
        ),
    )


@register.simple_tag
def bar(ratio: float | None) -> SafeString:
    """Draw a loading as a bar with a tick at 100 %; grey unless over."""
    if ratio is None:
        return SafeString("")
    width = max(0.0, min(ratio * 100, BAR_WIDTH))
    return format_html(
        '<svg class="bar" viewBox="0 0 120 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="120" height="6" rx="1"/>'
        '<rect class="{}" width="{}" height="6" rx="1"/>'
        '<path class="tick" d="M100 0v6"/></svg>',
        "over" if ratio >= OVER_RATIO else "part",
        f"{width:.1f}",
    )


@register.simple_tag
def state_pill(instruction: Any) -> SafeString:
    """Draw the state of an instruction as glyph and word."""
    glyph, tone = {
        "PLANNED": ("ring", ""),
        "SENT": ("half", "high"),
        "ACKNOWLEDGED": ("dot", "acc"),
        "ACTIVE": ("dot", "acc"),
        "FINISHED": ("check", "ok"),
        "EXTENDED": ("check", "ok"),
        "REPLACED": ("check", ""),
    }.get(instruction.state, ("alarm", "crit"))
    return format_html(
        '<span class="pill {}">{}{}</span>',
        tone,
        icon(glyph),
        instruction_word(instruction.state) or instruction.get_state_display(),
    )


def instruction_word(state: str) -> str:
    """Return the state in the page's language."""
    return {
        "PLANNED": gettext("予定"),
        "SENT": gettext("受諾待ち"),
        "ACKNOWLEDGED": gettext("受諾"),
        "ACTIVE": gettext("実施中"),
        "FINISHED": gettext("完了"),
        "OPTED_OUT": gettext("辞退"),
        "UNREACHED": gettext("応答なし"),
        "REPLACED": gettext("差替済"),
        "CANCELLED": gettext("取消"),
        "PARTIAL": gettext("一部"),
        "EXTENDED": gettext("延長"),
    }.get(state, "")


@register.simple_tag
def line_name(line: Any) -> str:
    """Name a statement's line in the page's language."""
    from aggregator.portal.statements import CODE_NAMES_EN

    if words.is_english():
        return CODE_NAMES_EN.get(line.code, str(line.code))
    return str(line.name)
