"""Needs that one person cannot publish alone: worth more than the rules' limit.

Above the ruleset's ``need_approval_limit_jpy`` a need is a proposal. What one person publishes for
an auction counts together, so that a large need cut into slices is a large need. A second person of
the same grid operator, with the role to approve, makes it a need before the gate; whatever happens
else (refused, taken back, revised, too late), it never was one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from accounts.approvals.kinds import NEED_PUBLISH
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import (
    approval_approve,
    approval_drop,
    approval_reject,
    approval_request,
    approval_use,
)
from accounts.audit.acting import actor_now
from accounts.audit.services import entry_append, subject_of
from accounts.core.errors import NotFound
from accounts.jobs.services import Claim, job_create, job_finish
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from market.trading.gates import conditions_enter
from market.trading.models import Auction, Need, NeedKind, NeedState

LIMIT: Final = "need_approval_limit_jpy"
LAPSE_KIND: Final = "market.trading.proposal_lapse"
HALF_HOUR_H: Final = Decimal("0.5")
# As value_jpy, in one statement: needs of one step have no rows of steps.
_PUBLISHED_ALONE: Final = """
    WITH alone AS (
        SELECT * FROM trading_need need
        WHERE auction_id = %(auction)s AND organisation_id = %(organisation)s
          AND code <> %(but)s AND state = 'PUBLISHED'
          AND NOT EXISTS (
              SELECT 1 FROM approvals_approval
              WHERE kind = %(kind)s AND subject = %(subjects)s || need.id AND state = 'USED')
    ), curve AS (
        SELECT alone.kind, step.quantity_kw,
               coalesce(step.cap_jpy_per_kwh, step.cap_jpy_per_kw_30min) AS cap
        FROM alone JOIN trading_needstep step ON step.need_id = alone.id
        UNION ALL
        SELECT kind, quantity_kw, coalesce(cap_jpy_per_kwh, cap_jpy_per_kw_30min)
        FROM alone
        WHERE NOT EXISTS (SELECT 1 FROM trading_needstep WHERE need_id = alone.id)
    )
    SELECT coalesce(sum(
        at.quantity_kw * at.cap * CASE curve.kind WHEN 'CAPACITY' THEN 1 ELSE 0.5 END), 0)
    FROM curve, unnest(curve.quantity_kw, curve.cap) AS at (quantity_kw, cap)
"""
Step = tuple[Sequence[Decimal], Sequence[Decimal], str]


def value_jpy(steps: Iterable[Step]) -> Decimal:
    """Return what a need can cost at most: quantity times cap over all steps and half hours.

    Parameters
    ----------
    steps
        Quantity [kW], cap and kind each. A cap of energy is per kWh, so half an hour counts half;
        a cap of capacity is per kW and half hour already. [JPY]
    """
    total = Decimal(0)
    for quantity_kw, cap, kind in steps:
        share = Decimal(1) if kind == NeedKind.CAPACITY else HALF_HOUR_H
        total += share * sum((a * b for a, b in zip(quantity_kw, cap, strict=True)), Decimal(0))
    return total


def takes_two_people(rules: Mapping[str, Any], value: Decimal) -> bool:
    """Whether a need of this value [JPY] is above the limit of the rules, if they name one."""
    limit = rules.get(LIMIT)
    return limit is not None and value > Decimal(str(limit))


def published_alone_jpy(auction: Auction, organisation: Organisation, *, but: str) -> Decimal:
    """Return what needs in force may cost at most that no second person has approved.

    Parameters
    ----------
    but
        Code of the need that is about to take the place of its revision in force.

    Returns
    -------
    Decimal
        [JPY]; 0 under rules without a limit.
    """
    if LIMIT not in auction.ruleset.rules:
        return Decimal(0)
    subjects = subject_of(Need(id=UUID(int=0))).removesuffix(str(UUID(int=0)))
    with connection.cursor() as cursor:
        cursor.execute(
            _PUBLISHED_ALONE,
            {
                "auction": auction.id,
                "organisation": organisation.id,
                "but": but,
                "kind": NEED_PUBLISH,
                "subjects": subjects,
            },
        )
        return Decimal(cursor.fetchone()[0])


def proposal_request(need: Need, *, value_jpy: Decimal) -> Approval:
    """Ask for the second person's word, in the transaction that stores the proposal."""
    need.refresh_from_db()
    auction = need.auction
    entry_append(
        action="market.need.proposed",
        subject=need,
        organisation_id=need.organisation_id,
        detail={"code": need.code, "revision": need.revision, "value_jpy": str(value_jpy)},
    )
    job_create(kind=LAPSE_KIND, key=str(need.id), due_at=auction.gate_closure_at)
    return approval_request(
        kind=NEED_PUBLISH,
        organisation=need.organisation,
        subject=need,
        content=content_of(need),
        maker=actor_now(),
        detail={
            "auction": auction.code,
            "code": need.code,
            "revision": need.revision,
            "value_jpy": str(value_jpy),
            "limit_jpy": str(auction.ruleset.rules[LIMIT]),
        },
        expires_at=auction.gate_closure_at,
    )


