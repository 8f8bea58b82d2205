"""Calls of reserved capacity: an order to its site at once, within the product's response time.

What is paid and what a failure costs follows from the noted call
(:mod:`aggregator.metering.activations`), which is noted in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from aggregator.dispatch.models import (
    OPEN_STATES,
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
    ServedNeed,
)
from aggregator.dispatch.moves import instructions_move, instructions_save, sweeps_arrange
from aggregator.dispatch.rules import dispatch_rules
from market.clearing.models import Award, CapacityInterval, Leg
from market.core.timegrid import INTERVAL
from market.trading.models import Direction
from market.trading.sealing import contents_open

ZERO = Decimal(0)
TICK_JPY_PER_KWH = Decimal("0.01")
TAKEN_BACK = "the call was taken back"
NEWER = "a newer call takes its place"
_NOW = RawSQL("market_now()", ())


@transaction.atomic
def capacity_call(
    *, award_id: UUID, quantities_kw: Mapping[int, Decimal], actor: str
) -> DispatchInstruction | None:
    """Order reserved capacity to act, in half hours that are not over; 0 kW takes a call back.

    A call takes the place of what was called before of the same award.

    Returns
    -------
    DispatchInstruction or None
        None where everything was taken back.

    Raises
    ------
    NotFound
        If the award reserves nothing in one of the half hours.
    Refused
        If more is called than reserved, a half hour is over, or there is none.
    """
    award = (
        Award.objects.select_for_update(of=("self",), no_key=True)
        .select_related("auction__ruleset", "product", "resource")
        .filter(id=award_id, leg=Leg.RESERVED)
        .first()
    )
    if award is None or award.product is None:
        raise NotFound(field="award", value=str(award_id), rule="capacity reserved then")
    _quantities_check(award, quantities_kw)
    now = market_now()
    midnight = award.auction.delivery_start
    called = {t: kw for t, kw in sorted(quantities_kw.items()) if kw > ZERO}
    _former_stop(award, NEWER if called else TAKEN_BACK)
    if not called:
        return None
    rules = dispatch_rules(award.auction.ruleset.rules)
    versions = DispatchInstruction.objects.filter(award=award)
    last = versions.aggregate(version=Max("version"), call=Max("call"))
    first_t, last_t = min(called), max(called)
    made = DispatchInstruction(
        award=award,
        version=(last["version"] or 0) + 1,
        call=(last["call"] or 0) + 1,
        bid_id=award.bid_id,
        organisation_id=award.organisation_id,
        resource_id=award.resource_id,
        direction=award.direction,
        starts_at=midnight + first_t * INTERVAL,
        ends_at=midnight + (last_t + 1) * INTERVAL,
        send_at=now,
        respond_by_at=rules.call_respond_by_at(called_at=now, response_s=award.product.response_s),
        response_s=award.product.response_s,
    )
    instructions_save(
        instructions=[made],
        intervals=[
            InstructionInterval(
                instruction=made, t=t, start_at=midnight + t * INTERVAL, quantity_kw=kw
            )
            for t, kw in called.items()
        ],
    )
    sweeps_arrange(auction_id=award.auction_id, key=str(made.id))
    entry_append(
        action="aggregator.capacity.called",
        subject=made,
        organisation_id=award.organisation_id,
        detail={
            "award": str(award.id),
            "kw": {str(t): str(kw) for t, kw in called.items()},
            "actor": actor,
        },
    )
    return made


def _quantities_check(award: Award, quantities_kw: Mapping[int, Decimal]) -> None:
    if not quantities_kw:
        raise Refused(field="quantities_kw", value={}, rule="at least one half hour")
    held = dict(
        CapacityInterval.objects.filter(award=award, quantity_kw__gt=0).values_list(
            "t", "quantity_kw"
        )
    )
    now, midnight = market_now(), award.auction.delivery_start
    for t, kw in sorted(quantities_kw.items()):
        field = f"quantities_kw.{t}"
        if t not in held:
            raise NotFound(field=field, value=f"{award.id} t={t}", rule="capacity reserved then")
        decimal_of(kw, field=field, low=ZERO, high=Decimal(KW_MAX), places=1)
        if kw > held[t]:
            raise Refused(field=field, value=kw, rule=f"at most {held[t]:f} kW")
        if midnight + (t + 1) * INTERVAL <= now:
            raise Refused(field=field, value=kw, rule="a half hour that is not over")


def _former_stop(award: Award, reason: str) -> None:
    """Stop what was called before, and whoever stands in for it."""
    for before in OPEN_STATES:
        instructions_move(
            which=Q(award=award),
            before=before,
            after=InstructionState.CANCELLED,
            action="aggregator.instruction.cancelled",
            reason=reason,
            finished_at=_NOW,
        )


def payer_of_stand_ins(award: Award) -> UUID | None:
    """Return who is noted to pay for what stands in for a call: a grid operator that may call.

    The operator of the area if it is one, else the first whose need the capacity was reserved for.
    Settlement shares the cost among all who bought the capacity, where the result names them.
    """
    served = ServedNeed.objects.filter(award=award).order_by("need_id")
    buyers = list(served.values_list("organisation_id", flat=True))
    operator = award.resource.site.area.tso_id
    return operator or next(iter(buyers), None)


def call_price_max(award: Award) -> Decimal:
    """Return what a kWh in the place of a call may cost at the site called, at most [JPY/kWh].

    Who called agreed to pay V1 for a kWh sent up, or to be paid V2 for one sent down; below zero
    where the seller pays.
    """
    offered = contents_open([award.bid_id]).get(award.bid_id, {})
    sent_ratio = 1 / (1 - award.resource.site.loss_ratio)
    if award.direction == Direction.UP:
        price = Decimal(str(offered.get("v1_jpy_per_kwh", 0)))
    else:
        price = -Decimal(str(offered.get("v2_jpy_per_kwh", 0)))
    return (price * sent_ratio).quantize(TICK_JPY_PER_KWH, ROUND_FLOOR)


def buyers_of_capacity(award: Award) -> set[UUID]:
    """Return the grid operators that may call an award: those whose needs it was reserved for."""
    served = set(ServedNeed.objects.filter(award=award).values_list("organisation_id", flat=True))
    operator = award.resource.site.area.tso_id
    return served | ({operator} if operator else set())
