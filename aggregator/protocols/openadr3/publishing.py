"""Tell sites what the platform wants: every event of its own is put here, and nowhere else.

An event is made, or changed in place, in the transaction of its cause, under the cause's key: told
twice it is the same event. A site sees by its modification time that it says something new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.db.models.expressions import RawSQL

from accounts.jobs.services import Claim, job_finish
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.services import instructions_send_due, sends_next_at, sweep_renew
from aggregator.dispatch.units import unit_orders_of
from aggregator.protocols.openadr3 import mapping
from aggregator.protocols.openadr3.models import Event, Program
from market.trading.models import Auction

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
    ends_at: datetime,
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
    event, is_new = Event.objects.select_for_update().get_or_create(key=key, defaults=columns)
    if not is_new and (event.body, event.instruction_id) != (
        body,
        None if instruction is None else instruction.id,
    ):
        Event.objects.filter(id=event.id).update(**columns, modified_at=_NOW)
        event.refresh_from_db()
    return event


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
    sent = instructions_send_due(auction_id=auction.id)
    prefetch_related_objects(sent, "intervals")
    program = program_ensure(name=mapping.DISPATCH_PROGRAM) if sent else None
    for instruction in sent:
        if program is not None:
            event_publish(instruction=instruction, program=program)
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
    touched = Event.objects.filter(
        instruction_id=UUID(claim.key), instruction__state=InstructionState.SENT
    ).update(modified_at=_NOW)
    job_finish(claim=claim)
    return bool(touched)


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
