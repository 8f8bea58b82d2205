"""The demo's own steps, each the body of a job: what participants would do at the doors.

Closing, clearing, dispatch, metering and settlement are not here: they follow by
themselves, as in production.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.jobs.services import Claim, job_finish, job_kept
from accounts.parties.models import Organisation
from aggregator.forecasting.selectors import area_supply_demand_on, spot_prices_on
from aggregator.forecasting.services import area_supply_demand_import, spot_prices_import
from aggregator.metering.models import IntervalReading, Quality, Stage, VerificationStage
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.schedules import schedule_declare
from aggregator.metering.services import ReadingRow, meter_register, readings_ingest
from aggregator.metering.verifications import delivery_verification_request
from aggregator.ops.demo import cast
from aggregator.ops.demo.forms import EVENING, standing_bid
from aggregator.ops.demo.inputs import (
    DayInputs,
    areas_needed,
    available_ratio,
    day_inputs,
    peak_kw_of,
    profiles_kw,
    readings_before,
    varied_areas,
)
from aggregator.ops.demo.offers import bids_by_operator
from aggregator.ops.demo.qualify import qualify
from aggregator.ops.demo.register import register
from aggregator.ops.demo.shapes import AreaDay, grid_load, grid_model_rows
from market.core.timegrid import INTERVAL_H, JST, interval_starts_at
from market.registry.models import Area, GridModel, Resource, Site
from market.trading.bids import bid_withdraw, bids_submit
from market.trading.condition_services import (
    base_flows_publish,
    envelope_publish,
    transfer_limit_publish,
)
from market.trading.models import Auction, EnvelopeKind, NeedKind
from market.trading.needs import NeedDetails, need_publish
from market.trading.services import auction_schedule
from market.trading.standing_services import StandingDays, standing_bid_create

HISTORY_DAYS = 31
METER_NUMBER_FIRST = 1_000
AREA_FIELDS = (
    "demand_kw",
    "solar_kw",
    "solar_curtailed_kw",
    "wind_kw",
    "wind_curtailed_kw",
    "interconnector_kw",
)


def auction_code(delivery_on: date) -> str:
    """Name the day-ahead auction of a delivery day."""
    return f"DA-{delivery_on.isoformat()}"


def jst(on: date, hour: int, minute: int = 0) -> datetime:
    """Return a wall-clock moment in Japan."""
    return datetime.combine(on, time(hour, minute), tzinfo=JST)


def inputs_on(delivery_on: date, *, is_real: bool, is_varied: bool = False) -> DayInputs:
    """Return the day's inputs: from imported rows, varied by the date, or the standard day's."""
    if is_real:
        return day_inputs({code: _area_day(delivery_on, code) for code in areas_needed()})
    return day_inputs(varied_areas(delivery_on) if is_varied else None)


def _area_day(delivery_on: date, area_code: str) -> AreaDay:
    supply = area_supply_demand_on(delivery_on=delivery_on, area_code=area_code)
    prices = spot_prices_on(delivery_on=delivery_on, area_code=area_code)
    vectors: dict[str, list[float]] = {
        name: [float(getattr(row, name)) for row in supply] for name in AREA_FIELDS
    }
    vectors["price_jpy_per_kwh"] = [float(row.price_jpy_per_kwh) for row in prices]
    return AreaDay.from_mapping(vectors)


def delivery_of(claim: Claim) -> date:
    """Return the delivery day that a step is about."""
    return date.fromisoformat(claim.payload["delivery_on"])


def inputs_of(claim: Claim) -> DayInputs:
    """Return the inputs of the day that a step is about."""
    payload = claim.payload
    return inputs_on(
        delivery_of(claim),
        is_real=bool(payload.get("is_real")),
        is_varied=bool(payload.get("is_varied")),
    )


def no_time_limits() -> None:
    """Lift the limits of a statement: they are the web's, and this is bulk work of seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


