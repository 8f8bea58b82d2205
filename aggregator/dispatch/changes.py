"""Change an order under way: less, no more, or longer; money moves, so two people decide.

Less and no more are decided by a second person of the desk: the seller loses receipts, the buyers
get them back. Longer is paid by a grid operator beyond its need, so its approver decides. Stopping
at once for safety takes one person (:func:`aggregator.dispatch.services.instruction_cancel`).

What is asked is kept with the request, and what is done is that, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q, Sum
from django.db.models.expressions import RawSQL

from accounts.approvals.kinds import INSTRUCTION_CHANGE, INSTRUCTION_EXTEND
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import approval_approve, approval_request, approval_use
from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, NotPermitted, Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX, PRICE_MAX_JPY_PER_KWH
from accounts.fields.checking import text_checked
from accounts.parties.models import Organisation
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from aggregator.core.changes import Changed, extended, reduced
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.merit import room_kw
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
    ServedNeed,
)
from aggregator.dispatch.rules import DispatchRules, dispatch_rules
from aggregator.dispatch.services import instructions_move, instructions_save, sweeps_arrange
from market.clearing.models import AwardInterval
from market.core.timegrid import INTERVAL
from market.core.units import DIRECTION_SIGN
from market.trading.models import Auction, Direction

CHANGE: Final = "instruction.change"
REASON_LENGTH_MAX: Final = 200
WHAT: Final = ("PARTIAL", "CANCELLED", "EXTENDED")
ZERO: Final = Decimal(0)
_NOW = RawSQL("market_now()", ())
_S = InstructionState
CHANGEABLE: Final = (_S.ACKNOWLEDGED, _S.ACTIVE)
CANCELLABLE: Final = (_S.PLANNED, _S.SENT, _S.ACKNOWLEDGED, _S.ACTIVE)


@transaction.atomic
def change_request(
    *,
    instruction_id: UUID,
    what: str,
    reason: str,
    by: Sight,
    quantities_kw: Mapping[int, Decimal] | None = None,
    payer: Organisation | None = None,
    price_jpy_per_kwh: Decimal | None = None,
) -> Approval:
    """Ask that an instruction order less, nothing more, or longer; somebody else decides.

    Parameters
    ----------
    what
        ``PARTIAL``, ``CANCELLED`` or ``EXTENDED``.
    quantities_kw
        By half hour 0…47: what shall be ordered instead, or beyond the end. [kW]
    payer, price_jpy_per_kwh
        Of an extension: the grid operator that pays for it, and what a kWh of it costs.

    Raises
    ------
    NotPermitted, NotFound
        If the caller may not change orders, or there is no such instruction.
    InstructionClosed
        If it is in no state to be changed so.
    Refused
        If the change breaks a rule; the field says which part of it.
    Conflict
        If a change of it is asked for already.
    """
    if not by.may_everywhere(CHANGE):
        raise NotPermitted(field="maker", value=by.actor, rule=f"a role that may {CHANGE}")
    reason = text_checked(reason, field="reason", length_max=REASON_LENGTH_MAX)
    if what not in WHAT:
        raise Refused(field="what", value=what, rule=f"one of {', '.join(WHAT)}")
    row = _locked(instruction_id)
    content: dict[str, Any] = {"instruction": str(row.id), "version": row.version, "what": what}
    if what != "CANCELLED":
        given = {
            t: decimal_of(kw, field=f"quantities_kw.{t}", low=ZERO, high=Decimal(KW_MAX), places=1)
            for t, kw in (quantities_kw or {}).items()
        }
        content["quantities_kw"] = {str(t): f"{kw:f}" for t, kw in sorted(given.items())}
    if what == "EXTENDED":
        content |= _extension_terms(row, payer, price_jpy_per_kwh)
    changed = _checked(row, content)
    now = market_now()
    limit = row.ends_at
    if changed is not None:
        limit = _start_at(row, changed.first_t) - _notice(row)
    elif row.state == _S.PLANNED:
        limit = row.starts_at
    return approval_request(
        kind=INSTRUCTION_EXTEND if what == "EXTENDED" else INSTRUCTION_CHANGE,
        organisation=aggregator() if payer is None or what != "EXTENDED" else payer,
        subject=row,
        content=content,
        maker=by.actor,
        reason=reason,
        detail={
            "change": content,
            "resource": row.resource.code,
            "direction": row.direction,
            "starts_at": row.starts_at.isoformat(),
            "ends_at": row.ends_at.isoformat(),
        },
        expires_at=max(limit, now + timedelta(seconds=1)),
    )


@transaction.atomic
def change_approve(
    *, approval_id: UUID, by: Sight, content_sha256: str, reason: str = ""
) -> DispatchInstruction:
    """Approve a change and do it in the same breath; returns the version that is now in force.

    Raises
    ------
    InstructionClosed, Refused
        If the instruction moved on meanwhile, or the first changed half hour is too near.
    NotFound, NotPermitted, ContentChanged, ApprovalMissing
        As :func:`accounts.approvals.services.approval_approve`.
    """
    asked = (
        approvals_seen(seen_by=by)
        .filter(id=approval_id, kind__in=(INSTRUCTION_CHANGE, INSTRUCTION_EXTEND))
        .first()
    )
    if asked is None:
        raise NotFound(field="approval", value=str(approval_id), rule="an approval you can see")
    content: Mapping[str, Any] = asked.detail["change"]
    row = _locked(UUID(content["instruction"]))
    changed = _checked(row, content)
    approval_approve(approval_id=asked.id, by=by, content_sha256=content_sha256, reason=reason)
    approval_use(kind=asked.kind, subject=row, content=content)
    if changed is None:
        return _moved(row, _S.CANCELLED, "cancelled", asked)
    made = _version_save(row, changed, content)
    _moved(row, content["what"], "changed", asked)
    sweeps_arrange(auction_id=row.award.auction_id, key=str(made.id))
    return made


def _locked(instruction_id: UUID) -> DispatchInstruction:
    """Return the instruction, its auction's row locked as replacements lock it."""
    known = DispatchInstruction.objects.filter(id=instruction_id).values("award__auction_id")
    Auction.objects.select_for_update(of=("self",), no_key=True).filter(id__in=known).first()
    row = (
        DispatchInstruction.objects.select_for_update(of=("self",))
        .select_related("resource__site", "award__auction__ruleset", "organisation")
        .filter(id=instruction_id)
        .first()
    )
    if row is None:
        raise NotFound(field="instruction", value=str(instruction_id), rule="an instruction")
    return row


