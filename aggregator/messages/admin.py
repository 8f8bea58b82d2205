"""Messages of protocols, to look at and to look for."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.fields.admin import UNKNOWN, FactAdmin
from aggregator.messages.models import ProtocolMessage

CONTENT_SEARCHED = timedelta(days=7)


@admin.register(ProtocolMessage)
class ProtocolMessageAdmin(FactAdmin):
    list_display = (
        "at", "protocol", "direction", "kind", "peer", "message_id", "about", "outcome",
    )  # fmt: skip
    readonly_fields = ("about",)
    list_filter = ("protocol", "direction")
    search_fields = ("message_id",)
    search_help_text = (
        "メッセージID・会話ID・相手・対象は全期間（完全一致）、種類・内容は直近7日間（部分一致）"
    )
    list_select_related = ("organisation",)
    ordering = ("-at", "-id")

    @admin.display(description="対象", ordering="subject")
    def about(self, row: ProtocolMessage) -> SafeString | str:
        """Link to what the message made or tells of, by its name alone: nothing is read for it."""
        label, _, key = row.subject.partition(":")
        try:
            url = reverse(f"admin:{label.replace('.', '_')}_change", args=[key])
        except NoReverseMatch:
            return row.subject or UNKNOWN
        return format_html('<a href="{}">{}</a>', url, row.subject)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for exact names by index, and for words only among what is recent.

        Every other search would read the whole table.
        """
        del request
        words = search_term.split()
        for word in words:
            queryset = queryset.filter(
                Q(message_id=word)
                | Q(conversation_id=word)
                | Q(peer=word)
                | Q(subject=word)
                | Q(at__gte=Now() - CONTENT_SEARCHED)
                & (Q(kind__icontains=word) | Q(content__contains=word))
            )
        return queryset, False