@transaction.atomic
def register_step(*, claim: Claim) -> None:
    """Register the cast and its meters, prequalify its plant, announce the auction."""
    no_time_limits()
    delivery_on = delivery_of(claim)
    grid_model = cast_register(first_on=delivery_on, rules=cast.RULES)
    auction_announce(delivery_on=delivery_on, days_open=1, grid_model=grid_model)
    job_finish(claim=claim)


def cast_register(*, first_on: date, rules: Mapping[str, Any]) -> GridModel:
    """Register everyone under `rules`, ready to be delivering from `first_on`."""
    grid = grid_load()
    registered = register(
        grid=grid,
        rows=grid_model_rows(grid),
        from_on=first_on - timedelta(days=60),
        rules=rules,
    )
    for number, resource in enumerate(
        Resource.objects.select_related("site").order_by("code"), start=METER_NUMBER_FIRST
    ):
        meter_register(point_number=f"{resource.site.area_id}1{number:019d}", resource=resource)
    qualify(delivery_on=first_on)
    osaka = Organisation.objects.get(code=cast.OPERATORS["osaka-dc"])
    standing_bid_create(
        organisation=osaka,
        code="osaka-evening",
        bid=standing_bid(Site.objects.get(code="osaka-dc").contract_kw),
        days=StandingDays(valid_from_on=first_on),
    )
    return registered.grid_model


def auction_announce(*, delivery_on: date, days_open: int, grid_model: GridModel) -> None:
    """Announce a day-ahead auction that opens at 9:00, `days_open` days before delivery."""
    auction_schedule(
        code=auction_code(delivery_on),
        name=f"前日オークション {delivery_on.isoformat()}",
        delivery_on=delivery_on,
        opens_at=jst(delivery_on - timedelta(days=days_open), 9),
        gate_closure_at=jst(delivery_on - timedelta(days=1), 10),
        grid_model=grid_model,
    )


def import_step(*, claim: Claim) -> None:
    """Read real prices and area data from official or normalised files."""
    with job_kept(claim=claim):
        for name in claim.payload["spot"]:
            spot_prices_import(content=Path(name).read_bytes(), source=Path(name).name)
        for name in claim.payload["area"]:
            area_supply_demand_import(content=Path(name).read_bytes(), source=Path(name).name)
    with transaction.atomic():
        job_finish(claim=claim)


@transaction.atomic
def history_step(*, claim: Claim) -> None:
    """Seed the readings of the days before, as far as they have ended, and plans for the day."""
    no_time_limits()
    delivery_on, inputs = delivery_of(claim), inputs_of(claim)
    days_before = range(int(claim.payload["first"]), int(claim.payload["last"]) + 1)
    numbers = dict(Resource.objects.values_list("code", "meter__point_number"))
    readings = []
    months = {(delivery_on.year, delivery_on.month)}
    for row in readings_before(inputs, delivery_on=delivery_on, days_before=days_before):
        starts_at = interval_starts_at(row["on"])
        months |= {(moment.year, moment.month) for moment in (starts_at[0], starts_at[-1])}
        readings += [
            ReadingRow(
                point_number=numbers[row["resource"]],
                start_at=start_at,
                energy_kwh=Decimal(str(energy_kwh)),
                quality=Quality.OK,
                stage=Stage.FINAL,
            )
            for start_at, energy_kwh in zip(starts_at, row["energy_kwh"].tolist(), strict=True)
        ]
    reading_partitions_ensure(months=sorted(months))
    readings_ingest(rows=readings, source="demo history")
    if claim.payload.get("plans"):
        plans_declare(inputs, delivery_on)
    job_finish(claim=claim)


def plans_declare(inputs: DayInputs, delivery_on: date) -> None:
    """File generation plans: what sun and wind would give is their baseline."""
    profiles = profiles_kw(inputs)
    codes = [row[0] for row in cast.RENEWABLES]
    for resource in Resource.objects.filter(code__in=codes).order_by("code"):
        schedule_declare(
            resource=resource,
            delivery_on=delivery_on,
            schedule_kwh=_exact(profiles[resource.code] * INTERVAL_H, 3),
        )


def _exact(values: Iterable[float], places: int) -> list[Decimal]:
    return [round(Decimal(repr(float(value))), places) for value in values]


