"""Bank accounts: proposed by one person, compared and approved by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import BANK_ACCOUNT_CHANGE
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approval_open
from accounts.audit.services import subject_of
from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.core.zengin import BankDetails
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, PortalForm, TextField
from aggregator.portal.frame import frame
from aggregator.portal.lists import Filter, listed
from aggregator.portal.money import selectors
from aggregator.portal.money.payments import keeper, payer
from aggregator.portal.money.words import account_mark, deposits
from aggregator.settlement.payments.bank_accounts import (
    bank_account_approve,
    bank_account_decline,
    bank_account_number_show,
    bank_account_propose,
)
from aggregator.settlement.payments.seen import RELEASE, bank_accounts_seen
from aggregator.settlement.payments_models import BankAccount, BankAccountState

PAGE = "money_payments"


@person_required()
@require_safe
def bank_list(request: HttpRequest) -> HttpResponse:
    """List bank accounts with masked numbers."""
    sight = keeper(request)
    listing = listed(
        request,
        bank_accounts_seen(seen_by=sight),
        filters=[
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda rows, value: rows.filter(state=value),
                choices=[(state, account_mark(state).word) for state in BankAccountState.values],
            ),
            Filter(
                name="organisation",
                label=gettext("組織コード"),
                apply=lambda rows, value: rows.filter(organisation__code=value),
            ),
        ],
        sorts={
            "proposed": ("proposed_at", "id"),
            "organisation": ("organisation__code", "-proposed_at", "id"),
        },
        sort="-proposed",
    )
    return render(
        request,
        "portal/money/banks.html",
        {
            **frame(request, page=PAGE),
            "listing": listing,
            "may_pay": sight.may_everywhere(RELEASE),
        },
    )


def _organisations() -> list[tuple[str, str]]:
    rows = Organisation.objects.order_by("code")
    return [(row.code, words.local_name(row)) for row in rows]


class BankForm(PortalForm):
    """Where an organisation is paid, as the bank's own papers say it."""

    places = ((r"bank_account\.(\w+)", "number"),)

    organisation = ChoiceField(label=gettext_lazy("組織"), choices=_organisations)
    bank_code = TextField(label=gettext_lazy("銀行番号（4桁）"), max_length=4)
    bank_name = TextField(label=gettext_lazy("銀行名（カナ）"), max_length=30)
    branch_code = TextField(label=gettext_lazy("支店番号（3桁）"), max_length=3)
    branch_name = TextField(label=gettext_lazy("支店名（カナ）"), max_length=30)
    kind = ChoiceField(label=gettext_lazy("預金種目"), choices=deposits)
    number = TextField(label=gettext_lazy("口座番号（7桁）"), max_length=7)
    holder = TextField(label=gettext_lazy("口座名義（カナ）"), max_length=60)
    payer_code = TextField(
        label=gettext_lazy("委託者コード"),
        max_length=10,
        required=False,
        help_text=gettext_lazy("振込元（自社）の口座だけ"),
    )

    def _field_of(self, path: str, place: Any) -> str | None:
        return super()._field_of(path.rsplit(".", 1)[-1], place)


@person_required()
@require_http_methods(["GET", "POST"])
def bank_new(request: HttpRequest) -> HttpResponse:
    """Propose an account; a second person compares and approves it."""
    sight = payer(request)

    def work(given: dict[str, Any]) -> Done:
        organisation = Organisation.objects.get(code=given["organisation"])
        names = BankDetails.__dataclass_fields__
        row, _ = bank_account_propose(
            organisation=organisation,
            details=BankDetails(**{name: given[name] for name in names}),
            maker=sight.actor,
            payer_code=given["payer_code"],
        )
        return Done(
            url=reverse("portal:money_bank", args=[row.id]),
            said=gettext("口座を申請し、もう1人の承認を依頼しました。"),
        )

    return FormPage(
        form=BankForm,
        work=work,
        template="portal/money/bank_new.html",
        context=lambda _: frame(request, page=PAGE),
    ).answer(request)


class ApproveForm(PortalForm):
    """The digest of what was looked at goes with the form."""

    content_sha256 = TextField(max_length=64, required=False)


