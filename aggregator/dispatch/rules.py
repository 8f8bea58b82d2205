"""When instructions go out and by when sites must answer: part of the ruleset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from accounts.core.errors import Refused

HOURS_MAX = 168
HOUR_S = 3_600


@dataclass(frozen=True, kw_only=True)
class DispatchRules:
    """The entry ``dispatch`` of a ruleset; an absent one means these values.

    Parameters
    ----------
    send_before_h
        Instructions go out this long before their start, or at publication if that is later. [h]
    respond_before_h
        A site must have answered this long before the start. [h]
    respond_min_h
        An instruction sent late leaves at least this long to answer, but never beyond its
        start. [h]
    response_h
        Of energy, which is sold without a product: within this long after a site failed, the
        last of those asked to stand in has answered. Reserved capacity has its product's. [h]
    answer_ratio
        Who is asked to stand in, or called, has this share of the response time to answer at
        least: with 0.25, four can be asked one after another.
    remind_ratio
        A site that has not answered is reminded when this share of its time is left.
    change_notice_h
        A change by the desk is in force this long after it was agreed at the earliest. [h]
    """

    send_before_h: float = 6.0
    respond_before_h: float = 1.0
    respond_min_h: float = 0.5
    response_h: float = 0.5
    answer_ratio: float = 0.25
    remind_ratio: float = 0.25
    change_notice_h: float = 0.25

    def send_at(self, *, starts_at: datetime, planned_at: datetime) -> datetime:
        """Return when an instruction planned at `planned_at` is due to go out."""
        return max(planned_at, starts_at - timedelta(hours=self.send_before_h))

    def respond_by_at(self, *, starts_at: datetime, sent_at: datetime) -> datetime:
        """Return the response deadline of an instruction sent at `sent_at`."""
        regular = starts_at - timedelta(hours=self.respond_before_h)
        soonest = sent_at + timedelta(hours=self.respond_min_h)
        return min(starts_at, max(regular, soonest))

    @property
    def response_s(self) -> int:
        """Response time of energy [s]."""
        return round(self.response_h * HOUR_S)

    def stand_in_respond_by_at(
        self, *, starts_at: datetime, asked_at: datetime, response_s: int
    ) -> datetime:
        """Return by when a stand-in must have answered, so that another can still be asked."""
        regular = starts_at - timedelta(hours=self.respond_before_h)
        soonest = asked_at + timedelta(seconds=self.answer_ratio * response_s)
        return min(starts_at, max(regular, soonest))

    def call_respond_by_at(self, *, called_at: datetime, response_s: int) -> datetime:
        """Return by when a site must have answered a call of reserved capacity."""
        return called_at + timedelta(seconds=self.answer_ratio * response_s)

    def call_stand_in_respond_by_at(
        self, *, starts_at: datetime, asked_at: datetime, response_s: int
    ) -> datetime:
        """Return by when who stands in for a call must have answered: as soon as who is called."""
        return min(starts_at, self.call_respond_by_at(called_at=asked_at, response_s=response_s))

    def remind_at(self, *, sent_at: datetime, respond_by_at: datetime) -> datetime:
        """Return when a site that is still silent is reminded."""
        return respond_by_at - self.remind_ratio * (respond_by_at - sent_at)


def dispatch_rules(rules: Mapping[str, Any]) -> DispatchRules:
    """Read the entry ``dispatch`` of a ruleset's rules.

    Raises
    ------
    Refused
        On an unknown name, or a value that is no number of hours from 0 to 168 or no share.
    """
    given = rules.get("dispatch", {})
    known = {field.name for field in fields(DispatchRules)}
    for name, value in given.items():
        where = f"rules.dispatch.{name}"
        if name not in known:
            raise Refused(field=where, value=value, rule=f"one of {', '.join(sorted(known))}")
        high = 1 if name.endswith("_ratio") else HOURS_MAX
        if type(value) not in (int, float) or not 0 <= value <= high:
            rule = "a share from 0 to 1" if high == 1 else f"hours from 0 to {HOURS_MAX}"
            raise Refused(field=where, value=value, rule=rule)
    return DispatchRules(**given)
