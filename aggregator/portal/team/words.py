"""Words of team pages: roles, topics, states."""

from __future__ import annotations

from django.utils.translation import gettext

from accounts.parties.roles import Role
from aggregator.portal.money.words import Mark


def role_word(role: str) -> str:
    """Name a role in the page's language."""
    return gettext(str(Role(role).label)) if role in Role.values else role


def topic_word(topic: str) -> str:
    """Name what a webhook tells of."""
    return {
        "auction.opened": gettext("募集開始"),
        "auction.closed": gettext("入札締切"),
        "auction.cancelled": gettext("オークション取消"),
        "need.published": gettext("必要量の公表"),
        "result.published": gettext("約定結果の公表"),
        "award.published": gettext("自社の約定"),
        "instruction.sent": gettext("自社への指令"),
        "statement.issued": gettext("自社の明細書"),
        "prequalification.changed": gettext("事前審査の進捗"),
        "audit.checkpoint": gettext("監査チェックポイント"),
        "ping": gettext("試験"),
    }.get(topic, topic)


def message_mark(state: str) -> Mark:
    """Draw how a message stands."""
    return {
        "WAITING": Mark(glyph="half", tone="acc", word=gettext("送信待ち")),
        "DELIVERED": Mark(glyph="check", tone="ok", word=gettext("送達")),
        "DEAD": Mark(glyph="alarm", tone="crit", word=gettext("送信断念")),
    }[state]


def approval_word(kind: str) -> str:
    """Name what needs a second person."""
    return {
        "need.publish": gettext("必要量の公表の承認"),
        "result.cancel": gettext("約定結果の取消の承認"),
        "payment.release": gettext("振込の承認"),
        "bank_account.change": gettext("口座変更の承認"),
        "auction.close_early": gettext("早期締切の承認"),
    }.get(kind, gettext("承認"))
