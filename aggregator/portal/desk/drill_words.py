"""A drill in words: its state, why it ended, and what came in each interval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext

from aggregator.dispatch.models import Trial, TrialState
from aggregator.metering.trials import SILENT, UNREAD
from aggregator.portal import words

DECLINED = "declined by the site"
TOO_LATE = "its start passed before it could be sent"


@dataclass(frozen=True, kw_only=True)
class State:
    """A state as the page shows it."""

    word: str
    icon: str
    tone: str


def drill_state(state: str) -> State:
    """Say a state."""
    word, icon, tone = {
        TrialState.PLANNED: (gettext("予定"), "ring", ""),
        TrialState.SENT: (gettext("受諾待ち"), "half", "high"),
        TrialState.ACKNOWLEDGED: (gettext("受諾"), "dot", "acc"),
        TrialState.PASSED: (gettext("合格"), "check", "ok"),
        TrialState.FAILED: (gettext("不合格"), "alarm", "crit"),
        TrialState.CANCELLED: (gettext("取消"), "alarm", ""),
    }[TrialState(state)]
    return State(word=word, icon=icon, tone=tone)


def drill_reason(reason: str) -> str:
    """Say why a drill ended so; what a person wrote stays as it is."""
    if reason.startswith("scored "):
        return gettext("得点が合格の線に届きませんでした。")
    return {
        SILENT: gettext("開始までに拠点の返事がありませんでした。"),
        UNREAD: gettext("計測値が届きませんでした。"),
        DECLINED: gettext("拠点が辞退しました。"),
        TOO_LATE: gettext("開始までに送信できませんでした。"),
    }.get(reason, reason)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One interval of the evidence.

    Parameters
    ----------
    ratio
        Of what was asked, 0 to 1; not metered counts as nothing.
    is_asked
        Whether it lies in the drill and not before it.
    """

    at: str
    power_kw: Decimal | None
    change_kw: Decimal | None = None
    ratio: float = 0.0
    is_asked: bool = False


def intervals_of(row: Trial) -> list[Interval]:
    """Return every reading a drill was scored on, in order; none before it was scored."""
    if not row.evidence:
        return []
    found = [Interval(at=_at(at), power_kw=_kw(kw)) for at, kw in row.evidence.get("before", ())]
    for at, kw, change in row.evidence.get("during", ()):
        change_kw = _kw(change)
        ratio = 0.0 if change_kw is None else float(change_kw / row.quantity_kw)
        found.append(
            Interval(
                at=_at(at),
                power_kw=_kw(kw),
                change_kw=change_kw,
                ratio=min(1.0, max(0.0, ratio)),
                is_asked=True,
            )
        )
    return found


def _at(text: str) -> str:
    return words.jst(datetime.fromisoformat(text))


def _kw(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
