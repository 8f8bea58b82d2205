"""Tell sites what the platform wants: every event of its own is put here, and nowhere else.

An event is made, or changed in place, in the transaction of its cause, under the cause's key: told
twice it is the same event. A site sees by its modification time that it says something new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.db.models.expressions import RawSQL

from accounts.clock.selectors import market_now
from accounts.fields import HALF_HOURS_COUNT
from accounts.jobs.failpoints import failpoint
from accounts.jobs.services import Claim, job_finish
from aggregator.dispatch.connections import spans_of
from aggregator.dispatch.models import (
    ConnectionState,
    DispatchInstruction,
    FlexibleConnection,
    InstructionState,
)
from aggregator.dispatch.services import instructions_send_due, sends_next_at, sweep_renew
from aggregator.dispatch.trials import trial_called_off, trial_send
from aggregator.dispatch.units import unit_orders_of
from aggregator.protocols.openadr3 import bodies, mapping
from aggregator.protocols.openadr3.intake import CONNECTION_KEY, TRIAL_KEY
from aggregator.protocols.openadr3.models import Event, ObjectKind, Operation, Program
from aggregator.protocols.openadr3.notices import Told, telling
from market.clearing.models import ClearingPrice, PriceKind, RunState
from market.core.timegrid import INTERVAL
from market.registry.models import Resource
from market.trading.models import Auction, Envelope

DAY: Final = timedelta(days=1)
_NOW = RawSQL("market_now()", ())


def program_ensure(*, name: str) -> Program:
    """Return the platform's program of that name, made on first use."""
    program, _ = Program.objects.get_or_create(
        name=name,
        removed_at=None,
        defaults={"body": mapping.program_body(name), "is_house": True},
    )
    return program


