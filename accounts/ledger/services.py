"""Open accounts and post transfers. Nothing here is ever edited."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.core.money import JPY_MAX
from accounts.ledger.models import LedgerAccount, LedgerAccountKind, Transfer, TransferState
from accounts.parties.models import Organisation

# Fixed for ever: the id of a transfer follows from it and the transfer's key.
TRANSFER_NAMESPACE = uuid.UUID("5f0a7b1e-6c1d-5d5e-9a55-77c35b1f4a10")


class TransferConflict(Refused):
    """The same key came again with other content."""


class TransferNotPending(Refused):
    """The transfer is not pending, or was posted or voided already."""


@dataclass(frozen=True, kw_only=True)
class TransferDraft:
    """A transfer to be posted; the same key is the same transfer, for ever.

    Attributes
    ----------
    key
        What the transfer is for, unique in the book; its id is derived from it.
    debit_id, credit_id
        Ledger accounts: money goes from debit to credit.
    amount_jpy
        Whole yen, positive.
    """

    key: str
    debit_id: int
    credit_id: int
    amount_jpy: int
    code: str
    cause_kind: str
    cause_id: str
    period: str = ""
    state: str = TransferState.POSTED
    corrects_id: uuid.UUID | None = None
    settles_id: uuid.UUID | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> uuid.UUID:
        """Return the transfer's id."""
        return uuid.uuid5(TRANSFER_NAMESPACE, self.key)


@transaction.atomic
def ledger_account_open(
    *, organisation: Organisation, code: str, name: str, kind: str
) -> LedgerAccount:
    """Return the organisation's account `code`, opening it if new.

    Raises
    ------
    Refused
        If the kind is unknown, or the account exists with another kind.
    """
    if kind not in LedgerAccountKind.values:
        raise Refused(
            field="kind", value=kind, rule=f"one of {', '.join(LedgerAccountKind.values)}"
        )
    account, opened = LedgerAccount.objects.get_or_create(
        organisation=organisation, code=code, defaults={"name": name, "kind": kind}
    )
    if account.kind != kind:
        raise Refused(field="kind", value=kind, rule=f"account {code} is of kind {account.kind}")
    if opened:
        entry_append(
            action="accounts.ledger.opened",
            subject=account,
            organisation_id=organisation.id,
            detail={"code": code, "kind": kind},
        )
    return account


@transaction.atomic
def transfers_post(*, transfers: Sequence[TransferDraft]) -> list[Transfer]:
    """Post transfers, all or none; those posted before are left as they are.

    Parameters
    ----------
    transfers
        Drafts with distinct keys.

    Returns
    -------
    list of Transfer
        The rows newly written, in the order given; empty when everything was posted before.

    Raises
    ------
    Refused
        If an amount is not a positive integer of yen, both sides are one account, or a key
        comes twice.
    TransferConflict
        If a key was posted before with other content.
    """
    for n, draft in enumerate(transfers):
        _check(draft, f"transfers[{n}]")
    if len({draft.key for draft in transfers}) != len(transfers):
        raise Refused(field="transfers", value=len(transfers), rule="each key once")
    if not transfers:
        return []
    posted_at = market_now()
    rows = [_row(draft, posted_at) for draft in transfers]
    known = set(
        Transfer.objects.filter(id__in=[row.id for row in rows]).values_list("id", flat=True)
    )
    # Two closes may race: the loser's rows conflict on the id and are compared below.
    Transfer.objects.bulk_create(
        [row for row in rows if row.id not in known], ignore_conflicts=True
    )
    stored = Transfer.objects.in_bulk([row.id for row in rows])
    new = []
    for row in rows:
        if stored[row.id].posted_at == posted_at and row.id not in known:
            new.append(stored[row.id])
        elif _content(stored[row.id]) != _content(row):
            raise TransferConflict(
                field="transfers", value=str(row.id), rule="posted before with other content"
            )
    if new:
        entry_append(
            action="accounts.transfers.posted",
            subject=f"{new[0].cause_kind}:{new[0].cause_id}",
            detail={"count": len(new), "sum_jpy": sum(row.amount_jpy for row in new)},
        )
    return new


