"""Bank accounts of organisations: proposed by one person, compared and approved by another."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.approvals.kinds import BANK_ACCOUNT_CHANGE
from accounts.approvals.selectors import approval_open
from accounts.audit.services import subject_of
from accounts.core.errors import NotFound
from accounts.parties.models import Organisation
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, code_of, query_of, row_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED, problems
from aggregator.core.zengin import BankDetails
from aggregator.settlement.payments.bank_accounts import (
    bank_account_number_show,
    bank_account_propose,
)
from aggregator.settlement.payments.seen import RELEASE, bank_accounts_seen
from aggregator.settlement.payments_models import (
    BankAccount,
    BankAccountKind,
    BankAccountState,
)
from aggregator.settlement.seen import READ_LEDGER

TEXT_LENGTH_MAX: Final = 60
NAMED: Final = (
    "bank_code",
    "bank_name",
    "branch_code",
    "branch_name",
    "kind",
    "number",
    "holder",
)


class BankAccountOut(serializers.Serializer[Any]):
    """A bank account, its number masked."""

    id = serializers.UUIDField()
    organisation = serializers.CharField()
    bank_code = serializers.CharField()
    bank_name = serializers.CharField()
    branch_code = serializers.CharField()
    branch_name = serializers.CharField()
    kind = serializers.ChoiceField(choices=BankAccountKind.values)
    number = serializers.CharField(help_text="Its last three digits.")
    holder = serializers.CharField()
    state = serializers.ChoiceField(choices=BankAccountState.values)
    approval = serializers.UUIDField(allow_null=True, help_text="The open request about it.")
    proposed_by = serializers.CharField()
    proposed_at = serializers.DateTimeField()
    activated_at = serializers.DateTimeField(allow_null=True)
    retired_at = serializers.DateTimeField(allow_null=True)


class BankAccountPage(serializers.Serializer[Any]):
    """A page of bank accounts."""

    items = BankAccountOut(many=True)
    next = serializers.CharField(allow_null=True)


class BankAccountIn(serializers.Serializer[Any]):
    """Where an organisation is to be paid; names become the characters of bank files."""

    organisation = serializers.CharField(help_text="Its code.")
    bank_code = serializers.CharField(max_length=4)
    bank_name = serializers.CharField(max_length=TEXT_LENGTH_MAX)
    branch_code = serializers.CharField(max_length=3)
    branch_name = serializers.CharField(max_length=TEXT_LENGTH_MAX)
    kind = serializers.ChoiceField(choices=BankAccountKind.values)
    number = serializers.CharField(max_length=7)
    holder = serializers.CharField(max_length=TEXT_LENGTH_MAX)
    payer_code = serializers.CharField(
        max_length=10, required=False, help_text="委託者コード, of the house alone."
    )


class NumberOut(serializers.Serializer[Any]):
    """A proposed account in full, for who is to approve it."""

    number = serializers.CharField()
    bank_code = serializers.CharField()
    branch_code = serializers.CharField()
    kind = serializers.ChoiceField(choices=BankAccountKind.values)
    holder = serializers.CharField()


def bank_account_written(row: BankAccount) -> dict[str, Any]:
    """Print an account with its number masked."""
    asked = None
    if row.state == BankAccountState.PROPOSED:
        asked = approval_open(kind=BANK_ACCOUNT_CHANGE, subject=subject_of(row))
    return {
        "id": row.id,
        "organisation": row.organisation.code,
        "bank_code": row.bank_code,
        "bank_name": row.bank_name,
        "branch_code": row.branch_code,
        "branch_name": row.branch_name,
        "kind": row.kind,
        "number": row.masked_number,
        "holder": row.holder,
        "state": row.state,
        "approval": None if asked is None else asked.id,
        "proposed_by": row.proposed_by,
        "proposed_at": row.proposed_at,
        "activated_at": row.activated_at,
        "retired_at": row.retired_at,
    }


class BankAccountList(Door):
    """Accounts; a new one proposed."""

    access: ClassVar[Access] = {"GET": READ_LEDGER, "POST": RELEASE}

    @extend_schema(
        summary="List bank accounts with masked numbers, the latest proposed first",
        parameters=[
            *PAGED,
            OpenApiParameter("organisation", OpenApiTypes.STR, description="Its code."),
            OpenApiParameter("state", OpenApiTypes.STR, enum=BankAccountState.values),
        ],
        responses={200: BankAccountPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "organisation", "state")
        rows = bank_accounts_seen(seen_by=self.sight)
        if "organisation" in asked:
            code = code_of(asked["organisation"], field="organisation")
            rows = rows.filter(organisation__code=code)
        if "state" in asked:
            state = choice_of(asked["state"], BankAccountState.values, field="state")
            rows = rows.filter(state=state)
        return Response(page(request, rows, bank_account_written, key=("-proposed_at", "-id")))

    @extend_schema(
        summary="Propose where an organisation is paid; a second person approves it",
        request=BankAccountIn,
        responses={201: BankAccountOut, **problems("conflict")},
    )
    def post(self, request: Request) -> Response:
        """Propose it."""
        body = body_of(request, required=("organisation", *NAMED), optional=("payer_code",))
        code = code_of(body["organisation"], field="organisation")
        organisation = Organisation.objects.filter(code=code).first()
        if organisation is None:
            raise NotFound(field="organisation", value=code, rule="one that you can see")
        texts = {
            name: text_of(body[name], field=name, length_max=TEXT_LENGTH_MAX) for name in NAMED
        }
        row, _ = bank_account_propose(
            organisation=organisation,
            details=BankDetails(**texts),
            maker=self.sight.actor,
            payer_code=text_of(body["payer_code"], field="payer_code", length_max=TEXT_LENGTH_MAX)
            if "payer_code" in body
            else "",
        )
        return Response(bank_account_written(row), status=201)


class BankAccountNumber(Door):
    """The whole number."""

    access: ClassVar[Access] = {"GET": RELEASE}

    @extend_schema(
        summary="Show a proposed account's whole number to who is to approve it",
        description="People only, and not who proposed it. That it was shown, and to whom, is in "
        "the audit trail.",
        responses={200: NumberOut, **problems("conflict")},
    )
    def get(self, request: Request, bank_account_id: UUID) -> Response:
        """Return it; the answer is kept nowhere."""
        query_of(request, is_list=False)
        row = row_of(bank_accounts_seen(seen_by=self.sight), "bank_account", id=bank_account_id)
        shown = bank_account_number_show(bank_account_id=row.id, by=self.sight)
        names = ("number", "bank_code", "branch_code", "kind", "holder")
        return Response({name: getattr(shown, name) for name in names})


urlpatterns = [
    path("bank-accounts", BankAccountList.as_view(), name="bank-account-list"),
    path(
        "bank-accounts/<uuid:bank_account_id>/number",
        BankAccountNumber.as_view(),
        name="bank-account-number",
    ),
]