def event_put(
    *,
    key: str,
    program: Program,
    body: dict[str, Any],
    targets: Sequence[str],
    starts_at: datetime,
    ends_at: datetime | None,
    instruction: DispatchInstruction | None = None,
) -> Event:
    """Make the event of a cause, or let it say what is so now; the same words change nothing."""
    columns = {
        "program": program,
        "instruction": instruction,
        "targets": list(targets),
        "body": body,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    event = Event.objects.select_for_update(of=("self",)).filter(key=key).first()
    if event is None:
        made = Event(key=key, **columns)
        with telling(Told(), ObjectKind.EVENT, Operation.CREATE, made.id, program_id=program.id):
            event, _ = Event.objects.get_or_create(key=key, defaults={"id": made.id, **columns})
        return event
    if (event.body, event.instruction_id) != (
        body,
        None if instruction is None else instruction.id,
    ):
        _event_change(event, columns)
        event.refresh_from_db()
    return event


def _event_change(event: Event, columns: dict[str, Any]) -> None:
    """Change an event and tell its subscribers."""
    with telling(Told(), ObjectKind.EVENT, Operation.UPDATE, event.id, program_id=event.program_id):
        Event.objects.filter(id=event.id).update(**columns, modified_at=_NOW)


@transaction.atomic
def instructions_send(*, claim: Claim) -> int:
    """Send what is due of an auction: state SENT and event in one transaction.

    At least once: were the transaction lost, the instructions would still be due; were the
    job run twice, the event is already there under the instruction's id.

    Returns
    -------
    int
        How many instructions went out.
    """
    auction = Auction.objects.get(id=UUID(claim.payload["auction"]))
    metering_event_publish(auction=auction)
    limits_publish(auction=auction)
    prices_publish(auction=auction)
    sent = instructions_send_due(auction_id=auction.id)
    prefetch_related_objects(sent, "intervals")
    program = program_ensure(name=mapping.DISPATCH_PROGRAM) if sent else None
    for instruction in sent:
        if program is not None:
            event_publish(instruction=instruction, program=program)
    if sent:
        failpoint("dispatch.sent")
    sweep_renew(claim=claim, due_at=sends_next_at(auction_id=auction.id))
    return len(sent)


def event_publish(*, instruction: DispatchInstruction, program: Program) -> Event:
    """Make the event of an instruction, inside the transaction that marks it SENT.

    A changed version is told on the event of the one it replaces, with what of that still holds:
    the site sees one order that says something new, and answers it anew.
    """
    chain = _chain(instruction)
    first = chain[0]
    target = instruction.resource.code
    units = unit_orders_of(instruction_ids=[row.id for row in chain])
    ordered = []
    for row, later in zip(chain, [*chain[1:], None], strict=True):
        ordered += [
            mapping.Ordered(
                start_at=interval.start_at,
                quantity_kw=interval.quantity_kw,
                units=units.get((row.id, interval.t), ()),
            )
            for interval in row.intervals.all()
            if later is None
            or later.takes_over_at is None
            or interval.start_at < later.takes_over_at
        ]
    body = mapping.dispatch_event(
        program_id=str(program.id),
        name=f"{target}-{first.starts_at:%Y%m%dT%H%MZ}-v{first.version}",
        target=target,
        direction=instruction.direction,
        ordered=ordered,
        respond_by_at=instruction.respond_by_at,
        version=instruction.version,
    )
    return event_put(
        key=f"instruction:{first.id}",
        program=program,
        body=body,
        targets=[target],
        starts_at=first.starts_at,
        ends_at=instruction.ends_at,
        instruction=instruction,
    )


def _chain(instruction: DispatchInstruction) -> list[DispatchInstruction]:
    """Return the versions that are told on one event, first to last."""
    chain = [instruction]
    while chain[0].takes_over_at is not None and chain[0].replaces is not None:
        chain.insert(0, chain[0].replaces)
    return chain


@transaction.atomic
def instruction_remind(*, claim: Claim) -> bool:
    """Tell a silent site once more: its event is said to be new, so that it is looked at again.

    Returns
    -------
    bool
        Whether it was still waiting for an answer.
    """
    event = Event.objects.filter(
        instruction_id=UUID(claim.key), instruction__state=InstructionState.SENT
    ).first()
    if event is not None:
        _event_change(event, {})
    job_finish(claim=claim)
    return event is not None


def metering_event_publish(*, auction: Auction) -> Event:
    """Make the event that asks for the readings of the auction's delivery day, once."""
    starts_at, ends_at = auction.delivery_start, auction.delivery_start + DAY
    name = f"metering-{auction.delivery_on:%Y-%m-%d}"
    program = program_ensure(name=mapping.METERING_PROGRAM)
    return event_put(
        key=name,
        program=program,
        body=mapping.metering_event(
            program_id=str(program.id), name=name, starts_at=starts_at, ends_at=ends_at
        ),
        targets=[],
        starts_at=starts_at,
        ends_at=ends_at,
    )


def limits_publish(*, auction: Auction) -> int:
    """Tell flexible connections what they may draw on the delivery day; returns how many are told.

    The latest revision of each site's envelope counts; told again it changes nothing.
    """
    latest = (
        Envelope.objects.filter(auction=auction)
        .order_by("site_id", "-revision")
        .distinct("site_id")
        .select_related("site")
    )
    told = 0
    for row in latest:
        targets = _targets_of(row.site_id)
        if not targets:
            continue
        program = program_ensure(name=mapping.ENVELOPE_PROGRAM)
        starts_at, ends_at = auction.delivery_start, auction.delivery_start + DAY
        event_put(
            key=f"envelope:{auction.id}:{row.site_id}"[:80],
            program=program,
            body=bodies.limit_event(
                program_id=str(program.id),
                name=f"envelope-{row.site.code}-{auction.delivery_on:%Y-%m-%d}",
                targets=targets,
                spans=[
                    (starts_at + t * INTERVAL, starts_at + (t + 1) * INTERVAL, kw)
                    for t, kw in enumerate(row.max_import_kw)
                ],
            ),
            targets=targets,
            starts_at=starts_at,
            ends_at=ends_at,
        )
        told += 1
    return told


def prices_publish(*, auction: Auction) -> int:
    """Tell each site the published price of its place, half hour by half hour; returns how many.

    It holds the area's price and what congestion adds to it. Prices of areas and needs are public
    elsewhere: told to everybody here, each poll would carry them all.
    """
    starts_at, ends_at = auction.delivery_start, auction.delivery_start + DAY
    rows = ClearingPrice.objects.filter(
        run__auction=auction, run__state=RunState.PUBLISHED, kind=PriceKind.PLACE
    )
    series: dict[tuple[UUID, str], list[tuple[datetime, Decimal]]] = {}
    for site_id, code, start_at, price in rows.order_by("site_id", "t").values_list(
        "site_id", "site__code", "start_at", "price_jpy_per_kwh"
    ):
        series.setdefault((site_id, code), []).append((start_at, price))
    told = 0
    for (site_id, code), prices in series.items():
        targets = _targets_of(site_id)
        if len(prices) != HALF_HOURS_COUNT or not targets:
            continue
        program = program_ensure(name=mapping.PRICE_PROGRAM)
        event_put(
            key=f"price:{auction.id}:{site_id}"[:80],
            program=program,
            body=bodies.price_event(
                program_id=str(program.id),
                name=f"price-{code}-{auction.delivery_on:%Y-%m-%d}",
                targets=targets,
                prices=prices,
            ),
            targets=targets,
            starts_at=starts_at,
            ends_at=ends_at,
        )
        told += 1
    return told


def _targets_of(site_id: UUID) -> list[str]:
    """Return what is granted to the clients of a site: the codes of its resources."""
    rows = Resource.objects.filter(site_id=site_id, retired_at__isnull=True)
    return list(rows.order_by("code").values_list("code", flat=True))


@transaction.atomic
def connection_publish(*, claim: Claim) -> bool:
    """Tell a site what its conditional connection may draw now; returns whether it can be told.

    One that has ended has nothing left to say: its event is over.
    """
    row = FlexibleConnection.objects.select_related("site").get(
        id=UUID(claim.payload["connection"])
    )
    targets = _targets_of(row.site_id)
    key = f"{CONNECTION_KEY}{row.id}"
    now = market_now()
    if row.state == ConnectionState.ENDED:
        event = Event.objects.filter(key=key).first()
        if event is not None:
            _event_change(event, {"ends_at": max(now, event.starts_at or now)})
    elif targets:
        program = program_ensure(name=mapping.ENVELOPE_PROGRAM)
        event_put(
            key=key,
            program=program,
            body=bodies.limit_event(
                program_id=str(program.id),
                name=f"connection-{row.site.code}",
                targets=targets,
                spans=[
                    (span.starts_at, span.ends_at, span.limit_kw)
                    for span in spans_of(row, from_at=now)
                ],
                failsafe=bodies.Failsafe(
                    firm_kw=row.firm_kw, failsafe_s=row.failsafe_s, heartbeat_s=row.heartbeat_s
                ),
            ),
            targets=targets,
            starts_at=row.created_at,
            ends_at=None,
        )
    job_finish(claim=claim)
    return bool(targets)


@transaction.atomic
def trial_publish(*, claim: Claim) -> bool:
    """Send a test dispatch: state SENT and event in one transaction; returns whether it went.

    One that was called off after it was told is said to ask for nothing any more.
    """
    trial_id = UUID(claim.payload.get("off", claim.key))
    is_off = "off" in claim.payload
    trial = trial_called_off(trial_id) if is_off else trial_send(trial_id)
    if trial is not None:
        program = program_ensure(name=mapping.DISPATCH_PROGRAM)
        asked_kw = Decimal(0) if is_off else trial.quantity_kw
        ordered = []
        at = trial.starts_at
        while at < trial.ends_at:
            ordered.append(mapping.Ordered(start_at=at, quantity_kw=asked_kw))
            at += INTERVAL
        code = trial.resource.code
        event_put(
            key=f"{TRIAL_KEY}{trial.id}",
            program=program,
            body=mapping.dispatch_event(
                program_id=str(program.id),
                name=f"test-{code}-{trial.starts_at:%Y%m%dT%H%MZ}",
                target=code,
                direction=trial.direction,
                ordered=ordered,
                respond_by_at=trial.starts_at,
            ),
            targets=[code],
            starts_at=trial.starts_at,
            ends_at=trial.ends_at,
        )
    job_finish(claim=claim)
    return trial is not None
