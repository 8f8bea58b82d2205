"""Alarms in words: a headline by kind, what it is about, and where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Max
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from aggregator.control.models import Alarm, AlarmPriority
from aggregator.dispatch.models import DispatchInstruction
from aggregator.portal import words

TOLERANCE_RATIO: Final = Decimal("0.9")
INSTRUCTION: Final = "dispatch.dispatchinstruction"
AUCTION: Final = "trading.auction"
TRIAL: Final = "dispatch.trial"

# what happened, by kind; a kind that is not here is shown by its own text
KINDS: Final[Mapping[str, str]] = {
    "instruction.unreached": gettext_noop("指令に応答がありません"),
    "instruction.silent": gettext_noop("指令の受領確認がまだありません"),
    "instruction.unreplaced": gettext_noop("差し替え先が見つかりません"),
    "instruction.too_late": gettext_noop("指令を開始前に送れませんでした"),
    "instruction.stopped": gettext_noop("指令を緊急停止しました"),
    "instruction.opted_out": gettext_noop("指令が辞退されました"),
    "trial.failed": gettext_noop("訓練が不合格でした"),
    "connection.lost": gettext_noop("接続の生存通知が途絶えました"),
    "connection.late": gettext_noop("接続の生存通知が遅れています"),
    "run.failed": gettext_noop("約定計算が失敗しました"),
    "run.fallback": gettext_noop("代替の結果を公表しました"),
    "auction.cancelled": gettext_noop("オークションが取り消されました"),
    "job.dead": gettext_noop("ジョブが停止しました"),
    "meter.late": gettext_noop("計測値が届いていません"),
    "message.dead": gettext_noop("通知を届けられませんでした"),
    "need.waiting": gettext_noop("締切前に承認を待つ必要量があります"),
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """An alarm as the desk reads it."""

    title: str
    note: str
    url: str


def priority_words(priority: int) -> tuple[str, str, str]:
    """Return glyph, tone and word of a priority; shape and number carry it without colour."""
    return {
        AlarmPriority.URGENT: ("diamond", "crit", gettext("至急")),
        AlarmPriority.HIGH: ("up", "high", gettext("重要")),
        AlarmPriority.MEDIUM: ("square", "med", gettext("注意")),
        AlarmPriority.NOTE: ("dot", "info", gettext("通知")),
    }[AlarmPriority(priority)]


def kind_word(kind: str) -> str:
    """Say a kind."""
    return gettext(KINDS[kind]) if kind in KINDS else kind


def subjects_of(rows: Iterable[Alarm]) -> dict[str, Any]:
    """Read the instructions that alarms are about, in one statement."""
    ids = {}
    for row in rows:
        label, _, key = row.subject.partition(":")
        if label == INSTRUCTION:
            ids[key] = row.subject
    found = (
        DispatchInstruction.objects.filter(id__in=[UUID(key) for key in ids])
        .select_related("resource__site", "organisation")
        .annotate(kw_max=Max("intervals__quantity_kw"))
    )
    return {ids[str(row.id)]: row for row in found}


def said(row: Alarm, subject: Any) -> Said:
    """Say what happened, to what, and where one looks at it."""
    title = kind_word(row.kind)
    if isinstance(subject, DispatchInstruction):
        site = words.local_name(subject.resource.site)
        note = gettext("%(resource)s・%(kw)s kW・%(start)s開始") % {
            "resource": words.local_name(subject.resource),
            "kw": words.number(getattr(subject, "kw_max", None)),
            "start": words.jst(subject.starts_at),
        }
        return Said(
            title=gettext("%(site)s：%(what)s") % {"site": site, "what": title},
            note=note,
            url=reverse("portal:desk_instruction", args=[subject.id]),
        )
    label, _, key = row.subject.partition(":")
    url = {
        AUCTION: reverse("portal:desk_auctions"),
        TRIAL: reverse("portal:desk_drill", args=[key]) if label == TRIAL else "",
        "jobs.job": reverse("portal:desk_jobs"),
    }.get(label, "")
    note = row.text or key
    return Said(title=title, note=note, url=url)
