"""One instruction as the desk's pages find and name it."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest
from django.utils.translation import gettext

from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.selectors import instructions_seen
from aggregator.portal import words
from aggregator.portal.desk.pages import view_in
from aggregator.portal.frame import sight_in
from aggregator.portal.templatetags.portal import instruction_word


def instruction_in(request: HttpRequest, instruction_id: UUID) -> DispatchInstruction:
    """Return an instruction to who has the room.

    Raises
    ------
    Http404
        If there is none, or the visitor is not of the market's desk or an auditor.
    """
    sight = sight_in(request)
    view_in(sight)
    row = instructions_seen(seen_by=sight).filter(id=instruction_id).first()
    if row is None:
        raise Http404(gettext("この指令は見つかりません。"))
    return row


def instruction_facts(row: DispatchInstruction) -> list[dict[str, str]]:
    """Name an instruction on a page that decides about it."""
    return [
        {"label": gettext("拠点"), "value": words.local_name(row.resource.site)},
        {"label": gettext("リソース"), "value": words.local_name(row.resource)},
        {
            "label": gettext("時間帯"),
            "value": f"{words.jst_day(row.starts_at)}–{words.jst_until(row.ends_at)}",
        },
        {"label": gettext("状態"), "value": instruction_word(row.state)},
    ]