def _checked(row: DispatchInstruction, content: Mapping[str, Any]) -> Changed | None:
    """Return the changed order; None where nothing more is ordered at all."""
    what = content["what"]
    may = CANCELLABLE if what == "CANCELLED" else CHANGEABLE
    if row.state not in may:
        rule = "not over yet" if what == "CANCELLED" else "acknowledged or active"
        raise InstructionClosed(field="instruction", value=row.state, rule=rule)
    if what == "CANCELLED":
        return None
    if row.call is not None:
        raise Refused(field="what", value=what, rule="a call of capacity is taken back or repeated")
    asked = {int(t): Decimal(kw) for t, kw in content["quantities_kw"].items()}
    ordered = dict(row.intervals.values_list("t", "quantity_kw"))
    midnight = row.award.auction.delivery_start
    earliest = market_now() + _notice(row)
    from_t = max(0, -((midnight - earliest) // INTERVAL))
    if what == "PARTIAL":
        return reduced(ordered, asked, from_t=from_t)
    changed = extended(ordered, asked, from_t=from_t)
    _room_check(row, changed)
    return changed


def _extension_terms(
    row: DispatchInstruction, payer: Organisation | None, price: Decimal | None
) -> dict[str, Any]:
    served = ServedNeed.objects.filter(award=row.award)
    if payer is None or not served.filter(organisation=payer).exists():
        raise Refused(
            field="payer",
            value=payer and payer.code,
            rule="a grid operator whose need the instruction serves",
        )
    price = decimal_of(
        price, field="price_jpy_per_kwh", low=ZERO, high=Decimal(PRICE_MAX_JPY_PER_KWH), places=2
    )
    return {"payer": payer.code, "price_jpy_per_kwh": f"{price:f}"}


def _room_check(row: DispatchInstruction, changed: Changed) -> None:
    """Refuse more than the resource has left, or than the elements let through."""
    up = row.direction == Direction.UP
    limit = row.resource.limit_up_kw if up else row.resource.limit_down_kw
    room = room_kw(row, sorted(changed.quantity_kw))
    for t, kw in changed.quantity_kw.items():
        taken = (
            InstructionInterval.objects.filter(
                instruction__resource_id=row.resource_id,
                start_at=_start_at(row, t),
                instruction__state__in=CANCELLABLE,
            ).aggregate(kw=Sum("quantity_kw"))["kw"]
            or ZERO
        )
        if kw > limit - taken:
            raise Refused(
                field=f"quantities_kw.{t}",
                value=kw,
                rule=f"at most {max(ZERO, limit - taken):f} kW: the resource has no more left",
            )
        if kw > room[t]:
            raise Refused(
                field=f"quantities_kw.{t}",
                value=kw,
                rule=f"at most {room[t]:f} kW: more would overload a monitored element",
            )


def _version_save(
    row: DispatchInstruction, changed: Changed, content: Mapping[str, Any]
) -> DispatchInstruction:
    now = market_now()
    last: int = DispatchInstruction.objects.filter(award=row.award).aggregate(last=Max("version"))[
        "last"
    ]
    spans = sorted(changed.quantity_kw)
    starts_at = _start_at(row, spans[0])
    payer = content.get("payer")
    made = DispatchInstruction(
        award=row.award,
        version=last + 1,
        bid_id=row.bid_id,
        organisation_id=row.organisation_id,
        resource_id=row.resource_id,
        direction=row.direction,
        starts_at=starts_at,
        ends_at=_start_at(row, spans[-1]) + INTERVAL,
        send_at=now,
        respond_by_at=_rules(row).stand_in_respond_by_at(
            starts_at=starts_at, asked_at=now, response_s=row.response_s
        ),
        response_s=row.response_s,
        takes_over_at=_start_at(row, changed.first_t),
        payer=Organisation.objects.get(code=payer) if payer else None,
        replaces=row,
    )
    prices = _prices(row, changed, content)
    intervals = [
        InstructionInterval(
            instruction=made,
            t=t,
            start_at=_start_at(row, t),
            quantity_kw=changed.quantity_kw[t],
            replacement_price_jpy_per_kwh=prices[t],
            is_added="price_jpy_per_kwh" in content,
        )
        for t in spans
    ]
    instructions_save(instructions=[made], intervals=intervals)
    return made


def _prices(
    row: DispatchInstruction, changed: Changed, content: Mapping[str, Any]
) -> dict[int, Decimal | None]:
    """Return what a kWh of each half hour is paid; None where it stays as it was sold.

    A half hour that is ordered otherwise than sold is paid for what is delivered of it, at the
    price it was sold at: the award's, or the stand-in's own.
    """
    if "price_jpy_per_kwh" in content:
        return dict.fromkeys(changed.quantity_kw, Decimal(content["price_jpy_per_kwh"]))
    before = dict(row.intervals.values_list("t", "replacement_price_jpy_per_kwh"))
    sign = int(DIRECTION_SIGN[row.direction])
    sold = {
        t: sign * price
        for t, price in AwardInterval.objects.filter(award=row.award).values_list(
            "t", "price_jpy_per_kwh"
        )
    }
    return {
        t: before[t] if before[t] is not None or t not in changed.differs_t else sold[t]
        for t in changed.quantity_kw
    }


def _moved(row: DispatchInstruction, state: str, verb: str, asked: Approval) -> DispatchInstruction:
    moved = instructions_move(
        which=Q(id=row.id),
        before=row.state,
        after=state,
        action=f"aggregator.instruction.{verb}",
        reason=asked.reason,
        finished_at=_NOW,
    )
    entry_append(
        action="aggregator.instruction.change_agreed",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"approval": str(asked.id), "change": asked.detail["change"]},
    )
    return moved[0]


def _rules(row: DispatchInstruction) -> DispatchRules:
    return dispatch_rules(row.award.auction.ruleset.rules)


def _notice(row: DispatchInstruction) -> timedelta:
    return timedelta(hours=_rules(row).change_notice_h)


def _start_at(row: DispatchInstruction, t: int) -> datetime:
    start_at: datetime = row.award.auction.delivery_start + t * INTERVAL
    return start_at
