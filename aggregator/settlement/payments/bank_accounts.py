"""Bank accounts of organisations: proposed by one, approved by another, never edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.crypto import salted_hmac

from accounts.approvals.kinds import BANK_ACCOUNT_CHANGE, KINDS
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.selectors import approval_open
from accounts.approvals.services import (
    approval_approve,
    approval_reject,
    approval_request,
    approval_use,
)
from accounts.audit.services import entry_append, subject_of
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from aggregator.core.zengin import BankDetails, account_checked, kana_converted
from aggregator.settlement.payments_models import BankAccount, BankAccountState

_S = BankAccountState
PAYER_CODE_LENGTH_MAX = 10


class BankAccountMissing(Refused):
    """A party that is to be paid, or the house, has no approved bank account."""


@transaction.atomic
def bank_account_propose(
    *, organisation: Organisation, details: BankDetails, maker: str, payer_code: str = ""
) -> tuple[BankAccount, Approval]:
    """Propose where an organisation is paid; used once a second person approves it.

    Names are converted to the characters of bank files (:func:`kana_converted`).

    Parameters
    ----------
    details
        The account; its number appears in no log, audit entry or approval.
    maker
        Who proposes, as audit entries name them.
    payer_code
        委託者コード that the bank gave the house; of nobody else.

    Raises
    ------
    ZenginRefused
        If a record of a bank file could not name the account.
    Conflict
        If a proposal of the organisation is open.
    """
    is_house = organisation.kind == OrganisationKind.AGGREGATOR
    is_code = payer_code.isascii() and payer_code.isdigit()
    if is_house and not (is_code and len(payer_code) <= PAYER_CODE_LENGTH_MAX):
        raise Refused(field="payer_code", value=payer_code, rule="1 to 10 digits, from the bank")
    if payer_code and not is_house:
        raise Refused(field="payer_code", value=payer_code, rule="of the house alone")
    converted = BankDetails(
        bank_code=details.bank_code,
        bank_name=kana_converted(details.bank_name),
        branch_code=details.branch_code,
        branch_name=kana_converted(details.branch_name),
        kind=details.kind,
        number=details.number,
        holder=kana_converted(details.holder),
    )
    account_checked(converted, is_payer=is_house, field="bank_account")
    # two proposals at once see one another
    Organisation.objects.select_for_update().get(id=organisation.id)
    if BankAccount.objects.filter(organisation=organisation, state=_S.PROPOSED).exists():
        raise Conflict(
            field="organisation", value=organisation.code, rule="without an open proposal"
        )
    row = BankAccount.objects.create(
        organisation=organisation,
        bank_code=converted.bank_code,
        bank_name=converted.bank_name,
        branch_code=converted.branch_code,
        branch_name=converted.branch_name,
        kind=converted.kind,
        number=converted.number,
        holder=converted.holder,
        payer_code=payer_code,
        proposed_by=maker,
        proposed_at=market_now(),
    )
    approval = approval_request(
        kind=BANK_ACCOUNT_CHANGE,
        organisation=aggregator(),
        subject=row,
        content=_content(row),
        maker=maker,
        detail=_shown(row),
    )
    _told("proposed", row)
    return row, approval


@transaction.atomic
def bank_account_activate(*, bank_account_id: UUID) -> BankAccount:
    """Use an approved account from now on; the one before is retired.

    Raises
    ------
    NotFound
        If there is none.
    ApprovalMissing, ContentChanged
        Without a second person's approval of exactly this account.
    """
    row = _locked(bank_account_id)
    if row.state == _S.ACTIVE:
        return row
    if row.state != _S.PROPOSED:
        raise Conflict(field="bank_account", value=row.state, rule="still proposed")
    approval_use(kind=BANK_ACCOUNT_CHANGE, subject=row, content=_content(row))
    now = market_now()
    for former in BankAccount.objects.select_for_update().filter(
        organisation_id=row.organisation_id, state=_S.ACTIVE
    ):
        former.state, former.retired_at = _S.RETIRED, now
        former.save(update_fields=["state", "retired_at"])
        _told("retired", former)
    row.state, row.activated_at = _S.ACTIVE, now
    row.save(update_fields=["state", "activated_at"])
    _told("activated", row)
    return row


@transaction.atomic
def bank_account_approve(
    *, approval_id: UUID, by: Sight, content_sha256: str, reason: str = ""
) -> BankAccount:
    """Approve a proposed account as a second person; it is used from now on.

    Raises
    ------
    NotFound, NotPermitted, ContentChanged, ApprovalMissing
        As :func:`accounts.approvals.services.approval_approve`.
    """
    approval = approval_approve(
        approval_id=approval_id, by=by, content_sha256=content_sha256, reason=reason
    )
    return bank_account_activate(bank_account_id=UUID(approval.subject.rpartition(":")[2]))


@transaction.atomic
def bank_account_decline(*, approval_id: UUID, by: Sight, reason: str) -> BankAccount:
    """Refuse a proposed account as a second person; another one may be proposed.

    Raises
    ------
    Refused, NotFound, NotPermitted, ApprovalMissing
        As :func:`accounts.approvals.services.approval_reject`.
    """
    approval = approval_reject(approval_id=approval_id, by=by, reason=reason)
    return bank_account_retire(bank_account_id=UUID(approval.subject.rpartition(":")[2]))


@transaction.atomic
def bank_account_number_show(*, bank_account_id: UUID, by: Sight) -> BankDetails:
    """Show a proposed account in full to who is to approve it, and write down that it was shown.

    Three digits do not tell an account from another: whoever approves compares the number with
    what the party sent. Nobody else is shown it, and nobody once it is decided.

    Raises
    ------
    NotFound
        If there is no such account.
    NotPermitted
        If the caller is a machine, may not approve it, or proposed it.
    Conflict
        If it waits for nobody's approval any more.
    """
    row = _locked(bank_account_id)
    if by.user_id is None or not by.may_everywhere(KINDS[BANK_ACCOUNT_CHANGE].check):
        raise NotPermitted(
            field="bank_account", value=str(row.id), rule="a person who may approve it"
        )
    approval = approval_open(kind=BANK_ACCOUNT_CHANGE, subject=subject_of(row))
    if (
        row.state != _S.PROPOSED
        or approval is None
        or approval.state != ApprovalState.REQUESTED
        or approval.expires_at <= market_now()
    ):
        raise Conflict(field="bank_account", value=row.state, rule="waits for an approval")
    if row.proposed_by == by.actor:
        raise NotPermitted(
            field="bank_account", value=by.actor, rule="somebody else than who asked"
        )
    entry_append(
        action="settlement.bank_account.number_shown",
        subject=f"settlement.bankaccount:{row.id}",
        organisation_id=row.organisation_id,
        user_id=by.user_id,
        detail={**_shown(row), "approval": str(approval.id)},
    )
    return row.details


@transaction.atomic
def bank_account_retire(*, bank_account_id: UUID) -> BankAccount:
    """Stop using an account, or drop a proposal."""
    row = _locked(bank_account_id)
    if row.state != _S.RETIRED:
        row.state, row.retired_at = _S.RETIRED, market_now()
        row.save(update_fields=["state", "retired_at"])
        _told("retired", row)
    return row


def bank_account_of(organisation: Organisation) -> BankAccount:
    """Return the account an organisation is paid at, checked again.

    Raises
    ------
    BankAccountMissing
        If it has none.
    ZenginRefused
        If it fails the checks: then nothing is sent to anybody.
    """
    row = BankAccount.objects.filter(organisation=organisation, state=_S.ACTIVE).first()
    if row is None:
        raise BankAccountMissing(
            field="bank_account", value=organisation.code, rule="an approved bank account"
        )
    is_house = organisation.kind == OrganisationKind.AGGREGATOR
    account_checked(row.details, is_payer=is_house, field=f"bank_account[{organisation.code}]")
    return row


def _locked(bank_account_id: UUID) -> BankAccount:
    row = BankAccount.objects.select_for_update(of=("self",)).filter(id=bank_account_id).first()
    if row is None:
        raise NotFound(field="bank_account", value=str(bank_account_id), rule="a bank account")
    return row


def _content(row: BankAccount) -> Mapping[str, Any]:
    """Return what is approved: every field; an approval keeps its digest alone.

    The digest is shown beside all fields but four digits of the number, which ten thousand tries
    would find: the number goes in under the instance's secret.
    """
    details = row.details
    number = salted_hmac(f"bank_account:{row.id}", row.number, algorithm="sha256")
    return {
        "organisation": str(row.organisation_id),
        "payer_code": row.payer_code,
        **{name: getattr(details, name) for name in BankDetails.__dataclass_fields__},
        "number": number.hexdigest(),
    }


def _shown(row: BankAccount) -> dict[str, str]:
    return {
        "organisation": row.organisation.code,
        "bank_code": row.bank_code,
        "branch_code": row.branch_code,
        "kind": row.kind,
        "number": row.masked_number,
        "holder": row.holder,
    }


def _told(what: str, row: BankAccount) -> None:
    entry_append(
        action=f"settlement.bank_account.{what}",
        subject=f"settlement.bankaccount:{row.id}",
        organisation_id=row.organisation_id,
        detail=_shown(row),
    )
