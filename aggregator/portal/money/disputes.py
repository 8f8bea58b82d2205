"""Disputes: raised on lines with evidence, argued by both sides, decided by settlement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.errors import NotPermitted
from accounts.core.files import file_checked
from accounts.ledger.selectors import ledger_account_ids_of
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, FileField, PortalForm, TextField
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, listed
from aggregator.portal.money import selectors
from aggregator.portal.money.handing import attachment
from aggregator.portal.money.words import dispute_mark, reason_word, reasons
from aggregator.settlement.dispute_models import TEXT_LENGTH_MAX, Dispute, DisputeState
from aggregator.settlement.disputes import (
    DECISIONS,
    LINES_MAX,
    dispute_comment,
    dispute_decide,
    dispute_evidence_add,
    dispute_open,
    dispute_review_start,
    dispute_withdraw,
)
from aggregator.settlement.documents.confirming import document_object
from aggregator.settlement.documents_models import Document, DocumentState
from aggregator.settlement.models import SettlementLine
from aggregator.settlement.seen import (
    DECIDE,
    OPEN,
    READ,
    dispute_judge,
    dispute_side,
    disputed_lines_seen,
    disputes_seen,
    line_view_of,
)

ACCEPTED = ".pdf,.csv,.png,.json"
DISPUTE_CSV = (
    "id", "organisation", "counterparty", "reason_code", "disputed_exact_jpy", "state", "is_held",
    "opened_at", "ended_at",
)  # fmt: skip


def _page(request: HttpRequest) -> str:
    """Return the way of the rail that these pages belong to: settlement has one for them."""
    is_judge = sight_in(request).may_everywhere(DECIDE)
    return "money_disputes" if is_judge else "money_statements"


@person_required()
@require_safe
def dispute_list(request: HttpRequest) -> HttpResponse:
    """List disputes from either side, or all for settlement."""
    sight = sight_in(request)
    if not sight.may_somewhere(READ):
        raise Http404(gettext("見つかりません。"))
    rows = disputes_seen(seen_by=sight)
    listing = listed(
        request,
        rows,
        filters=[
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=[(state, dispute_mark(state).word) for state in DisputeState.values],
            ),
            Filter(
                name="reason",
                label=gettext("理由"),
                apply=lambda found, value: found.filter(reason_code=value),
                choices=reasons(),
            ),
        ],
        sorts={"opened": ("opened_at", "id"), "amount": ("disputed_exact_jpy", "id")},
        sort="-opened",
    )
    if listing.wants_csv:
        return listing.csv("disputes.csv", DISPUTE_CSV, _cells)
    return render(
        request,
        "portal/money/disputes.html",
        {
            **frame(request, page=_page(request)),
            "listing": listing,
            "sees_all": sight.may_everywhere(READ),
        },
    )


def _cells(row: Dispute) -> Sequence[Any]:
    return [
        row.id,
        row.organisation.code,
        row.counterparty.code,
        row.reason_code,
        row.disputed_exact_jpy,
        row.state,
        row.is_held,
        row.opened_at,
        row.ended_at,
    ]


class RaiseForm(PortalForm):
    """Why lines are wrong, with a file that shows it."""

    places = ((r"lines(\[\d+\])?", "lines"), (r"file", "evidence"))

    reason_code = ChoiceField(label=gettext_lazy("理由の種類"), choices=reasons)
    reason = TextField(
        label=gettext_lazy("何がどう違うか"),
        rows=5,
        max_length=TEXT_LENGTH_MAX,
        help_text=gettext_lazy("どの数値が、何と比べて、いくら違うかを書いてください。"),
    )
    evidence = FileField(
        label=gettext_lazy("証拠のファイル"),
        accept=ACCEPTED,
        required=False,
        help_text=gettext_lazy("PDF・CSV・PNG・JSON、5 MB まで。後から追加もできます。"),
    )


def _lines_asked(request: HttpRequest, sight: Sight) -> list[SettlementLine]:
    """Return the lines that a dispute is to be about, as far as the person sees them."""
    asked = request.POST.getlist("line") or request.GET.getlist("line")
    numbers = [int(text) for text in asked if text.isascii() and text.isdigit()][: LINES_MAX + 1]
    view = line_view_of(sight)
    found = [selectors.line_seen(view=view, line_id=number) for number in dict.fromkeys(numbers)]
    lines = [row for row in found if row is not None]
    if not lines or len(lines) != len(set(asked)):
        raise Http404(gettext("この明細は見つかりません。"))
    return lines


def _party_of(lines: Sequence[SettlementLine], sight: Sight) -> Organisation:
    own = sight.organisations_for(OPEN)
    for side in (lines[0].payer.organisation, lines[0].payee.organisation):
        if side.id in own:
            return side
    raise Http404(gettext("この明細は見つかりません。"))


@person_required()
@require_http_methods(["GET", "POST"])
def dispute_raise(request: HttpRequest) -> HttpResponse:
    """Object to lines; a statement that still waits for the party's word counts as objected to."""
    sight = sight_in(request)
    lines = _lines_asked(request, sight)
    party = _party_of(lines, sight)
    ids = set(ledger_account_ids_of(organisation_ids=[party.id]))

    def work(given: dict[str, Any]) -> Done:
        about = {
            "organisation": party,
            "line_ids": [row.pk for row in lines],
            "reason_code": given["reason_code"],
            "reason": given["reason"],
            "actor": sight.actor,
        }
        asked = _statement_asked(party, lines)
        if asked is None:
            dispute = dispute_open(**about)
        else:
            _, dispute = document_object(document_id=asked.id, **about)
        if given["evidence"] is not None:
            _evidence(dispute, party, given["evidence"], sight)
        return Done(
            url=reverse("portal:money_dispute", args=[dispute.id]),
            said=gettext("異議を申し立てました。明細の金額は決定まで支払が保留されます。"),
        )

    signed = [(row, row.payee_id in ids) for row in lines]
    return FormPage(
        form=RaiseForm,
        work=work,
        template="portal/money/dispute_new.html",
        context=lambda _: {
            **frame(request, page=_page(request)),
            "lines": signed,
            "party": party,
            "total": sum(
                row.amount_exact_jpy if received else -row.amount_exact_jpy
                for row, received in signed
            ),
        },
    ).answer(request)