class DeclineForm(PortalForm):
    """Why the account is not taken."""

    reason = TextField(label=gettext_lazy("却下の理由"), max_length=200)


FORMS: dict[str, type[PortalForm]] = {"approve": ApproveForm, "decline": DeclineForm}


def _works(asked: Approval, sight: Sight) -> dict[str, Callable[[dict[str, Any]], str]]:
    def approve(given: dict[str, Any]) -> str:
        bank_account_approve(approval_id=asked.id, by=sight, content_sha256=given["content_sha256"])
        return gettext("承認しました。今後の振込はこの口座へ送られます。")

    def decline(given: dict[str, Any]) -> str:
        bank_account_decline(approval_id=asked.id, by=sight, reason=given["reason"])
        return gettext("却下しました。")

    return {"approve": approve, "decline": decline}


def _bank(sight: Sight, bank_account_id: UUID) -> tuple[BankAccount, Approval | None]:
    row = bank_accounts_seen(seen_by=sight).filter(id=bank_account_id).first()
    if row is None:
        raise Http404(gettext("この口座は見つかりません。"))
    return row, approval_open(kind=BANK_ACCOUNT_CHANGE, subject=subject_of(row))


@never_cache
@person_required()
@require_http_methods(["GET", "POST"])
def bank(request: HttpRequest, bank_account_id: UUID, act: str = "") -> HttpResponse:
    """Show an account; who approves it may see its whole number, which is written down."""
    sight = payer(request) if act else keeper(request)
    row, asked = _bank(sight, bank_account_id)
    if act == "number":
        return _number(request, row, asked, sight)
    if act and (act not in FORMS or asked is None):
        raise Http404(gettext("この口座は見つかりません。"))
    shown = act or "approve"
    return FormPage(
        form=lambda data, files: _made(shown, asked, data, files),
        work=lambda given: Done(
            url=reverse("portal:money_bank", args=[row.id]),
            said=_works(_known(asked), sight)[shown](given),
        ),
        template="portal/money/bank.html",
        context=lambda form: _context(request, row, asked, sight, {shown: form}),
    ).answer(request)


def _known(asked: Approval | None) -> Approval:
    if asked is None:
        raise Refused(field="approval", value="", rule="still asked for, and in time")
    return asked


def _made(name: str, asked: Approval | None, *sent: Any) -> PortalForm:
    initial = {}
    if name == "approve" and asked is not None:
        initial = {"content_sha256": asked.content_sha256}
    return FORMS[name](*sent, auto_id=f"id_{name}_%s", initial=initial)


def _context(
    request: HttpRequest,
    row: BankAccount,
    asked: Approval | None,
    sight: Sight,
    forms: dict[str, PortalForm],
) -> dict[str, Any]:
    may_decide = (
        asked is not None
        and asked.state == "REQUESTED"
        and asked.maker != sight.actor
        and sight.may_everywhere(RELEASE)
    )
    return {
        **frame(request, page=PAGE),
        "bank": row,
        "asked": asked,
        "may_decide": may_decide,
        "is_own": asked is not None and asked.maker == sight.actor,
        "forms": {name: forms.get(name) or _made(name, asked) for name in FORMS},
        "names": selectors.people_named({row.proposed_by}),
        "before": BankAccount.objects.filter(
            organisation=row.organisation, state=BankAccountState.ACTIVE
        )
        .exclude(id=row.id)
        .first(),
    }


def _number(
    request: HttpRequest, row: BankAccount, asked: Approval | None, sight: Sight
) -> HttpResponse:
    """Show the page with the whole number, this once; the form's result is the page itself."""
    if request.method != "POST":
        raise Http404(gettext("見つかりません。"))
    try:
        details = bank_account_number_show(bank_account_id=row.id, by=sight)
    except Refused as refused:
        raise Http404(words.rule(refused)) from refused
    page = FormPage(
        form=lambda data, files: _made("approve", asked, data, files),
        work=lambda _: Done(url=""),
        template="portal/money/bank.html",
        context=lambda form: {
            **_context(request, row, asked, sight, {"approve": form}),
            "number": details.number,
        },
    )
    return page.show(request, _made("approve", asked))
