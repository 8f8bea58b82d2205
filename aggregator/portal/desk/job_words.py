"""Jobs in words: what a worker does, how far it is, since when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext, gettext_noop

from accounts.jobs.models import Job, JobState
from aggregator.portal import words

PERCENT: Final = re.compile(r"(\d{1,3})(?:\.\d+)?\s?%")
PART: Final = re.compile(r"(\d+)\s?/\s?(\d+)")
KINDS: Final[Mapping[str, str]] = {
    "market.trading.auction_open": gettext_noop("募集を始める"),
    "market.trading.gate_close": gettext_noop("入札を締め切る"),
    "market.trading.book_root": gettext_noop("入札簿の要約を公表する"),
    "market.trading.book_open": gettext_noop("入札を開封する"),
    "market.trading.proposal_lapse": gettext_noop("必要量の提案の期限"),
    "market.trading.standing_bids_renew": gettext_noop("常時入札の更新"),
    "market.clearing.run_execute": gettext_noop("約定計算"),
    "market.clearing.run_publish": gettext_noop("結果の公表"),
    "market.clearing.deadline": gettext_noop("公表期限"),
    "aggregator.dispatch.instructions_plan": gettext_noop("指令の計画"),
    "aggregator.dispatch.instructions_expire": gettext_noop("応答期限の監視"),
    "aggregator.dispatch.instructions_clock": gettext_noop("指令の開始と終了"),
    "aggregator.dispatch.instruction_replace": gettext_noop("差し替え"),
    "aggregator.dispatch.replacement_repeat": gettext_noop("差し替えの再探索"),
    "aggregator.dispatch.awards_release": gettext_noop("発注のない約定の解除"),
    "aggregator.protocols.openadr3.instructions_send": gettext_noop("指令の送信"),
    "aggregator.protocols.openadr3.instruction_remind": gettext_noop("指令の督促"),
    "aggregator.metering.delivery_verify": gettext_noop("供出量の確認"),
    "aggregator.metering.gaming_report": gettext_noop("不自然な行動の点検"),
    "aggregator.settlement.run_execute": gettext_noop("精算"),
    "aggregator.settlement.period_close": gettext_noop("月次の締め"),
    "aggregator.settlement.documents_issue": gettext_noop("帳票の発行"),
    "aggregator.settlement.document_confirm": gettext_noop("帳票の確認期限"),
    "aggregator.outbox.message_deliver": gettext_noop("通知の送信"),
    "aggregator.outbox.endpoint_drain": gettext_noop("通知の送信"),
    "aggregator.outbox.subscription_challenge": gettext_noop("通知先の確認"),
    "aggregator.protocols.uftp.metering_send": gettext_noop("計量値の送信（UFTP）"),
    "aggregator.protocols.uftp.prognosis_send": gettext_noop("計画値の送信（UFTP）"),
    "aggregator.protocols.uftp.offers_make": gettext_noop("オファーの作成（UFTP）"),
    "aggregator.protocols.uftp.offers_expire": gettext_noop("オファーの期限（UFTP）"),
    "aggregator.protocols.uftp.message_decide": gettext_noop("電文の処理（UFTP）"),
    "aggregator.control.alarm_ask": gettext_noop("警報"),
    "accounts.approvals.approval_expire": gettext_noop("承認の期限"),
    "accounts.parties.invitation_send": gettext_noop("招待の送信"),
}


@dataclass(frozen=True, kw_only=True)
class JobSeen:
    """A job in words."""

    row: Job
    name: str
    word: str
    tone: str
    percent: int | None
    note: str


def job_name(kind: str) -> str:
    """Say a kind of job; one without a word is named as the code does."""
    return gettext(KINDS[kind]) if kind in KINDS else kind.rpartition(".")[2]


def percent_of(step: str) -> int | None:
    """Read how far a job is from what it says of its step: ``64 %`` or ``3 / 20``."""
    found = PERCENT.search(step)
    if found:
        return min(100, int(found[1]))
    found = PART.search(step)
    if found and int(found[2]):
        return min(100, round(100 * int(found[1]) / int(found[2])))
    return None


def job_seen(row: Job) -> JobSeen:
    """Say how a job stands."""
    percent = percent_of(row.step)
    tone = ""
    if row.state == JobState.QUARANTINED:
        word, tone = gettext("停止"), "crit"
    elif row.state == JobState.RUNNING:
        word = gettext("実行中") if percent is None else f"{percent} %"
    elif row.state == JobState.READY and row.attempts_count:
        word = gettext("再試行 %(n)d/%(max)d") % {"n": row.attempts_count, "max": row.attempts_max}
        tone = "high"
    elif row.state == JobState.DONE:
        word = gettext("完了")
    else:
        word = gettext("待ち・%(at)s") % {"at": words.jst_day(row.due_at)}
    return JobSeen(
        row=row, name=job_name(row.kind), word=word, tone=tone, percent=percent, note=row.step
    )