@transaction.atomic
def publish_step(*, claim: Claim) -> None:
    """Grid operators publish flows, transfer limits and needs; one need is revised."""
    delivery_on, inputs = delivery_of(claim), inputs_of(claim)
    auction = Auction.objects.get(code=auction_code(delivery_on))
    tso_of = {area.code: area.tso for area in Area.objects.select_related("tso")}
    _publish_flows(auction.id, inputs, tso_of)
    for row in inputs.grid["transfers"]:
        # A published limit holds in both directions; the grid file lists both.
        if row["from_area"] < row["to_area"]:
            transfer_limit_publish(
                auction_id=auction.id,
                organisation=_tso(tso_of, row["from_area"]),
                from_area=row["from_area"],
                to_area=row["to_area"],
                limit_kw=_exact([row["limit_kw"]] * 48, 1),
            )
    area_of = {bus["id"]: bus["area"] for bus in inputs.grid["network"]["buses"]}
    for link in inputs.grid["network"]["links"]:
        transfer_limit_publish(
            auction_id=auction.id,
            organisation=_tso(tso_of, area_of[link["from"]]),
            from_area=area_of[link["from"]],
            to_area=area_of[link["to"]],
            limit_kw=_exact([link["limit_kw"]] * 48, 1),
            link_code=link["id"],
        )
    _publish_envelopes(auction.id, inputs)
    needs = [*_local_needs(inputs), *_balance_needs(inputs), *_capacity_needs()]
    for area_code, details in needs:
        need_publish(auction_id=auction.id, organisation=_tso(tso_of, area_code), details=details)
    # The first forecast was a little too high: the operator revises its first need.
    if needs:
        area_code, details = needs[0]
        revised = NeedDetails(**{**details.__dict__, "quantity_kw": _eased(details.quantity_kw)})
        need_publish(auction_id=auction.id, organisation=_tso(tso_of, area_code), details=revised)
    job_finish(claim=claim)


def _eased(quantity_kw: Sequence[Decimal]) -> list[Decimal]:
    return [max(value - 500, Decimal(0)) for value in quantity_kw]


def _tso(tso_of: dict[str, Organisation | None], area_code: str) -> Organisation:
    tso = tso_of[area_code]
    if tso is None:
        raise LookupError(f"area {area_code} has no grid operator in the demo")
    return tso


def _publish_flows(
    auction_id: UUID, inputs: DayInputs, tso_of: dict[str, Organisation | None]
) -> None:
    flows: dict[str, dict[str, list[Decimal]]] = {}
    for element in inputs.grid["elements"]:
        tso = _tso(tso_of, element["area"])
        flow_kw = _exact(inputs.base_flow_kw[element["id"]], 1)
        flows.setdefault(tso.code, {})[element["id"]] = flow_kw
    for code, base_flow_kw_of in flows.items():
        base_flows_publish(
            auction_id=auction_id,
            organisation=Organisation.objects.get(code=code),
            base_flow_kw_of=base_flow_kw_of,
        )


def _local_needs(inputs: DayInputs) -> Iterable[tuple[str, NeedDetails]]:
    area_of = {element["id"]: element["area"] for element in inputs.grid["elements"]}
    for row in inputs.needs.local:
        yield (
            area_of[row["element"]],
            NeedDetails(
                code=row["id"].lower(),
                kind=NeedKind.LOCAL,
                direction="UP",
                congestion_point=row["element"],
                flow_sign=int(row["sign"]),
                quantity_kw=_exact(row["need_kw"], 1),
                cap_jpy_per_kwh=_exact(row["cap_jpy_per_kwh"], 2),
            ),
        )


def _balance_needs(inputs: DayInputs) -> Iterable[tuple[str, NeedDetails]]:
    for row in inputs.needs.balance:
        yield (
            row["area"],
            NeedDetails(
                code=row["id"].lower(),
                kind=NeedKind.BALANCE,
                direction=row["direction"],
                area_code=row["area"],
                quantity_kw=_exact(row["need_kw"], 1),
                cap_jpy_per_kwh=_exact(row["cap_jpy_per_kwh"], 2),
            ),
        )


