"""Filters and marks of team pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from accounts.parties.sight import Sight
from aggregator.portal import once
from aggregator.portal.team import words as team_words
from aggregator.portal.templatetags.portal import icon

register = template.Library()
register.filter("role_word", team_words.role_word)
register.filter("topic_word", team_words.topic_word)


@register.inclusion_tag("portal/team/tabs.html")
def settings_tabs(sight: Sight, tab: str) -> dict[str, Any]:
    """Draw the ways between pages of set-up that the person has."""
    return {
        "tab": tab,
        "may_team": sight.may_somewhere("member.read"),
        "may_keys": sight.may_somewhere("client.manage"),
        "may_hooks": sight.may_somewhere("webhook.manage"),
    }


@register.simple_tag(takes_context=True)
def form_token_field(context: dict[str, Any]) -> SafeString:
    """Draw a token of its own for a small form among several on a page."""
    user = context["request"].user
    return format_html(
        '<input type="hidden" name="{}" value="{}">', once.FIELD, once.token_made(user.pk)
    )


@register.simple_tag
def message_pill(row: Any) -> SafeString:
    """Draw how a message stands."""
    mark = team_words.message_mark(row.state)
    return format_html('<span class="pill {}">{}{}</span>', mark.tone, icon(mark.glyph), mark.word)


@register.simple_tag
def hook_pill(row: Any) -> SafeString:
    """Draw how a webhook stands."""
    tone, glyph, word = "ok", "check", gettext("有効")
    if not row.is_active:
        tone, glyph, word = "", "ring", gettext("無効")
    elif row.confirmed_at is None:
        tone, glyph, word = "high", "half", gettext("宛先の確認待ち")
    elif row.paused_until is not None:
        tone, glyph, word = "crit", "alarm", gettext("休止中")
    return format_html('<span class="pill {}">{}{}</span>', tone, icon(glyph), word)
