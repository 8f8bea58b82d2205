"""Units behind a resource: registered by its operator, told their part with each order."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from accounts.fields.checking import text_checked
from accounts.parties.sight import Sight
from aggregator.core.disaggregation import Unit, disaggregate
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionInterval,
    ResourceUnit,
    UnitOrder,
)
from market.registry.models import Resource
from market.trading.models import Direction

READ = "site.read"
CHANGE = "site.change"
ZERO = Decimal(0)
RANK_MAX = 32_767
CODE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@transaction.atomic
def unit_add(
    *,
    resource: Resource,
    code: str,
    rank: int,
    limit_up_kw: Decimal,
    limit_down_kw: Decimal,
    by: Sight,
    minimum_kw: Decimal = ZERO,
    ramp_kw_per_min: Decimal | None = None,
) -> ResourceUnit:
    """Add a unit behind a resource; orders that are planned from now on are shared with it.

    Raises
    ------
    NotPermitted
        If the resource is not the caller's to change.
    Conflict
        If a unit in service has the code.
    Refused
        If a figure is out of bounds.
    """
    if resource.site.organisation_id not in by.organisations_for(CHANGE):
        raise NotPermitted(field="resource", value=resource.code, rule="changed by its operator")
    code = text_checked(code, field="code", length_max=40)
    if not CODE.fullmatch(code):
        raise Refused(field="code", value=code, rule="letters, digits, - and _ only")
    if not 0 <= rank <= RANK_MAX:
        raise Refused(field="rank", value=rank, rule=f"a whole number from 0 to {RANK_MAX}")
    figures = {
        "limit_up_kw": limit_up_kw,
        "limit_down_kw": limit_down_kw,
        "minimum_kw": minimum_kw,
    }
    for name, value in figures.items():
        decimal_of(value, field=name, low=ZERO, high=Decimal(KW_MAX), places=1)
    if ramp_kw_per_min is not None:
        decimal_of(
            ramp_kw_per_min,
            field="ramp_kw_per_min",
            low=Decimal("0.1"),
            high=Decimal(KW_MAX),
            places=1,
        )
    # of two with one code at once the second waits here, and then sees the first
    Resource.objects.select_for_update(of=("self",)).get(id=resource.id)
    if ResourceUnit.objects.filter(resource=resource, code=code, retired_at__isnull=True).exists():
        raise Conflict(field="code", value=code, rule="a code that no unit in service has")
    unit = ResourceUnit.objects.create(
        resource=resource,
        code=code,
        rank=rank,
        ramp_kw_per_min=ramp_kw_per_min,
        added_at=market_now(),
        **figures,
    )
    entry_append(
        action="aggregator.unit.added",
        subject=unit,
        organisation_id=resource.site.organisation_id,
        detail={"resource": resource.code, "unit": code, "by": by.actor},
    )
    return unit


@transaction.atomic
def unit_retire(*, unit_id: UUID, by: Sight) -> ResourceUnit:
    """Take a unit out of service; orders that were told stay as they are.

    Raises
    ------
    NotFound
        If the caller has no such unit in service.
    """
    unit = (
        ResourceUnit.objects.select_for_update(of=("self",))
        .select_related("resource__site")
        .filter(
            id=unit_id,
            retired_at__isnull=True,
            resource__site__organisation_id__in=by.organisations_for(CHANGE),
        )
        .first()
    )
    if unit is None:
        raise NotFound(field="unit", value=str(unit_id), rule="a unit of yours in service")
    unit.retired_at = market_now()
    unit.save(update_fields=["retired_at"])
    entry_append(
        action="aggregator.unit.retired",
        subject=unit,
        organisation_id=unit.resource.site.organisation_id,
        detail={"resource": unit.resource.code, "unit": unit.code, "by": by.actor},
    )
    return unit


def units_seen(*, seen_by: Sight) -> QuerySet[ResourceUnit]:
    """Units that a caller may see: the desk all, an operator its own."""
    rows = ResourceUnit.objects.select_related("resource__site")
    if seen_by.may_everywhere("instruction.change"):
        return rows
    return rows.filter(resource__site__organisation_id__in=seen_by.organisations_for(READ))


def unit_orders_save(
    *, instructions: Sequence[DispatchInstruction], intervals: Sequence[InstructionInterval]
) -> int:
    """Share new instructions among the units of their resources, in the caller's transaction.

    What was told of the instruction before, if it is a change, is where units start from.

    Returns
    -------
    int
        How many half hours of units were told.
    """
    units: dict[UUID, list[ResourceUnit]] = {}
    for unit in ResourceUnit.objects.filter(
        resource_id__in={row.resource_id for row in instructions}, retired_at__isnull=True
    ):
        units.setdefault(unit.resource_id, []).append(unit)
    if not units:
        return 0
    ordered: dict[UUID, dict[int, Decimal]] = {}
    for interval in intervals:
        ordered.setdefault(interval.instruction_id, {})[interval.t] = interval.quantity_kw
    made = []
    for row in instructions:
        behind = units.get(row.resource_id)
        quantities = ordered.get(row.id)
        if not behind or not quantities:
            continue
        shares = disaggregate(
            quantities,
            [_unit(unit, row.direction) for unit in behind],
            before_kw=_before_kw(row, min(quantities)),
        )
        by_code = {unit.code: unit for unit in behind}
        made += [
            UnitOrder(instruction=row, unit=by_code[code], t=t, quantity_kw=kw)
            for t, of_units in shares.quantity_kw.items()
            for code, kw in of_units.items()
        ]
    UnitOrder.objects.bulk_create(made, batch_size=5_000)
    return len(made)


def _unit(unit: ResourceUnit, direction: str) -> Unit:
    return Unit(
        code=unit.code,
        rank=unit.rank,
        limit_kw=unit.limit_up_kw if direction == Direction.UP else unit.limit_down_kw,
        minimum_kw=unit.minimum_kw,
        ramp_kw_per_min=unit.ramp_kw_per_min,
    )


def _before_kw(row: DispatchInstruction, first_t: int) -> Mapping[str, Decimal]:
    if row.takes_over_at is None or row.replaces_id is None:
        return {}
    told = UnitOrder.objects.filter(instruction_id=row.replaces_id, t=first_t - 1)
    return dict(told.values_list("unit__code", "quantity_kw"))


def unit_orders_of(
    *, instruction_ids: Collection[UUID]
) -> dict[tuple[UUID, int], list[tuple[str, Decimal]]]:
    """Return what units are told, by instruction and half hour, in the order of merit."""
    rows = (
        UnitOrder.objects.filter(instruction_id__in=instruction_ids)
        .order_by("instruction_id", "t", "unit__rank", "unit__code")
        .values_list("instruction_id", "t", "unit__code", "quantity_kw")
    )
    found: dict[tuple[UUID, int], list[tuple[str, Decimal]]] = {}
    for instruction_id, t, code, kw in rows:
        found.setdefault((instruction_id, t), []).append((code, kw))
    return found