def _statement_asked(party: Organisation, lines: Sequence[SettlementLine]) -> Document | None:
    """Return the statement of the lines' period that waits for the party's word, if one does."""
    days = {row.run.auction.delivery_on for row in lines}
    found = Document.objects.filter(
        organisation=party,
        kind="STATEMENT",
        state=DocumentState.ISSUED,
        corrected_by__isnull=True,
        period__start_on__lte=min(days),
        period__end_on__gt=max(days),
    )
    return found.first()


def _evidence(dispute: Dispute, side: Organisation, sent: Any, sight: Sight) -> None:
    dispute_evidence_add(
        dispute_id=dispute.id,
        organisation=side,
        file=file_checked(sent.name or "", sent.content_type or "", sent.read(), field="file"),
        actor=sight.actor,
    )


class CommentForm(PortalForm):
    """A word of one side."""

    text = TextField(label=gettext_lazy("意見"), rows=3, max_length=TEXT_LENGTH_MAX)


class EvidenceForm(PortalForm):
    """A file of one side."""

    places = ((r"file", "evidence"),)
    evidence = FileField(label=gettext_lazy("証拠のファイル"), accept=ACCEPTED)


class WithdrawForm(PortalForm):
    """Why it is taken back, if that is to be said."""

    text = TextField(
        label=gettext_lazy("取下げの理由"), rows=2, max_length=TEXT_LENGTH_MAX, required=False
    )


class ReviewForm(PortalForm):
    """Nothing to fill in."""


class DecisionForm(PortalForm):
    """What settlement decides, in words."""

    outcome = ChoiceField(
        label=gettext_lazy("決定"),
        choices=lambda: [(one, dispute_mark(one).word) for one in DECISIONS],
    )
    text = TextField(label=gettext_lazy("決定の理由"), rows=4, max_length=TEXT_LENGTH_MAX)


def _dispute(request: HttpRequest, dispute_id: UUID) -> Dispute:
    row = disputes_seen(seen_by=sight_in(request)).filter(id=dispute_id).first()
    if row is None:
        raise Http404(gettext("この異議は見つかりません。"))
    return row


FORMS: dict[str, type[PortalForm]] = {
    "comment": CommentForm,
    "evidence": EvidenceForm,
    "withdraw": WithdrawForm,
    "review": ReviewForm,
    "decide": DecisionForm,
}


