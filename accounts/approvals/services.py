"""Ask, decide and use. What was approved is done once, unchanged, or not at all."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.expressions import RawSQL

from accounts.approvals.kinds import KINDS
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.selectors import approval_open, approvals_seen
from accounts.audit.models import AuditEntry
from accounts.audit.services import entry_append, subject_of
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused, ensure
from accounts.jobs.services import Claim, job_create, job_finish
from accounts.parties.keys import SECRET_SHOWN
from accounts.parties.models import ApiClient, Organisation
from accounts.parties.sight import Sight

EXPIRE_KIND = "accounts.approvals.approval_expire"
REASON_LENGTH_MAX = 200
_S = ApprovalState
_NOW = RawSQL("market_now()", ())


class ApprovalMissing(Conflict):
    """Nobody else has approved it, or no longer in time."""


class ContentChanged(Conflict):
    """It is not what was approved."""


def content_digest(content: Mapping[str, Any] | bytes) -> str:
    """Return the digest an approval is bound to: of bytes, or of canonical JSON.

    Decimals, moments and ids go in as their texts.
    """
    if not isinstance(content, bytes):
        content = json.dumps(
            content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
        ).encode()
    return hashlib.sha256(content).hexdigest()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@transaction.atomic
def approval_request(
    *,
    kind: str,
    organisation: Organisation,
    subject: Any,
    content: Mapping[str, Any] | bytes,
    maker: str,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
    expires_at: datetime | None = None,
) -> Approval:
    """Ask for a second person's word, in the transaction that makes what it is about.

    Parameters
    ----------
    kind
        A key of :data:`accounts.approvals.kinds.KINDS`.
    organisation
        Whose matter it is: its people decide.
    subject, content
        What it is about, and exactly what is to be done; only its digest is kept.
    maker
        Who asks, as :attr:`accounts.parties.sight.Sight.actor` says; machines may.
    detail
        What the checker is shown.

    Raises
    ------
    Conflict
        If a request about the same subject is open.
    """
    ensure(kind in KINDS, f"unknown kind of approval {kind!r}")
    now = market_now()
    latest = now + KINDS[kind].lifetime
    expires_at = min(expires_at or latest, latest)
    if expires_at <= now:
        raise Refused(field="expires_at", value=expires_at, rule="after now")
    name = subject_of(subject)
    _reason_checked(reason)
    _lapse(kind, name)
    try:
        with transaction.atomic():
            approval = Approval.objects.create(
                kind=kind,
                organisation=organisation,
                subject=name,
                content_sha256=content_digest(content),
                detail=dict(detail or {}),
                reason=reason,
                maker=maker,
                requested_at=now,
                expires_at=expires_at,
            )
    except IntegrityError as error:
        if "approval_one_open" not in str(error):
            raise
        raise Conflict(
            field="subject", value=name, rule="a request about it is open already"
        ) from error
    job_create(kind=EXPIRE_KIND, key=str(approval.id), due_at=expires_at)
    _tell("requested", approval, {"sha256": approval.content_sha256, "reason": reason})
    return approval


@transaction.atomic
def approval_approve(
    *, approval_id: UUID, by: Sight, content_sha256: str, reason: str = ""
) -> Approval:
    """Approve what was asked for, as a person who did not ask.

    Parameters
    ----------
    content_sha256
        Of what the checker has looked at: nobody approves what they have not seen.

    Raises
    ------
    NotFound, NotPermitted
        If the caller may not see or not decide it, asked for it (themselves, or by a machine
        whose secret they were shown), or is a machine.
    ContentChanged
        If it is about something else than the caller has looked at.
    ApprovalMissing
        If it was decided before, or its time is over.
    """
    row = _decidable(approval_id, by)
    if content_sha256 != row.content_sha256:
        raise ContentChanged(
            field="content_sha256", value=content_sha256, rule=f"this is {row.content_sha256}"
        )
    return _decide(row, by, _S.APPROVED, reason)


@transaction.atomic
def approval_reject(*, approval_id: UUID, by: Sight, reason: str) -> Approval:
    """Refuse what was asked for; a reason is owed to who asked.

    Raises
    ------
    Refused
        Without a reason; else as :func:`approval_approve`.
    """
    if not reason.strip():
        raise Refused(field="reason", value=reason, rule="a refusal needs a reason")
    return _decide(_decidable(approval_id, by), by, _S.REJECTED, reason)


@transaction.atomic
def approval_use(*, kind: str, subject: Any, content: Mapping[str, Any] | bytes) -> Approval:
    """Use an approval, once, in the transaction that does what was approved.

    Raises
    ------
    ApprovalMissing
        If it has not been approved, was used before, or its time is over.
    ContentChanged
        If what is about to be done is not, byte for byte, what was approved.
    """
    name = subject_of(subject)
    row = (
        Approval.objects.select_for_update(of=("self",))
        .filter(kind=kind, subject=name, state=_S.APPROVED, expires_at__gt=_NOW)
        .first()
    )
    if row is None:
        raise ApprovalMissing(
            field="approval", value=name, rule=f"{kind} approved by a second person"
        )
    found = content_digest(content)
    if found != row.content_sha256:
        raise ContentChanged(
            field="approval", value=found, rule=f"what was approved is {row.content_sha256}"
        )
    _move(row, _S.USED, used_at=market_now())
    _tell("used", row, {"sha256": found})
    return row


@transaction.atomic
def approval_drop(*, kind: str, subject: Any, reason: str) -> None:
    """Let an open request lapse because what it was about is gone."""
    row = approval_open(kind=kind, subject=subject_of(subject))
    if row is not None and _move(row, _S.EXPIRED, decision_reason=reason[:REASON_LENGTH_MAX]):
        _tell("expired", row, {"reason": reason})


@transaction.atomic
def approval_expire(*, claim: Claim) -> None:
    """Let a request lapse that waited too long."""
    row = Approval.objects.filter(id=UUID(claim.key)).first()
    if row is not None:
        _lapse(row.kind, row.subject)
    job_finish(claim=claim)


def _lapse(kind: str, subject: str) -> None:
    row = approval_open(kind=kind, subject=subject)
    if row is not None and row.expires_at <= market_now() and _move(row, _S.EXPIRED):
        _tell("expired", row, {"reason": "nobody decided or used it in time"})


def _decidable(approval_id: UUID, by: Sight) -> Approval:
    """Return a request that the caller may decide, locked.

    What cannot be seen does not exist; what may be seen but not decided is told so.
    """
    row = approvals_seen(seen_by=by).select_for_update(of=("self",)).filter(id=approval_id).first()
    if row is None:
        raise NotFound(field="approval", value=str(approval_id), rule="an approval you can see")
    if by.user_id is None:
        raise NotPermitted(field="checker", value=by.actor, rule="only people decide")
    check = KINDS[row.kind].check
    if row.organisation_id not in by.organisations_for(check):
        raise NotPermitted(
            field="checker",
            value=by.actor,
            rule=f"a role of {row.organisation.code} that may {check}",
        )
    if row.maker == by.actor or _holds_key_of(row.maker, by.actor):
        raise NotPermitted(field="checker", value=by.actor, rule="somebody else than who asked")
    if row.state != _S.REQUESTED or row.expires_at <= market_now():
        shown = _S.EXPIRED if row.state == _S.REQUESTED else row.state
        raise ApprovalMissing(field="approval", value=shown, rule="still asked for, and in time")
    return row


def _holds_key_of(maker: str, person: str) -> bool:
    """Whether a machine asked whose secret this person was shown: then it is the same person."""
    kind, _, client_id = maker.partition(":")
    if kind != "client":
        return False
    entries = AuditEntry.objects.filter(
        subject=subject_of(ApiClient(id=UUID(client_id))), action__in=SECRET_SHOWN, actor=person
    )
    return entries.exists()


def _decide(row: Approval, by: Sight, state: str, reason: str) -> Approval:
    _reason_checked(reason)
    moved = _move(row, state, checker=by.actor, decided_at=market_now(), decision_reason=reason)
    ensure(moved, "a locked request moves")
    _tell(state.lower(), row, {"sha256": row.content_sha256, "reason": reason, "by": by.actor})
    return row


def _reason_checked(reason: str) -> None:
    if len(reason) > REASON_LENGTH_MAX:
        raise Refused(field="reason", value=reason, rule=f"at most {REASON_LENGTH_MAX} characters")


def _move(row: Approval, state: str, **columns: Any) -> bool:
    changed = Approval.objects.filter(id=row.id, state=row.state).update(state=state, **columns)
    if changed:
        for name, value in {"state": state, **columns}.items():
            setattr(row, name, value)
    return bool(changed)


def _tell(what: str, row: Approval, detail: Mapping[str, Any]) -> None:
    entry_append(
        action=f"accounts.approval.{what}",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"kind": row.kind, "subject": row.subject, "maker": row.maker, **detail},
    )