@transaction.atomic
def transfer_correct(*, transfer_id: uuid.UUID, reason: str) -> Transfer:
    """Take a posted transfer back by one the other way round; a second call changes nothing.

    Raises
    ------
    NotFound
        If there is no such transfer.
    Refused
        If it is not posted, is itself a correction, or no reason is given.
    """
    transfer = Transfer.objects.filter(id=transfer_id).first()
    if transfer is None:
        raise NotFound(field="transfer_id", value=str(transfer_id), rule="a posted transfer")
    if transfer.state != TransferState.POSTED or transfer.corrects_id is not None:
        raise Refused(field="transfer_id", value=str(transfer_id), rule="posted, no correction")
    if not reason.strip():
        raise Refused(field="reason", value=reason, rule="a correction needs a reason")
    draft = TransferDraft(
        key=f"correct:{transfer.id}",
        debit_id=transfer.credit_id,
        credit_id=transfer.debit_id,
        amount_jpy=transfer.amount_jpy,
        code=transfer.code,
        period=transfer.period,
        cause_kind=transfer.cause_kind,
        cause_id=transfer.cause_id,
        corrects_id=transfer.id,
        detail={"reason": reason},
    )
    earlier = Transfer.objects.filter(id=draft.id).first()
    if earlier is not None:
        return earlier
    (row,) = transfers_post(transfers=[draft])
    entry_append(action="accounts.transfer.corrected", subject=transfer, detail={"reason": reason})
    return row


@transaction.atomic
def transfer_settle(*, transfer_id: uuid.UUID, state: str) -> Transfer:
    """Post or void a pending transfer by a row that names it.

    Raises
    ------
    TransferNotPending
        If it is not pending, or already settled the other way.
    Refused
        If `state` is neither POSTED nor VOIDED.
    """
    if state not in {TransferState.POSTED, TransferState.VOIDED}:
        raise Refused(field="state", value=state, rule="POSTED or VOIDED")
    pending = Transfer.objects.select_for_update().filter(id=transfer_id).first()
    if pending is None or pending.state != TransferState.PENDING:
        raise TransferNotPending(field="transfer_id", value=str(transfer_id), rule="is pending")
    earlier = Transfer.objects.filter(settles=pending).first()
    if earlier is not None:
        if earlier.state != state:
            raise TransferNotPending(
                field="transfer_id", value=str(transfer_id), rule=f"is {earlier.state} already"
            )
        return earlier
    (row,) = transfers_post(
        transfers=[
            TransferDraft(
                key=f"settle:{pending.id}",
                debit_id=pending.debit_id,
                credit_id=pending.credit_id,
                amount_jpy=pending.amount_jpy,
                code=pending.code,
                period=pending.period,
                cause_kind=pending.cause_kind,
                cause_id=pending.cause_id,
                state=state,
                settles_id=pending.id,
            )
        ]
    )
    return row


def _check(draft: TransferDraft, field_name: str) -> None:
    amount: object = draft.amount_jpy  # callers without types may hand in anything
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= JPY_MAX:
        raise Refused(
            field=f"{field_name}.amount_jpy", value=amount, rule=f"whole yen, 1 to {JPY_MAX}"
        )
    if draft.debit_id == draft.credit_id:
        raise Refused(field=f"{field_name}.credit", value=draft.credit_id, rule="another account")
    if draft.state not in TransferState.values:
        raise Refused(field=f"{field_name}.state", value=draft.state, rule="a transfer state")
    if not draft.key or not draft.code or not draft.cause_kind or not draft.cause_id:
        raise Refused(field=field_name, value=draft.key, rule="a key, a code and a cause")


def _row(draft: TransferDraft, posted_at: Any) -> Transfer:
    return Transfer(
        id=draft.id,
        debit_id=draft.debit_id,
        credit_id=draft.credit_id,
        amount_jpy=draft.amount_jpy,
        state=draft.state,
        code=draft.code,
        period=draft.period,
        posted_at=posted_at,
        cause_kind=draft.cause_kind,
        cause_id=draft.cause_id,
        corrects_id=draft.corrects_id,
        settles_id=draft.settles_id,
        detail=dict(draft.detail),
    )


def _content(row: Transfer) -> tuple[Any, ...]:
    return (
        row.debit_id,
        row.credit_id,
        row.amount_jpy,
        row.state,
        row.code,
        row.period,
        row.cause_kind,
        row.cause_id,
        row.corrects_id,
        row.settles_id,
    )
