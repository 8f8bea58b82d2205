"""Numbers, times and names as people read them; Japanese or English by the active language."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import get_language, gettext

from accounts.core.errors import Refused
from accounts.core.wording import rule_ja

JST = ZoneInfo("Asia/Tokyo")
WEEKDAYS_JA = "月火水木金土日"
WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MAN = 10_000
OKU = 100_000_000
UNKNOWN = "—"
MINUS = "−"


def is_english() -> bool:
    """Whether the page is in English."""
    return (get_language() or "ja").startswith("en")


def rule(refused: Refused) -> str:
    """Return the rule that a refusal names, in the page's language."""
    return refused.rule if is_english() else rule_ja(refused.rule) or refused.rule


def local_name(row: Any) -> str:
    """Name of a registered thing in the page's language."""
    english = getattr(row, "name_en", "")
    return english if is_english() and english else row.name or getattr(row, "code", "")


def auction_name(auction: Any) -> str:
    """Name of an auction; it has one in Japanese alone, so in English it goes by its code."""
    if is_english():
        return gettext("オークション %(code)s") % {"code": auction.code}
    return str(auction.name)


def number(value: float | Decimal | None, digits: int = 0) -> str:
    """Group thousands, with a true minus; unknown is a dash."""
    if value is None:
        return UNKNOWN
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded or abs(rounded):,}".replace("-", MINUS)


def megawatt(kw: float | Decimal | None) -> str:
    """Power in MW to one decimal, of kW."""
    return UNKNOWN if kw is None else number(Decimal(str(kw)) / 1000, 1)


def percent(ratio: float | Decimal | None, digits: int = 0) -> str:
    """Percent of a ratio, without the sign."""
    return UNKNOWN if ratio is None else number(Decimal(str(ratio)) * 100, digits)


def yen(jpy: Decimal | None) -> str:
    """Yen, whole, without the unit."""
    return number(jpy, 0)


def yen_headline(jpy: Decimal | None) -> tuple[str, str]:
    """Return figure and unit of a headline: 421.8 万円, from 10,000 万円 in 億円."""
    if jpy is None:
        return UNKNOWN, ""
    if is_english():
        return (number(jpy / 1_000_000, 2), "M JPY") if abs(jpy) >= MAN * 100 else (yen(jpy), "JPY")
    if abs(jpy) >= OKU:
        return number(jpy / OKU, 2), "億円"
    if abs(jpy) >= MAN:
        return number(jpy / MAN, 1), "万円"
    return yen(jpy), "円"


def clock(t: int) -> str:
    """Start of half hour t; the end of the day is 24:00, never 00:00."""
    return f"{t // 2:02d}:{'30' if t % 2 else '00'}"


def koma(t: int) -> str:
    """Half hour t by its number in the day."""
    return gettext("コマ%(koma)d") % {"koma": t + 1}


def koma_full(t: int) -> str:
    """Half hour t by number and times."""
    return gettext("コマ%(koma)d（%(start)s–%(end)s）") % {
        "koma": t + 1,
        "start": clock(t),
        "end": clock(t + 1),
    }


def spans(stretches: Sequence[tuple[int, int]]) -> list[str]:
    """Half-open stretches of half hours as clock times, one text each."""
    return [f"{clock(first)}–{clock(end)}" for first, end in stretches]


def day_short(day: date) -> str:
    """Write a day without its year."""
    if is_english():
        return f"{WEEKDAYS_EN[day.weekday()]} {day.day} {MONTHS_EN[day.month - 1]}"
    return f"{day.month}月{day.day}日({WEEKDAYS_JA[day.weekday()]})"


def day_long(day: date) -> str:
    """Write a day with its year."""
    if is_english():
        return f"{day_short(day)} {day.year}"
    return f"{day.year}年{day_short(day)}"


def jst(moment: datetime | None, *, seconds: bool = False) -> str:
    """Hour and minute of an instant in Japan."""
    if moment is None:
        return UNKNOWN
    return f"{moment.astimezone(JST):{'%H:%M:%S' if seconds else '%H:%M'}}"


def jst_until(moment: datetime | None) -> str:
    """Hour and minute at which something ends; midnight is 24:00."""
    text = jst(moment)
    return "24:00" if text == "00:00" else text


def jst_day(moment: datetime) -> str:
    """Day, hour and minute of an instant in Japan."""
    return f"{day_short(moment.astimezone(JST).date())} {jst(moment)}"
