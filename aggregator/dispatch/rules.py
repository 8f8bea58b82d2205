"""When instructions go out and by when sites must answer: part of the ruleset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from accounts.core.errors import Refused

HOURS_MAX = 168


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
    """

    send_before_h: float = 6.0
    respond_before_h: float = 1.0
    respond_min_h: float = 0.5

    def send_at(self, *, starts_at: datetime, planned_at: datetime) -> datetime:
        """Return when an instruction planned at `planned_at` is due to go out."""
        return max(planned_at, starts_at - timedelta(hours=self.send_before_h))

    def respond_by_at(self, *, starts_at: datetime, sent_at: datetime) -> datetime:
        """Return the response deadline of an instruction sent at `sent_at`."""
        regular = starts_at - timedelta(hours=self.respond_before_h)
        soonest = sent_at + timedelta(hours=self.respond_min_h)
        return min(starts_at, max(regular, soonest))


def dispatch_rules(rules: Mapping[str, Any]) -> DispatchRules:
    """Read the entry ``dispatch`` of a ruleset's rules.

    Raises
    ------
    Refused
        On an unknown name, or a value that is no number of hours from 0 to 168.
    """
    given = rules.get("dispatch", {})
    known = {field.name for field in fields(DispatchRules)}
    for name, value in given.items():
        where = f"rules.dispatch.{name}"
        if name not in known:
            raise Refused(field=where, value=value, rule=f"one of {', '.join(sorted(known))}")
        if type(value) not in (int, float) or not 0 <= value <= HOURS_MAX:
            raise Refused(field=where, value=value, rule=f"hours from 0 to {HOURS_MAX}")
    return DispatchRules(**given)
