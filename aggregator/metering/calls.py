"""Call reserved capacity: the site is told, and the call is noted that its payment follows from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound
from accounts.parties.sight import Sight
from aggregator.dispatch.calls import buyers_of_capacity, capacity_call
from aggregator.dispatch.models import DispatchInstruction, ServedNeed
from aggregator.metering.activations import activation_note
from aggregator.metering.models import CapacityActivation
from market.clearing.models import Award, Leg, RunState
from market.core.timegrid import INTERVAL

CALL = "capacity.call"
ZERO = Decimal(0)


@transaction.atomic
def capacity_activate(
    *, award_id: UUID, quantities_kw: Mapping[int, Decimal], by: Sight
) -> DispatchInstruction | None:
    """Call reserved capacity for some half hours; 0 kW takes a call back.

    The grid operator whose need it was reserved for calls it, or the desk for it.

    Raises
    ------
    NotFound
        If the caller may call no such capacity.
    Refused
        As :func:`aggregator.dispatch.calls.capacity_call`.
    """
    award = (
        Award.objects.select_related("resource__site__area", "auction")
        .filter(id=award_id, leg=Leg.RESERVED)
        .first()
    )
    may = award is not None and (
        by.may_everywhere(CALL) or by.organisations_for(CALL) & buyers_of_capacity(award)
    )
    if award is None or not may:
        raise NotFound(field="award", value=str(award_id), rule="capacity that you may call")
    made = capacity_call(award_id=award_id, quantities_kw=quantities_kw, actor=by.actor)
    # the call before is stopped as a whole: what this one leaves out is called no more
    now, midnight = market_now(), award.auction.delivery_start
    ahead = {
        t: ZERO
        for t, kw in called_kw([award_id]).get(award_id, {}).items()
        if kw and midnight + (t + 1) * INTERVAL > now
    }
    for t, kw in sorted({**ahead, **quantities_kw}.items()):
        activation_note(award_id=award_id, t=t, instructed_kw=kw, actor=by.actor)
    return made


def awards_callable(*, seen_by: Sight) -> QuerySet[Award]:
    """Awards in force whose capacity the caller may call: the desk all, a buyer its own."""
    rows = Award.objects.filter(leg=Leg.RESERVED, run__state=RunState.PUBLISHED)
    if seen_by.may_everywhere(CALL):
        return rows
    own = seen_by.organisations_for(CALL)
    served = ServedNeed.objects.filter(award=OuterRef("pk"), organisation_id__in=own)
    return rows.filter(Q(resource__site__area__tso_id__in=own) | Exists(served))


def called_kw(award_ids: Collection[UUID] | QuerySet[Award, Any]) -> dict[UUID, dict[int, Decimal]]:
    """Return what is called now of awards: kW by t, 0 where a call was taken back."""
    found: dict[UUID, dict[int, Decimal]] = {}
    for award_id, t, kw in (
        CapacityActivation.objects.filter(award_id__in=award_ids)
        .order_by("award_id", "t", "revision")
        .values_list("award_id", "t", "instructed_kw")
    ):
        found.setdefault(award_id, {})[t] = kw
    return found
