"""Notices: what waits for the person, and what happened lately in their affairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.approvals.kinds import KINDS
from accounts.approvals.selectors import approvals_seen
from accounts.parties.sight import Sight
from aggregator.outbox.selectors import subscriptions_seen
from aggregator.portal import words
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.money.statements import statement_url
from aggregator.portal.money.words import entry_word, kind_word
from aggregator.portal.team.words import approval_word
from aggregator.settlement.dispute_models import DisputeEntry
from aggregator.settlement.documents.seen import documents_seen
from aggregator.settlement.seen import OPEN, READ, disputes_seen

PAGE = "notices"
SHOWN_COUNT = 20


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to do or to know."""

    at: datetime | None
    text: str
    url: str
    is_urgent: bool = False


def approvals_waiting(sight: Sight, now: datetime) -> list[Notice]:
    """Return requests that the person may decide: not their own, and in time."""
    found = []
    for row in approvals_seen(seen_by=sight, state="REQUESTED").order_by("expires_at", "id"):
        may = row.organisation_id in sight.organisations_for(KINDS[row.kind].check)
        if not may or row.maker == sight.actor or row.expires_at <= now:
            continue
        subject = row.subject.rpartition(":")[2]
        address = {
            "payment.release": "portal:money_payment",
            "bank_account.change": "portal:money_bank",
        }.get(row.kind)
        found.append(
            Notice(
                at=row.expires_at,
                text=approval_word(row.kind),
                url=reverse(address, args=[subject]) if address else "",
                is_urgent=True,
            )
        )
    return found


def statements_waiting(sight: Sight) -> list[Notice]:
    """Return statements that wait for the word of the person's organisations."""
    own = sight.organisations_for(OPEN)
    rows = documents_seen(seen_by=sight).filter(
        organisation_id__in=own, kind="STATEMENT", state="ISSUED", corrected_by__isnull=True
    )
    return [
        Notice(
            at=row.objection_due_at,
            text=gettext("%(number)s の確認（%(total)s 円）")
            % {"number": row.number, "total": words.number(row.total_jpy)},
            url=statement_url(row),
        )
        for row in rows.defer("content").order_by("objection_due_at", "id")[:SHOWN_COUNT]
    ]


def hooks_paused(sight: Sight) -> list[Notice]:
    """Return webhooks that are paused or were never confirmed."""
    if not sight.may_somewhere("webhook.manage"):
        return []
    found = []
    for row in subscriptions_seen(seen_by=sight).filter(is_active=True)[:SHOWN_COUNT]:
        url = reverse("portal:webhook", args=[row.id])
        if row.confirmed_at is None:
            text = gettext("Webhookの宛先が確認されていません")
            found.append(Notice(at=row.created_at, text=text, url=url))
        elif row.paused_until is not None:
            text = gettext("Webhookへの送信が続けて失敗しています")
            found.append(Notice(at=row.paused_until, text=text, url=url))
    return found


def lately(sight: Sight) -> Sequence[Notice]:
    """Return documents and dispute entries of the person's organisations, the latest first."""
    if not sight.may_somewhere(READ):
        return []
    documents = documents_seen(seen_by=sight).defer("content").order_by("-issued_on", "-id")
    found = [
        Notice(
            at=row.issued_at,
            text=gettext("%(kind)s %(number)s が発行されました")
            % {"kind": kind_word(row.kind), "number": row.number},
            url=statement_url(row),
        )
        for row in documents[:SHOWN_COUNT]
    ]
    entries = DisputeEntry.objects.filter(dispute__in=disputes_seen(seen_by=sight).values("id"))
    found += [
        Notice(
            at=row.at,
            text=gettext("異議：%(what)s（%(who)s）")
            % {"what": entry_word(row.kind), "who": words.local_name(row.organisation)},
            url=reverse("portal:money_dispute", args=[row.dispute_id]),
        )
        for row in entries.select_related("organisation").order_by("-id")[:SHOWN_COUNT]
    ]
    found.sort(key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)
    return found[:SHOWN_COUNT]


@person_required()
@require_safe
def notice_list(request: HttpRequest) -> HttpResponse:
    """Show what waits first, then what happened."""
    sight = sight_in(request)
    now = market_time()
    to_do = [*approvals_waiting(sight, now.now), *statements_waiting(sight), *hooks_paused(sight)]
    context = {
        **frame(request, page=PAGE, now=now),
        "to_do": to_do,
        "lately": lately(sight),
    }
    return render(request, "portal/team/notices.html", context)
