"""Standing bids: a template that becomes a bid of each delivery day it is valid for.

A template is a bid of any form, its times counted from the start of the day (``first_t`` and
``last_t`` 0…47, series of the day's half hours). It says nothing of days; those are

- ``valid_from`` and ``valid_to``: the first delivery day, and the first on which it no longer
  stands; without the latter it stands until it is withdrawn;
- ``weekdays``: on which days of the week, 0 = Monday … 6 = Sunday.

Renewing is the same content under an id of the auction, ``<id>@<auction>``; with one auction a day
the day can stand for it. A block's ``parent`` is another standing bid and gets the same auction; an
``exclusive_group`` stays as it is, since groups do not reach beyond an auction. The same template
and auction always give the same bid: renewing twice is harmless, and whatever the gate refuses in
one auction's bid it refuses by name.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from accounts.core.errors import Refused

WEEKDAYS: Final = range(7)


class InvalidStandingBid(Refused):
    """A template or the days it stands for break a rule."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A template and its days, checked.

    Parameters
    ----------
    template
        A bid whose times count from the start of the day.
    valid_from, valid_to
        First delivery day, and the first after the last; ``None`` for no end.
    weekdays
        0 = Monday … 6 = Sunday, at least one.

    Raises
    ------
    InvalidStandingBid
        Naming field, value and rule.
    """

    template: Mapping[str, Any]
    valid_from: date
    valid_to: date | None
    weekdays: Collection[int]

    def __post_init__(self) -> None:
        for name in ("id", "form"):
            found = self.template.get(name)
            if not isinstance(found, str) or not found:
                raise InvalidStandingBid(
                    field=f"template.{name}", value=found, rule="must be a text"
                )
        days = {"valid_from": self.valid_from}
        days |= {} if self.valid_to is None else {"valid_to": self.valid_to}
        for name, day in days.items():
            if type(day) is not date:  # an instant is a date to Python, and none to us
                raise InvalidStandingBid(field=name, value=day, rule="must be a day")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise InvalidStandingBid(
                field="valid_to", value=self.valid_to, rule="must be after valid_from"
            )
        listed = list(self.weekdays)
        is_known = all(type(day) is int and day in WEEKDAYS for day in listed)
        if not listed or not is_known or len(set(listed)) != len(listed):
            raise InvalidStandingBid(
                field="weekdays",
                value=listed,
                rule="must be one or more distinct days from 0 (Monday) to 6 (Sunday)",
            )

    def stands_on(self, day: date) -> bool:
        """Return whether there is a bid for a delivery day."""
        return (
            self.valid_from <= day
            and (self.valid_to is None or day < self.valid_to)
            and day.weekday() in self.weekdays
        )


def standing_bid(
    template: Mapping[str, Any],
    *,
    day: date,
    valid_from: date,
    valid_to: date | None,
    weekdays: Collection[int],
    auction: str | None = None,
) -> dict[str, Any] | None:
    """Return the bid a template makes for a delivery day, or ``None`` if it does not stand then.

    Parameters
    ----------
    template, valid_from, valid_to, weekdays
        As in :class:`Standing`; the template is not changed.
    day
        The delivery day.
    auction
        What tells this auction from others, by default the day.

    Raises
    ------
    InvalidStandingBid
        If the template or its days break a rule.
    """
    standing = Standing(
        template=template, valid_from=valid_from, valid_to=valid_to, weekdays=weekdays
    )
    return _renewed(template, auction or day.isoformat()) if standing.stands_on(day) else None


def standing_book(
    standings: Iterable[Standing], *, day: date, auction: str | None = None
) -> list[dict[str, Any]]:
    """Return the bids of an auction for a delivery day, in ascending order of id.

    A block whose parent does not stand that day does not either: a child is accepted only with
    its parent, so its bid would be refused for naming an unknown one.
    """
    found = {item.template["id"]: item.template for item in standings if item.stands_on(day)}
    while orphans := [
        name
        for name, template in found.items()
        if template.get("parent") is not None and template["parent"] not in found
    ]:
        for name in orphans:
            del found[name]
    return [_renewed(found[name], auction or day.isoformat()) for name in sorted(found)]


def renewed_id(name: str, auction: str) -> str:
    """Return the id a standing bid has in an auction."""
    return f"{name}@{auction}"


def _renewed(template: Mapping[str, Any], auction: str) -> dict[str, Any]:
    bid = copy.deepcopy(dict(template))
    bid["id"] = renewed_id(template["id"], auction)
    if bid.get("parent") is not None:
        bid["parent"] = renewed_id(template["parent"], auction)
    return bid
