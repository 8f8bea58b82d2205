"""Payments: what is due, batches for the bank released by two people, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import PAYMENT_RELEASE
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approval_open
from accounts.approvals.services import approval_approve
from accounts.audit.services import subject_of
from accounts.core.errors import Refused
from accounts.parties.sight import Sight
from aggregator.core.business_days import next_business_day
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, DayField, FileField, PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, listed
from aggregator.portal.money import selectors
from aggregator.portal.money.handing import attachment
from aggregator.portal.money.words import batch_mark, form_word
from aggregator.settlement.payments.batches import (
    payment_batch_create,
    payment_batch_reject,
    payment_batch_release,
    payment_file_hand_out,
)
from aggregator.settlement.payments.dues import dues_open, dues_standing, parties_open
from aggregator.settlement.payments.results import RESULT_BYTES_MAX, payment_result_import
from aggregator.settlement.payments.seen import (
    CONTENT_TYPES,
    RELEASE,
    batch_rows,
    batches_seen,
    file_name,
)
from aggregator.settlement.payments_models import BatchState, PaymentBatch, PaymentFormat
from aggregator.settlement.seen import READ_LEDGER

PAGE = "money_payments"
REASON_LENGTH_MAX = 200
BATCH_CSV = (
    "id", "pay_on", "state", "rows_count", "total_jpy", "paid_jpy", "unpaid_count", "file_format",
    "created_by", "released_by",
)  # fmt: skip


def keeper(request: HttpRequest) -> Sight:
    """Return the sight of who keeps the house's books.

    Raises
    ------
    Http404
        For everybody else.
    """
    sight = sight_in(request)
    if not sight.may_everywhere(READ_LEDGER):
        raise Http404(gettext("見つかりません。"))
    return sight


def payer(request: HttpRequest) -> Sight:
    """Return the sight of who releases payments.

    Raises
    ------
    Http404
        For everybody else.
    """
    sight = keeper(request)
    if not sight.may_everywhere(RELEASE):
        raise Http404(gettext("見つかりません。"))
    return sight


@person_required()
@require_safe
def payment_list(request: HttpRequest) -> HttpResponse:
    """Show what is due to whom and who owes, and the batches made so far."""
    sight = keeper(request)
    listing = listed(
        request,
        batches_seen(seen_by=sight),
        filters=[
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda rows, value: rows.filter(state=value),
                choices=[(state, batch_mark(state).word) for state in BatchState.values],
            )
        ],
        sorts={"created": ("created_at", "id"), "pay_on": ("pay_on", "id")},
        sort="-created",
    )
    if listing.wants_csv:
        return listing.csv(
            "payment-batches.csv",
            BATCH_CSV,
            lambda row: [getattr(row, name) for name in BATCH_CSV],
        )
    standing = dues_standing()
    parties = parties_open(standing)
    return render(
        request,
        "portal/money/payments.html",
        {
            **frame(request, page=PAGE),
            "listing": listing,
            "payable": [party for party in parties if party.open_jpy > 0],
            "payable_jpy": sum(party.open_jpy for party in parties if party.open_jpy > 0),
            "owing": [party for party in parties if party.open_jpy < 0],
            "owing_jpy": -sum(party.open_jpy for party in parties if party.open_jpy < 0),
            "held_jpy": sum(abs(due.held_jpy) for due in standing),
            "may_pay": sight.may_everywhere(RELEASE),
        },
    )


class BatchForm(PortalForm):
    """The day on which banks are to pay."""

    pay_on = DayField(
        label=gettext_lazy("振込指定日"),
        help_text=gettext_lazy("60日以内の銀行営業日"),
    )


@person_required()
@require_http_methods(["GET", "POST"])
def payment_new(request: HttpRequest) -> HttpResponse:
    """Make a batch of everything due and ask a second person for its release."""
    sight = payer(request)

    def work(given: dict[str, Any]) -> Done:
        batch, _ = payment_batch_create(pay_on=given["pay_on"], maker=sight.actor)
        return Done(
            url=reverse("portal:money_payment", args=[batch.id]),
            said=gettext("振込を作成し、もう1人の承認を依頼しました。"),
        )

    parties = [party for party in dues_open() if party.open_jpy > 0]
    first = next_business_day(market_time().now.astimezone(words.JST).date())
    return FormPage(
        form=lambda data, files: BatchForm(data, files, initial={"pay_on": first}),
        work=work,
        template="portal/money/payment_new.html",
        context=lambda _: {
            **frame(request, page=PAGE),
            "parties": parties,
            "total_jpy": sum(party.open_jpy for party in parties),
        },
    ).answer(request)


class ApproveForm(PortalForm):
    """The digest of what was looked at goes with the form."""

    content_sha256 = TextField(max_length=64, required=False)


class ReleaseForm(PortalForm):
    """The one form in which the files go to the bank."""

    format = ChoiceField(
        label=gettext_lazy("銀行へ送る形式"),
        choices=lambda: [(one, form_word(one)) for one in PaymentFormat.values],
    )


class RejectForm(PortalForm):
    """Why the batch is dropped."""

    reason = TextField(label=gettext_lazy("取止めの理由"), max_length=REASON_LENGTH_MAX)


class ResultForm(PortalForm):
    """What the bank answered."""

    result = FileField(
        label=gettext_lazy("銀行の結果ファイル"),
        accept=".csv,.txt,.dat",
        help_text=gettext_lazy(
            "CSV、または全銀固定長。全件を検査し、1件でも合わなければ取り込みません。"
        ),
    )


FORMS: dict[str, type[PortalForm]] = {
    "approve": ApproveForm,
    "release": ReleaseForm,
    "reject": RejectForm,
    "result": ResultForm,
}


def _asked(batch: PaymentBatch) -> Approval | None:
    return approval_open(kind=PAYMENT_RELEASE, subject=subject_of(batch))


def _works(
    batch: PaymentBatch, asked: Approval | None, sight: Sight
) -> dict[str, Callable[[dict[str, Any]], str]]:
    """Return what may be done with a batch, by the name of its form."""

    def approve(given: dict[str, Any]) -> str:
        if asked is None:
            raise Refused(field="approval", value="", rule="still asked for, and in time")
        approval_approve(approval_id=asked.id, by=sight, content_sha256=given["content_sha256"])
        return gettext("承認しました。まだ送付されていません。")

    def release(given: dict[str, Any]) -> str:
        payment_batch_release(batch_id=batch.id, file_format=given["format"], actor=sight.actor)
        return gettext("送付を確定しました。ファイルを受け取って銀行へ送ってください。")

    def reject(given: dict[str, Any]) -> str:
        payment_batch_reject(batch_id=batch.id, reason=given["reason"])
        return gettext("振込を取り止めました。金額は再び支払予定に戻りました。")

    def result(given: dict[str, Any]) -> str:
        sent = given["result"]
        if sent.size > RESULT_BYTES_MAX:
            rule = f"1 to {RESULT_BYTES_MAX} bytes"
            raise Refused(field="file", value=sent.size, rule=rule)
        taken = payment_result_import(batch_id=batch.id, content=sent.read(), actor=sight.actor)
        if taken.unpaid:
            return gettext("結果を取り込みました。%(n)d件が振り込まれていません。") % {
                "n": len(taken.unpaid)
            }
        return gettext("結果を取り込みました。")

    return {"approve": approve, "release": release, "reject": reject, "result": result}


def _open_to(batch: PaymentBatch, asked: Approval | None, sight: Sight) -> list[str]:
    """Return the acts that are offered now; the services judge them."""
    if not sight.may_everywhere(RELEASE):
        return []
    if batch.state == BatchState.DRAFT:
        if asked is None:
            return ["reject"]
        if asked.state == "APPROVED":
            return ["release", "reject"]
        return ["reject"] if asked.maker == sight.actor else ["approve", "reject"]
    if batch.state == BatchState.REJECTED:
        return []
    return ["result"]


@person_required()
@require_http_methods(["GET", "POST"])
def payment(request: HttpRequest, batch_id: UUID, act: str = "") -> HttpResponse:
    """Show a batch with its transfers; each act of it is a form on the same page."""
    sight = payer(request) if act else keeper(request)
    batch = batches_seen(seen_by=sight).filter(id=batch_id).first()
    if batch is None or (act and act not in FORMS):
        raise Http404(gettext("この振込は見つかりません。"))
    asked = _asked(batch)
    here = reverse("portal:money_payment", args=[batch.id])
    open_to = _open_to(batch, asked, sight)
    shown = act or next(iter(open_to), "result")
    works = _works(batch, asked, sight)

    def made(name: str, *sent: Any) -> PortalForm:
        initial = {}
        if name == "approve" and asked is not None:
            initial = {"content_sha256": asked.content_sha256}
        return FORMS[name](*sent, auto_id=f"id_{name}_%s", initial=initial)

    def context(form: PortalForm) -> dict[str, Any]:
        forms = {name: made(name) for name in open_to}
        forms[shown] = form
        return {
            **frame(request, page=PAGE),
            **_told(batch, asked),
            "forms": {name: forms[name] for name in forms if name in open_to or form.is_bound},
            "may_pay": sight.may_everywhere(RELEASE),
        }

    return FormPage(
        form=lambda data, files: made(shown, data, files),
        work=lambda given: Done(url=here, said=works[shown](given)),
        template="portal/money/payment.html",
        context=context,
    ).answer(request)


def _told(batch: PaymentBatch, asked: Approval | None) -> dict[str, Any]:
    approval = batch.approval or asked
    actors = {batch.created_by, batch.released_by}
    if approval is not None:
        actors |= {approval.maker, approval.checker}
    return {
        "batch": batch,
        "rows": list(batch_rows(batch).prefetch_related("parts__document__period")),
        "approval": approval,
        "names": selectors.people_named(actors - {""}),
        "files": list(
            batch.files.filter(format=batch.file_format).defer("content").order_by("position")
        ),
        "results": list(batch.results.defer("content").order_by("-id")),
    }


@person_required()
@require_safe
def payment_file(
    request: HttpRequest, batch_id: UUID, file_format: str, position: int
) -> HttpResponse:
    """Hand out a file for the bank, once two people have released it."""
    sight = payer(request)
    try:
        found = payment_file_hand_out(
            batch_id=batch_id, file_format=file_format, position=position, by=sight
        )
    except Refused as refused:
        raise Http404(words.rule(refused)) from refused
    return attachment(
        name=file_name(found),
        content_type=CONTENT_TYPES[PaymentFormat(file_format)],
        content=bytes(found.content),
    )
