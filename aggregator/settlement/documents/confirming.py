"""A statement is agreed to by its supplier: by a click, or by saying nothing in time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, Refused, ensure
from accounts.jobs.services import Claim, job_finish, job_postpone
from accounts.parties.models import Organisation
from aggregator.settlement.dispute_models import Dispute, DisputedLine
from aggregator.settlement.disputes import dispute_open
from aggregator.settlement.documents_models import (
    ConfirmationMethod,
    Document,
    DocumentState,
    Kind,
)
from aggregator.settlement.models import SettlementLine

DISPUTED_WAIT = timedelta(days=1)
_S = DocumentState


class DocumentDecided(Conflict):
    """The document was confirmed, objected to or corrected before."""


class ObjectionLate(Refused):
    """The days in which to object are over."""


@transaction.atomic
def document_confirm(*, document_id: UUID, organisation: Organisation, actor: str) -> Document:
    """Confirm a statement, for the supplier it was issued to.

    One that was objected to may be confirmed once its dispute has ended. A second confirmation
    changes nothing.

    Raises
    ------
    NotFound
        If it is not the organisation's, or there is none.
    Refused
        If it is of a kind that asks for no confirmation.
    DocumentDecided
        If a corrected document has taken its place, or its dispute goes on.
    """
    row = _locked(document_id, organisation)
    if row.state == _S.CONFIRMED:
        return row
    _refuse_replaced(row)
    if row.state == _S.OBJECTED and (row.dispute is None or row.dispute.is_held):
        raise DocumentDecided(
            field="document", value=row.state, rule="confirmed once its dispute has ended"
        )
    return _confirmed(row, ConfirmationMethod.CLICK, actor)


@transaction.atomic
def document_object(
    *,
    document_id: UUID,
    organisation: Organisation,
    line_ids: Sequence[int],
    reason_code: str,
    reason: str,
    actor: str,
) -> tuple[Document, Dispute]:
    """Object to a statement: the lines named are disputed and held from now on.

    Parameters
    ----------
    line_ids
        Settlement lines of the statement's period; see
        :func:`aggregator.settlement.disputes.dispute_open`.

    Raises
    ------
    ObjectionLate
        After the last day of objection.
    DocumentDecided
        If it was confirmed, objected to or corrected before.
    Refused
        If a line is of another period, or the dispute cannot be opened.
    """
    row = _locked(document_id, organisation)
    _refuse_replaced(row)
    if row.state != _S.ISSUED:
        raise DocumentDecided(field="document", value=row.state, rule="not decided yet")
    if row.objection_due_at is not None and market_now() >= row.objection_due_at:
        raise ObjectionLate(
            field="document",
            value=row.number,
            rule=f"objected to by {row.content['objection_until']}",
        )
    inside = SettlementLine.objects.filter(
        id__in=line_ids,
        run__auction__delivery_on__gte=row.period.start_on,
        run__auction__delivery_on__lt=row.period.end_on,
    ).values_list("id", flat=True)
    strange = sorted(set(line_ids) - set(inside))
    if strange:
        raise Refused(field="lines", value=strange[0], rule=f"lines of {row.period.label}")
    dispute = dispute_open(
        organisation=organisation,
        line_ids=line_ids,
        reason_code=reason_code,
        reason=reason,
        actor=actor,
    )
    _moved(row, _S.OBJECTED, dispute=dispute)
    entry_append(
        action="settlement.document.objected",
        subject=row,
        organisation_id=organisation.id,
        detail={"number": row.number, "dispute": str(dispute.id)},
    )
    return row, dispute


def document_confirm_due(*, claim: Claim) -> None:
    """Let a statement count as confirmed because nobody objected in time.

    What was decided before, or replaced by a corrected document, is left alone. As long as a
    dispute of the party about lines of the period is held, silence is no consent.
    """
    with transaction.atomic():
        row = (
            Document.objects.select_for_update(of=("self",))
            .select_related("period")
            .get(id=UUID(claim.key))
        )
        due_at = row.objection_due_at
        if due_at is not None and market_now() < due_at:
            job_postpone(claim=claim, due_at=due_at)
            return
        if row.state == _S.ISSUED and not hasattr(row, "corrected_by"):
            if _is_disputed(row):
                job_postpone(claim=claim, due_at=market_now() + DISPUTED_WAIT)
                return
            _confirmed(row, ConfirmationMethod.NO_OBJECTION, "")
        job_finish(claim=claim)


def _is_disputed(row: Document) -> bool:
    return DisputedLine.objects.filter(
        dispute__organisation_id=row.organisation_id,
        dispute__is_held=True,
        line__run__auction__delivery_on__gte=row.period.start_on,
        line__run__auction__delivery_on__lt=row.period.end_on,
    ).exists()


def _locked(document_id: UUID, organisation: Organisation) -> Document:
    row = (
        Document.objects.select_for_update(of=("self",))
        .select_related("period", "dispute")
        .filter(id=document_id, organisation=organisation)
        .first()
    )
    if row is None:
        raise NotFound(field="document", value=str(document_id), rule="one that you can see")
    if row.kind != Kind.STATEMENT:
        raise Refused(field="document", value=row.kind, rule="a statement asks for confirmation")
    return row


def _refuse_replaced(row: Document) -> None:
    if hasattr(row, "corrected_by"):
        raise DocumentDecided(
            field="document", value=row.number, rule=f"replaced by {row.corrected_by.number}"
        )


def _confirmed(row: Document, method: ConfirmationMethod, actor: str) -> Document:
    _moved(
        row,
        _S.CONFIRMED,
        confirmed_at=market_now(),
        confirmation_method=method,
        confirmed_by=actor,
    )
    entry_append(
        action="settlement.document.confirmed",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"number": row.number, "method": method, "sha256": row.content_sha256},
    )
    return row


def _moved(row: Document, state: str, **columns: Any) -> None:
    changed = Document.objects.filter(id=row.id, state=row.state).update(state=state, **columns)
    ensure(changed == 1, "a locked document moves")
    for name, value in {"state": state, **columns}.items():
        setattr(row, name, value)
