"""Open, argue, decide and withdraw disputes: each move is locked, told to both sides, audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.files import CheckedFile
from accounts.parties.models import Organisation, OrganisationKind
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.dispute_models import (
    TEXT_LENGTH_MAX,
    UNDECIDED_STATES,
    Dispute,
    DisputedLine,
    DisputeEntry,
    DisputeEvidence,
    DisputeReason,
    DisputeState,
    EntryKind,
)
from aggregator.settlement.models import SettlementLine
from aggregator.settlement.payments_models import BatchState, PaymentBatch

LINES_MAX = 500
EVIDENCE_MAX = 20
ENTRIES_MAX = 500
_S = DisputeState
DECISIONS = (_S.ACCEPTED.value, _S.REJECTED.value)


class DisputeClosed(Refused):
    """The dispute's state does not allow this any more, or not yet."""


@transaction.atomic
def dispute_open(
    *,
    organisation: Organisation,
    line_ids: Sequence[int],
    reason_code: str,
    reason: str,
    actor: str,
) -> Dispute:
    """Object to settlement lines; their amounts are held from now on.

    Parameters
    ----------
    organisation
        Who objects: payer or payee of every line.
    line_ids
        1 to 500 lines, each once, of the latest settlement of their auctions, corrections
        included, all with the same other side.
    reason_code, reason
        Why, by kind and in words.
    actor
        Who acts for the organisation, as audit entries name them.

    Raises
    ------
    Refused
        Naming the line or field that breaks a rule; another's line is as unknown as none.
    Conflict
        If a dispute of the organisation holds one of the lines already.
    """
    if reason_code not in DisputeReason.values:
        rule = f"one of {', '.join(DisputeReason.values)}"
        raise Refused(field="reason_code", value=reason_code, rule=rule)
    _text(reason, "reason")
    if organisation.kind == OrganisationKind.AGGREGATOR:
        raise NotPermitted(
            field="organisation", value=organisation.code, rule="a party of the market"
        )
    if not 1 <= len(line_ids) <= LINES_MAX or len(set(line_ids)) != len(line_ids):
        rule = f"1 to {LINES_MAX} lines, each once"
        raise Refused(field="lines", value=len(line_ids), rule=rule)
    lines = _lines(organisation, line_ids)
    _refuse_disputed(organisation, lines)
    _batches_lock()
    (counterparty,) = {_sides(line, organisation)[1] for line in lines}
    now = market_now()
    dispute = Dispute.objects.create(
        organisation=organisation,
        counterparty_id=counterparty,
        reason_code=reason_code,
        reason=reason,
        disputed_exact_jpy=sum(
            (_sides(line, organisation)[0] * line.amount_exact_jpy for line in lines), Decimal(0)
        ),
        opened_at=now,
    )
    DisputedLine.objects.bulk_create(DisputedLine(dispute=dispute, line=line) for line in lines)
    _told(dispute, organisation, actor, EntryKind.OPENED, reason, {"lines_count": len(lines)})
    return dispute


def _lines(organisation: Organisation, line_ids: Sequence[int]) -> list[SettlementLine]:
    """Return the lines, locked against a second objection at the same moment.

    Raises
    ------
    Refused
        Naming the first that is not the organisation's, not of the latest settlement, or has
        another other side than the first.
    """
    found = {
        line.pk: line
        for line in SettlementLine.objects.select_for_update(of=("self",))
        .filter(id__in=line_ids)
        .select_related("payer__organisation", "payee__organisation", "run__auction")
        .order_by("id")
    }
    latest: dict[UUID, set[int]] = {}
    others: set[UUID] = set()
    for i, line_id in enumerate(line_ids):
        line, where = found.get(line_id), f"lines[{i}]"
        if line is None or organisation.id not in (
            line.payer.organisation_id,
            line.payee.organisation_id,
        ):
            raise Refused(field=where, value=line_id, rule="a settlement line of yours")
        auction = line.run.auction
        if auction.id not in latest:
            latest[auction.id] = {run.pk for run in runs_in_force(auction=auction)}
        if line.run_id not in latest[auction.id]:
            rule = "a line of the latest settlement of its auction"
            raise Refused(field=where, value=line_id, rule=rule)
        others.add(_sides(line, organisation)[1])
        if len(others) > 1:
            rule = "lines that all have the same other side"
            raise Refused(field=where, value=line_id, rule=rule)
    return [found[line_id] for line_id in line_ids]


def _batches_lock() -> None:
    """Let no payment be released past a dispute that is being opened.

    A release holds its batch while it compares it with what is due. With every batch that may
    still be released held here, either the release sees this dispute, and its batch is stale, or
    it is over first, and the dispute holds what has not moved.
    """
    drafts = PaymentBatch.objects.select_for_update(of=("self",)).filter(state=BatchState.DRAFT)
    list(drafts.order_by("id").values_list("id", flat=True))


def _sides(line: SettlementLine, organisation: Organisation) -> tuple[int, UUID]:
    """Return +1 where the organisation is paid, −1 where it pays, and the other side."""
    payer, payee = line.payer.organisation_id, line.payee.organisation_id
    return (1, payer) if payee == organisation.id else (-1, payee)


def _refuse_disputed(organisation: Organisation, lines: Sequence[SettlementLine]) -> None:
    taken = DisputedLine.objects.filter(
        line__in=lines, dispute__organisation=organisation, dispute__is_held=True
    ).first()
    if taken is not None:
        raise Conflict(field="lines", value=taken.line_id, rule="not in a dispute of yours already")