def content_of(need: Need) -> dict[str, Any]:
    """Return exactly what is approved: every column of the need and its steps but its state."""
    steps = need.steps.order_by("number").values_list(
        "number", "quantity_kw", "cap_jpy_per_kwh", "cap_jpy_per_kw_30min"
    )
    return {
        **{
            name: getattr(need, name)
            for name in (
                "id",
                "auction_id",
                "organisation_id",
                "kind",
                "code",
                "congestion_point_id",
                "flow_sign",
                "area_id",
                "product_id",
                "direction",
                "pricing",
                "quantity_kw",
                "cap_jpy_per_kwh",
                "cap_jpy_per_kw_30min",
                "revision",
            )
        },
        "steps": [list(step) for step in steps],
    }


@transaction.atomic
def need_approve(*, approval_id: UUID, by: Sight, content_sha256: str, reason: str = "") -> Need:
    """Approve a proposal and publish it in the same breath, before the gate.

    Raises
    ------
    GateClosed
        At or after the gate.
    NotFound, NotPermitted, ContentChanged, ApprovalMissing
        As :func:`accounts.approvals.services.approval_approve`.
    """
    need = _proposed(approval_id, by)
    auction, moment = conditions_enter(need.auction_id)
    approval_approve(approval_id=approval_id, by=by, content_sha256=content_sha256, reason=reason)
    need.refresh_from_db()
    approval_use(kind=NEED_PUBLISH, subject=need, content=content_of(need))
    before = (
        Need.objects.select_for_update(of=("self",))
        .filter(
            auction=auction,
            organisation=need.organisation_id,
            code=need.code,
            state=NeedState.PUBLISHED,
        )
        .first()
    )
    if before is not None:
        Need.objects.filter(id=before.id).update(state=NeedState.SUPERSEDED)
    Need.objects.filter(id=need.id).update(
        state=NeedState.PUBLISHED, supersedes=before, available_at=moment
    )
    need.refresh_from_db()
    published_tell(need)
    return need


@transaction.atomic
def need_reject(*, approval_id: UUID, by: Sight, reason: str) -> Need:
    """Refuse a proposal; the revision in force stays.

    Raises
    ------
    NotFound, NotPermitted, ApprovalMissing, Refused
        As :func:`accounts.approvals.services.approval_reject`.
    """
    need = _proposed(approval_id, by)
    approval_reject(approval_id=approval_id, by=by, reason=reason)
    _refuse(need, reason)
    return need


def proposal_drop(*, auction: Auction, organisation: Organisation, code: str, reason: str) -> bool:
    """Let the open proposal under this code go, if there is one; returns whether there was."""
    need = Need.objects.filter(
        auction=auction, organisation=organisation, code=code, state=NeedState.PROPOSED
    ).first()
    if need is None:
        return False
    approval_drop(kind=NEED_PUBLISH, subject=need, reason=reason)
    _refuse(need, reason)
    return True


@transaction.atomic
def proposal_lapse(*, claim: Claim) -> None:
    """Let a proposal go that nobody approved before the gate."""
    need = Need.objects.filter(id=UUID(claim.key), state=NeedState.PROPOSED).first()
    if need is not None:
        reason = "not approved before the gate"
        approval_drop(kind=NEED_PUBLISH, subject=need, reason=reason)
        _refuse(need, reason)
    job_finish(claim=claim)


def published_tell(need: Need) -> None:
    """Leave the entry that a need is published now."""
    entry_append(
        action="market.need.published",
        subject=need,
        organisation_id=need.organisation_id,
        detail={"code": need.code, "revision": need.revision},
    )


def _refuse(need: Need, reason: str) -> None:
    changed = Need.objects.filter(id=need.id, state=NeedState.PROPOSED).update(
        state=NeedState.REFUSED
    )
    if changed:
        need.state = NeedState.REFUSED
        entry_append(
            action="market.need.refused",
            subject=need,
            organisation_id=need.organisation_id,
            detail={"code": need.code, "revision": need.revision, "reason": reason},
        )


def _proposed(approval_id: UUID, by: Sight) -> Need:
    """Return the need that an approval is about, where the caller may see the approval."""
    row = approvals_seen(seen_by=by, kind=NEED_PUBLISH).filter(id=approval_id).first()
    if row is None:
        raise NotFound(field="approval", value=str(approval_id), rule="an approval you can see")
    prefix = subject_of(Need(id=UUID(int=0))).removesuffix(str(UUID(int=0)))
    return Need.objects.select_related("auction__ruleset", "organisation").get(
        id=UUID(row.subject.removeprefix(prefix))
    )