def _capacity_needs() -> Iterable[tuple[str, NeedDetails]]:
    for area, product, quantity_kw, cap in cast.CAPACITY_NEEDS:
        evening = range(EVENING[0], EVENING[1] + 1)
        yield (
            area,
            NeedDetails(
                code=f"capacity-{area}",
                kind=NeedKind.CAPACITY,
                direction="UP",
                area_code=area,
                product=product,
                quantity_kw=[Decimal(quantity_kw if t in evening else 0) for t in range(48)],
                cap_jpy_per_kw_30min=[Decimal(cap)] * 48,
            ),
        )


def _publish_envelopes(auction_id: UUID, inputs: DayInputs) -> None:
    """Publish the pattern of each flexible connection, with the schedule that flows contain."""
    for code, room_kw in cast.ENVELOPES.items():
        site = Site.objects.select_related("area__tso").get(code=code)
        load_kw = inputs.shape.site_load_kw[code]
        envelope_publish(
            auction_id=auction_id,
            organisation=_tso({site.area_id: site.area.tso}, site.area_id),
            site_code=code,
            kind=EnvelopeKind.FIXED,
            max_import_kw=[Decimal(int(load_kw.max()) + room_kw)] * 48,
            scheduled_import_kw=_exact(load_kw, 1),
        )


@transaction.atomic
def bid_step(*, claim: Claim) -> None:
    """Operators submit their baskets; one bid is replaced, one withdrawn."""
    delivery_on, inputs = delivery_of(claim), inputs_of(claim)
    auction = Auction.objects.get(code=auction_code(delivery_on))
    bids = bids_by_operator(peak_kw_of=peak_kw_of(inputs), available_ratio=available_ratio(inputs))
    tail = f"-{delivery_on:%m%d}" if claim.payload.get("is_varied") else ""
    organisations = {row.code: row for row in Organisation.objects.filter(code__in=bids)}
    for code, basket in bids.items():
        for bid in basket:
            _name_of_day(bid, tail)
        bids_submit(auction_id=auction.id, organisation=organisations[code], bids=basket)
    _change_of_mind(auction.id, organisations["inzai"], bids["inzai"], tail)
    job_finish(claim=claim)


def _name_of_day(bid: dict[str, Any], tail: str) -> None:
    """Let a bid's name, and the name of the bid it hangs on, be its day's own."""
    for field in ("client_bid_id", "parent"):
        if field in bid:
            bid[field] += tail


def _change_of_mind(
    auction_id: UUID, inzai: Organisation, basket: list[dict[str, Any]], tail: str
) -> None:
    deferral = next(bid for bid in basket if bid["client_bid_id"] == f"inzai-dc-deferral{tail}")
    for curve in deferral["curves"]:
        for step in curve["steps"]:
            step["ask_jpy_per_kwh"] = str(Decimal(step["ask_jpy_per_kwh"]) - 1)
    bids_submit(auction_id=auction_id, organisation=inzai, bids=[deferral])
    bid_withdraw(auction_id=auction_id, organisation=inzai, client_bid_id=f"inzai-dc-stop{tail}")


@transaction.atomic
def final_step(*, claim: Claim) -> None:
    """Let the grid operators confirm the day's values (確定); its delivery is verified on them."""
    no_time_limits()
    delivery_on = delivery_of(claim)
    auction = Auction.objects.get(code=auction_code(delivery_on))
    starts_at = interval_starts_at(delivery_on)
    latest = (
        IntervalReading.objects.filter(start_at__in=starts_at, stage=Stage.PRELIMINARY)
        .order_by("start_at", "meter_id", "-revision")
        .distinct("start_at", "meter_id")
        .values_list("meter__point_number", "start_at", "energy_kwh", "quality")
    )
    rows = [ReadingRow(*row, stage=Stage.FINAL) for row in latest]
    readings_ingest(rows=rows, source="grid operator, final")
    delivery_verification_request(auction=auction, stage=VerificationStage.FINAL)
    job_finish(claim=claim)
