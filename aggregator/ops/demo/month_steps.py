"""The month's own steps: what participants do day by day, each the body of a job.

Sites answer and are metered here, a day at a time: thirty days of live agents would take as many
minutes. Their behaviour is the agents' own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from accounts.jobs.services import Claim, job_finish
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval, InstructionState
from aggregator.dispatch.services import instruction_acknowledge, instruction_opt_out
from aggregator.metering.models import IntervalReading, Quality, Stage
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.ops.demo import agents, cast
from aggregator.ops.demo.inputs import SEED, profiles_kw
from aggregator.ops.demo.steps import (
    auction_announce,
    auction_code,
    cast_register,
    delivery_of,
    inputs_of,
    no_time_limits,
    plans_declare,
)
from aggregator.protocols.openadr3.client.behaviour import (
    AgentsConfig,
    ResourceConfig,
    energy_kwh,
)
from market.core.timegrid import INTERVALS_PER_DAY, interval_starts_at
from market.registry.models import Resource

DAYS_OPEN: Final = 2
OPTS_OUT_EVERY_DAYS: Final = 7
OPT_OUT_REASON: Final = "equipment under repair"
DELIVERING: Final = (
    InstructionState.ACKNOWLEDGED,
    InstructionState.ACTIVE,
    InstructionState.FINISHED,
)


def days_of(month_on: date) -> list[date]:
    """Return the days of the month that begins on `month_on`."""
    end_on = (month_on + timedelta(days=31)).replace(day=1)
    return [month_on + timedelta(days=n) for n in range((end_on - month_on).days)]


def rules_of_month() -> dict[str, Any]:
    """Return the demo's rules with settlement by the month."""
    return {**cast.RULES, "settlement": {**cast.RULES["settlement"], "period": "MONTH"}}


@transaction.atomic
def month_register_step(*, claim: Claim) -> None:
    """Register the cast and announce an auction for every day of the month."""
    no_time_limits()
    first_on = delivery_of(claim)
    grid_model = cast_register(first_on=first_on, rules=rules_of_month())
    days = days_of(first_on)[: int(claim.payload["days_count"])]
    for on in days:
        auction_announce(delivery_on=on, days_open=DAYS_OPEN, grid_model=grid_model)
    months = {(on.year, on.month) for on in (first_on - timedelta(days=1), *days)}
    reading_partitions_ensure(months=sorted(months))
    job_finish(claim=claim)


@transaction.atomic
def plans_step(*, claim: Claim) -> None:
    """File the generation plans of one day."""
    plans_declare(inputs_of(claim), delivery_of(claim))
    job_finish(claim=claim)


@transaction.atomic
def answer_step(*, claim: Claim) -> None:
    """Let the sites answer what was sent for one day; once a week one declines."""
    on = delivery_of(claim)
    declines = on.day % OPTS_OUT_EVERY_DAYS == 0
    waiting = DispatchInstruction.objects.filter(
        award__auction__code=auction_code(on), state=InstructionState.SENT
    ).select_related("organisation", "resource")
    for row in waiting.order_by("starts_at", "id"):
        if declines and row.resource.code == agents.OPTS_OUT:
            instruction_opt_out(
                instruction_id=row.id, organisation=row.organisation, reason=OPT_OUT_REASON
            )
        else:
            instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    job_finish(claim=claim)


@transaction.atomic
def metered_step(*, claim: Claim) -> None:
    """Read every meter for one day that is over: what the plant did under its orders (速報)."""
    no_time_limits()
    on = delivery_of(claim)
    readings_ingest(rows=list(_metered(on, claim)), source="demo meters")
    job_finish(claim=claim)


def _metered(on: date, claim: Claim) -> Iterator[ReadingRow]:
    ordered_kw: dict[UUID, list[float]] = defaultdict(lambda: [0.0] * INTERVALS_PER_DAY)
    orders = InstructionInterval.objects.filter(
        instruction__award__auction__code=auction_code(on), instruction__state__in=DELIVERING
    ).values_list("instruction__resource_id", "instruction__direction", "t", "quantity_kw")
    for resource_id, direction, t, quantity_kw in orders:
        ordered_kw[resource_id][t] += float(quantity_kw) * (-1 if direction == "UP" else 1)
    profiles = profiles_kw(inputs_of(claim))
    config = AgentsConfig(base_url="", seed=SEED + on.toordinal(), delivery_on=on, vens=())
    starts_at = interval_starts_at(on)
    for resource in Resource.objects.select_related("meter").order_by("code"):
        plant = ResourceConfig(
            name=resource.code,
            profile_kw=tuple(float(value) for value in profiles[resource.code]),
            delivery_ratio=agents.FALLS_SHORT.get(resource.code, 1.0),
        )
        for t, start_at in enumerate(starts_at):
            yield ReadingRow(
                point_number=resource.meter.point_number,
                start_at=start_at,
                energy_kwh=energy_kwh(config, plant, t, ordered_kw[resource.id]),
                quality=Quality.OK,
                stage=Stage.PRELIMINARY,
            )


@transaction.atomic
def month_final_step(*, claim: Claim) -> None:
    """Let the grid operators confirm every value of the month (確定)."""
    no_time_limits()
    days = days_of(delivery_of(claim))
    latest = (
        IntervalReading.objects.filter(
            start_at__gte=interval_starts_at(days[0])[0],
            start_at__lte=interval_starts_at(days[-1])[-1],
            stage=Stage.PRELIMINARY,
        )
        .order_by("start_at", "meter_id", "-revision")
        .distinct("start_at", "meter_id")
        .values_list("meter__point_number", "start_at", "energy_kwh", "quality")
    )
    rows = [ReadingRow(*row, stage=Stage.FINAL) for row in latest.iterator()]
    readings_ingest(rows=rows, source="grid operator, final")
    job_finish(claim=claim)
