"""What stands around every page: who is here, market time, where one may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from accounts.parties.sight import Sight, sight_of
from aggregator.portal import words
from aggregator.portal.tokens import THEMES
from aggregator.portal.ways import Group, Way, gathered

# labels of accounts.parties.roles, named here so that the catalogue has them
ROLE_NAMES = (
    gettext_noop("取引担当（事業者）"),
    gettext_noop("閲覧（事業者）"),
    gettext_noop("系統計画（送配電）"),
    gettext_noop("承認（送配電）"),
    gettext_noop("市場運用（アグリゲーター）"),
    gettext_noop("精算（アグリゲーター）"),
    gettext_noop("監査"),
    gettext_noop("管理者"),
)
THEME_COOKIE = "theme"
KEYS_COOKIE = "keys"
# after g: entries of the rail by their keys; nobody has two of a letter
GOES = {
    "dc_home": "h",
    "tso_home": "h",
    "desk_room": "h",
    "dc_bids": "b",
    "dc_awards": "r",
    "tso_results": "r",
    "dc_instructions": "i",
    "desk_instructions": "i",
    "tso_network": "n",
    "desk_auctions": "o",
    "desk_alarms": "a",
    "money_statements": "s",
    "day": "d",
}
CLOCK_SQL = """
    SELECT market_now(), coalesce((SELECT speed_ratio FROM clock_marketclock WHERE id = 1), 1)
"""


@dataclass(frozen=True, kw_only=True)
class MarketTime:
    """Market time when the page was made, and how fast it runs."""

    now: datetime
    speed_ratio: float

    @property
    def epoch_ms(self) -> int:
        """Market time for the browser's clock."""
        return int(self.now.timestamp() * 1000)

    @property
    def day(self) -> str:
        """The JST day."""
        return words.day_short(self.now.astimezone(words.JST).date())

    @property
    def face(self) -> str:
        """Hours, minutes and seconds."""
        return words.jst(self.now, seconds=True)

    @property
    def koma(self) -> int:
        """Half hour of the day, from 1."""
        local = self.now.astimezone(words.JST)
        return (local.hour * 60 + local.minute) // 30 + 1


@dataclass(frozen=True, kw_only=True)
class RailEntry:
    """One way to go."""

    url: str
    icon: str
    name: str
    is_current: bool
    count: int = 0
    is_urgent: bool = False
    opens_group: bool = False
    goes: str = ""


def market_time() -> MarketTime:
    """Read market time and its speed in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(CLOCK_SQL)
        now, speed_ratio = cursor.fetchone()
    return MarketTime(now=now, speed_ratio=float(speed_ratio))


def sight_in(request: HttpRequest) -> Sight:
    """Return what the visitor may see, read once per request."""
    known: Sight | None = getattr(request, "_portal_sight", None)
    if known is None:
        known = sight_of(request.user)
        request._portal_sight = known  # type: ignore[attr-defined]  # noqa: SLF001 - kept where it ends
    return known


def rail_of(request: HttpRequest, sight: Sight, *, page: str) -> Sequence[RailEntry]:
    """Ways open to this visitor, work first; a page that does not exist has no entry."""
    own = [
        Way(
            key="day",
            url=reverse("portal:pub_results"),
            icon="chart",
            name=gettext("市場の一日"),
            group=Group.LOOK,
        )
    ]
    if request.user.is_active and getattr(request.user, "is_staff", False):
        own.append(
            Way(
                key="admin",
                url=reverse("admin:index"),
                icon="gear",
                name=gettext("管理"),
                group=Group.SET_UP,
                rank=90,
            )
        )
    ways = gathered(sight, own)
    return [
        RailEntry(
            url=way.url,
            icon=way.icon,
            name=way.name,
            is_current=way.key == page,
            count=way.count,
            is_urgent=way.is_urgent,
            opens_group=index > 0 and way.group != ways[index - 1].group,
            goes=GOES.get(way.key, ""),
        )
        for index, way in enumerate(ways)
    ]


def theme_in(request: HttpRequest) -> str:
    """Return the theme kept in the cookie, or nothing: then the system decides."""
    wish = request.COOKIES.get(THEME_COOKIE, "")
    return wish if wish in THEMES else ""


def frame(request: HttpRequest, *, page: str, now: MarketTime | None = None) -> dict[str, Any]:
    """Return the context every page of the portal shares; `page` names the rail's entry."""
    sight = sight_in(request)
    return {
        "sight": sight,
        "clock": now or market_time(),
        "rail": rail_of(request, sight, page=page),
        "theme": theme_in(request),
        "are_keys_off": request.COOKIES.get(KEYS_COOKIE) == "off",
        "organisation_name": words.local_name(sight.organisation) if sight.organisation else "",
        "role_name": gettext(sight.role_label) if sight.role_label else "",
        "other_language": "ja" if words.is_english() else "en",
        "other_language_name": "日本語" if words.is_english() else "English",
    }