@transaction.atomic
def dispute_comment(
    *, dispute_id: UUID, organisation: Organisation, text: str, actor: str
) -> Dispute:
    """Add a word of one side while nothing is decided.

    Raises
    ------
    DisputeClosed
        If it has ended, or has as many entries as it may.
    """
    _text(text, "text")
    dispute = _undecided(dispute_id)
    if dispute.entries.count() >= ENTRIES_MAX:
        rule = f"at most {ENTRIES_MAX} entries"
        raise DisputeClosed(field="dispute", value=dispute.state, rule=rule)
    _told(dispute, organisation, actor, EntryKind.COMMENTED, text)
    return dispute


@transaction.atomic
def dispute_evidence_add(
    *, dispute_id: UUID, organisation: Organisation, file: CheckedFile, actor: str
) -> DisputeEvidence:
    """Keep a file that one side shows, while nothing is decided.

    Raises
    ------
    DisputeClosed
        If it has ended, or has as many files as it may.
    Conflict
        If the same file is there already.
    """
    dispute = _undecided(dispute_id)
    if dispute.evidence.count() >= EVIDENCE_MAX:
        rule = f"at most {EVIDENCE_MAX} files"
        raise DisputeClosed(field="dispute", value=dispute.state, rule=rule)
    if dispute.evidence.filter(sha256=file.sha256).exists():
        raise Conflict(field="file", value=file.name, rule="not shown in this dispute already")
    evidence = DisputeEvidence.objects.create(
        dispute=dispute,
        organisation=organisation,
        name=file.name,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        content=file.content,
        added_at=market_now(),
    )
    _told(
        dispute,
        organisation,
        actor,
        EntryKind.EVIDENCE_ADDED,
        file.name,
        {"sha256": file.sha256},
        evidence=evidence,
    )
    return evidence


@transaction.atomic
def dispute_review_start(*, dispute_id: UUID, organisation: Organisation, actor: str) -> Dispute:
    """Take an open dispute up, for settlement.

    Raises
    ------
    DisputeClosed
        If it is not open.
    """
    return _moved(
        _locked(dispute_id), (_S.OPEN,), _S.UNDER_REVIEW, organisation, actor,
        EntryKind.REVIEW_STARTED,
    )  # fmt: skip


@transaction.atomic
def dispute_decide(
    *, dispute_id: UUID, organisation: Organisation, outcome: str, text: str, actor: str
) -> Dispute:
    """Accept or reject a dispute under review, in words.

    A rejected one releases the amount; an accepted one holds it until it is corrected.

    Raises
    ------
    Refused
        Without an outcome or its text.
    DisputeClosed
        If it is not under review.
    """
    if outcome not in DECISIONS:
        raise Refused(field="outcome", value=outcome, rule=f"one of {', '.join(DECISIONS)}")
    _text(text, "text")
    return _moved(
        _locked(dispute_id), (_S.UNDER_REVIEW,), outcome, organisation, actor,
        EntryKind(outcome), text=text, decision=text, is_held=outcome == _S.ACCEPTED,
    )  # fmt: skip


@transaction.atomic
def dispute_withdraw(
    *, dispute_id: UUID, organisation: Organisation, text: str, actor: str
) -> Dispute:
    """Take an undecided dispute back, for the party that opened it; the amount is released.

    Raises
    ------
    NotPermitted
        If it is not that party.
    DisputeClosed
        If it is decided or withdrawn.
    """
    dispute = _locked(dispute_id)
    if dispute.organisation_id != organisation.id:
        raise NotPermitted(
            field="dispute", value=str(dispute_id), rule="withdrawn by who opened it alone"
        )
    if text:
        _text(text, "text")
    return _moved(
        dispute, UNDECIDED_STATES, _S.WITHDRAWN, organisation, actor, EntryKind.WITHDRAWN,
        text=text, is_held=False,
    )  # fmt: skip


def _locked(dispute_id: UUID) -> Dispute:
    dispute = Dispute.objects.select_for_update(of=("self",)).filter(id=dispute_id).first()
    if dispute is None:
        raise NotFound(field="dispute", value=str(dispute_id), rule="a dispute")
    return dispute


def _undecided(dispute_id: UUID) -> Dispute:
    dispute = _locked(dispute_id)
    if dispute.state not in UNDECIDED_STATES:
        raise DisputeClosed(field="dispute", value=dispute.state, rule="while nothing is decided")
    return dispute


def _moved(
    dispute: Dispute,
    before: Sequence[str],
    after: str,
    organisation: Organisation,
    actor: str,
    kind: EntryKind,
    *,
    text: str = "",
    **columns: Any,
) -> Dispute:
    if dispute.state not in before:
        raise DisputeClosed(
            field="dispute", value=dispute.state, rule=f"while it is {' or '.join(before)}"
        )
    left = dispute.state
    dispute.state = after
    if after not in UNDECIDED_STATES:
        columns["ended_at"] = market_now()
    for name, value in columns.items():
        setattr(dispute, name, value)
    dispute.save(update_fields=["state", *columns])
    _told(dispute, organisation, actor, kind, text, {"from": left, "to": after})
    return dispute


def _told(
    dispute: Dispute,
    organisation: Organisation,
    actor: str,
    kind: EntryKind,
    text: str,
    detail: Mapping[str, Any] | None = None,
    *,
    evidence: DisputeEvidence | None = None,
) -> None:
    DisputeEntry.objects.create(
        dispute=dispute,
        organisation=organisation,
        actor=actor,
        kind=kind,
        text=text,
        evidence=evidence,
        at=market_now(),
    )
    entry_append(
        action=f"settlement.dispute.{kind.lower()}",
        subject=dispute,
        organisation_id=organisation.id,
        detail=detail,
    )


def _text(text: object, field: str) -> None:
    if not isinstance(text, str) or not 0 < len(text.strip()) <= len(text) <= TEXT_LENGTH_MAX:
        raise Refused(field=field, value=text, rule=f"a text of 1 to {TEXT_LENGTH_MAX} characters")
