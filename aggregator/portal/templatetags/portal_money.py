"""Filters and marks of money pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from aggregator.portal.money import words as money_words
from aggregator.portal.templatetags.portal import icon

register = template.Library()
register.filter("item_word", money_words.item_word)
register.filter("kind_word", money_words.kind_word)
register.filter("reason_word", money_words.reason_word)
register.filter("entry_word", money_words.entry_word)
register.filter("deposit_word", money_words.deposit_word)
register.filter("form_word", money_words.form_word)
register.filter("exact", money_words.exact_yen)


def _pill(mark: money_words.Mark) -> SafeString:
    return format_html('<span class="pill {}">{}{}</span>', mark.tone, icon(mark.glyph), mark.word)


@register.simple_tag
def document_pill(row: Any) -> SafeString:
    """Draw the state of a document."""
    return _pill(money_words.document_mark(row))


@register.simple_tag
def dispute_pill(row: Any) -> SafeString:
    """Draw the state of a dispute, and whether it holds money."""
    drawn = _pill(money_words.dispute_mark(row.state))
    if not row.is_held:
        return drawn
    return format_html('{} <span class="pill">{}{}</span>', drawn, icon("lock"), gettext("保留中"))


@register.simple_tag
def batch_pill(row: Any) -> SafeString:
    """Draw the state of a batch."""
    return _pill(money_words.batch_mark(row.state))


@register.simple_tag
def payment_pill(row: Any) -> SafeString:
    """Draw what became of a transfer."""
    return _pill(money_words.payment_mark(row.state))


@register.simple_tag
def account_pill(row: Any) -> SafeString:
    """Draw the state of a bank account."""
    return _pill(money_words.account_mark(row.state))


@register.simple_tag
def job_pill(row: Any) -> SafeString:
    """Draw the state of a job."""
    return _pill(money_words.job_mark(row.state))


@register.filter
def named(actor: str, names: dict[str, str]) -> str:
    """Return the name of an actor."""
    return names.get(actor, actor)


@register.filter
def last_day(period: Any) -> Any:
    """Return the last delivery day of a period."""
    return period.end_on - timedelta(days=1)