def _works(row: Dispute, sight: Sight) -> dict[str, Callable[[dict[str, Any]], str]]:
    """Return what may be done in a dispute, by the name of its form; each says what was done."""
    about: dict[str, Any] = {"dispute_id": row.id, "actor": sight.actor}

    def comment(given: dict[str, Any]) -> str:
        side = dispute_side(seen_by=sight, dispute=row)
        dispute_comment(organisation=side, text=given["text"], **about)
        return gettext("意見を記録しました。両者に見えます。")

    def evidence(given: dict[str, Any]) -> str:
        _evidence(row, dispute_side(seen_by=sight, dispute=row), given["evidence"], sight)
        return gettext("証拠を提出しました。両者に見えます。")

    def withdraw(given: dict[str, Any]) -> str:
        side = dispute_side(seen_by=sight, dispute=row)
        dispute_withdraw(organisation=side, text=given["text"], **about)
        return gettext("異議を取り下げました。保留は解けました。")

    def review(_: dict[str, Any]) -> str:
        dispute_review_start(organisation=dispute_judge(seen_by=sight, dispute=row), **about)
        return gettext("審査を始めました。")

    def decide(given: dict[str, Any]) -> str:
        judge = dispute_judge(seen_by=sight, dispute=row)
        dispute_decide(organisation=judge, outcome=given["outcome"], text=given["text"], **about)
        return gettext("決定しました。両者に見えます。")

    return {
        "comment": comment,
        "evidence": evidence,
        "withdraw": withdraw,
        "review": review,
        "decide": decide,
    }


@person_required()
@require_http_methods(["GET", "POST"])
def dispute(request: HttpRequest, dispute_id: UUID, act: str = "") -> HttpResponse:
    """Show a dispute with its history; each act of it is a form on the same page."""
    sight = sight_in(request)
    row = _dispute(request, dispute_id)
    here = reverse("portal:money_dispute", args=[row.id])
    if act and act not in FORMS:
        raise Http404(gettext("見つかりません。"))
    open_to = _open_to(row, sight)
    if act and act not in open_to and request.method == "POST" and not _is_party(row, sight, act):
        raise Http404(gettext("見つかりません。"))
    works = _works(row, sight)
    shown = act or "comment"

    def make(data: QueryDict | None, files: Any) -> PortalForm:
        return FORMS[shown](data, files, prefix=None)

    def context(form: PortalForm) -> dict[str, Any]:
        forms = {name: FORMS[name](auto_id=f"id_{name}_%s") for name in open_to}
        if shown in forms:
            form.auto_id = f"id_{shown}_%s"
            forms[shown] = form
        waits = row.state == DisputeState.ACCEPTED and row.is_held
        return {
            **frame(request, page=_page(request)),
            **_told(row, sight),
            "forms": forms,
            "act": shown,
            "may_correct": waits and _is_party(row, sight, "decide"),
        }

    return FormPage(
        form=make,
        work=lambda given: Done(url=here, said=works[shown](given)),
        template="portal/money/dispute.html",
        context=context,
    ).answer(request)


def _is_party(row: Dispute, sight: Sight, act: str) -> bool:
    """Whether the act is the caller's at all; if its time is over, the service says so."""
    try:
        if act in ("review", "decide"):
            dispute_judge(seen_by=sight, dispute=row)
        else:
            side = dispute_side(seen_by=sight, dispute=row)
            return act != "withdraw" or side.id == row.organisation_id
    except NotPermitted:
        return False
    return True


def _open_to(row: Dispute, sight: Sight) -> list[str]:
    """Return the acts that the caller is offered now."""
    offered = {
        "OPEN": ("comment", "evidence", "withdraw", "review"),
        "UNDER_REVIEW": ("comment", "evidence", "withdraw", "decide"),
    }.get(row.state, ())
    return [act for act in offered if _is_party(row, sight, act)]


def _told(row: Dispute, sight: Sight) -> dict[str, Any]:
    """Return what both sides see; who acted is told to one's own side and the market."""
    entries = list(row.entries.select_related("organisation", "evidence").order_by("id"))
    named = selectors.people_named(
        {one.actor for one in entries if sight.may(READ, one.organisation_id)}
    )
    view = line_view_of(sight)
    ids = set(ledger_account_ids_of(organisation_ids=[row.organisation_id]))
    lines = disputed_lines_seen(view=view, dispute=row)
    return {
        "dispute": row,
        "reason": reason_word(row.reason_code),
        "history": [(one, named.get(one.actor, "")) for one in entries],
        "lines": [(one, one.payee_id in ids) for one in lines],
        "run": row.corrected_by,
    }


@person_required()
@require_safe
def evidence(request: HttpRequest, dispute_id: UUID, evidence_id: UUID) -> HttpResponse:
    """Hand out a file of a dispute, to be saved and never shown in place."""
    found = _dispute(request, dispute_id).evidence.filter(id=evidence_id).first()
    if found is None:
        raise Http404(gettext("このファイルは見つかりません。"))
    return attachment(
        name=found.name, content_type=found.content_type, content=bytes(found.content)
    )
