"""Call reserved capacity: the site is told, and the call is noted that its payment follows from."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from accounts.core.errors import NotFound
from accounts.parties.sight import Sight
from aggregator.dispatch.calls import buyers_of_capacity, capacity_call
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.activations import activation_note
from market.clearing.models import Award, Leg

CALL = "capacity.call"


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
        Award.objects.select_related("resource__site__area")
        .filter(id=award_id, leg=Leg.RESERVED)
        .first()
    )
    may = award is not None and (
        by.may_everywhere(CALL) or by.organisations_for(CALL) & buyers_of_capacity(award)
    )
    if award is None or not may:
        raise NotFound(field="award", value=str(award_id), rule="capacity that you may call")
    made = capacity_call(award_id=award_id, quantities_kw=quantities_kw, actor=by.actor)
    for t, kw in sorted(quantities_kw.items()):
        activation_note(award_id=award_id, t=t, instructed_kw=kw, actor=by.actor)
    return made
