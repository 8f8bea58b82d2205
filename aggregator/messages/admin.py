"""Messages of protocols, to look at and to look for."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from accounts.fields.admin import FactAdmin
from aggregator.messages.models import ProtocolMessage

CONTENT_SEARCHED = timedelta(days=7)


@admin.register(ProtocolMessage)
class ProtocolMessageAdmin(FactAdmin):
    list_display = (
        "at", "protocol", "direction", "kind", "peer", "message_id", "subject", "outcome",
    )  # fmt: skip
    list_filter = ("protocol", "direction")
    search_fields = ("message_id",)
    search_help_text = (
        "メッセージID・会話ID・相手・対象は全期間（完全一致）、内容は直近7日間（部分一致）"
    )
    list_select_related = ("organisation",)
    ordering = ("-at", "-id")

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
                | Q(content__contains=word, at__gte=Now() - CONTENT_SEARCHED)
            )
        return queryset, False
