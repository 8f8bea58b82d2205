"""Do what a report on an event of the platform says: answer, meter, tell, be alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accounts.parties.models import ApiClient
from aggregator.dispatch.connections import heartbeat_note
from aggregator.dispatch.models import ConnectionState, FlexibleConnection, Trial
from aggregator.dispatch.services import instruction_acknowledge, instruction_opt_out
from aggregator.dispatch.site_reports import Word, site_report_note
from aggregator.dispatch.trials import trial_answer
from aggregator.metering.fine import FineRow, fine_readings_ingest
from aggregator.metering.models import Quality
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.protocols.openadr3 import mapping, wire, words
from aggregator.protocols.openadr3.errors import InvalidReport
from aggregator.protocols.openadr3.models import Event
from market.registry.models import Resource

SOURCE_LENGTH_MAX: Final = 40
HALF_HOUR_MIN: Final = 30
# Beginnings of the keys of the platform's own events.
TRIAL_KEY: Final = "trial:"
CONNECTION_KEY: Final = "connection:"


@dataclass(frozen=True, kw_only=True)
class Said:
    """Everything a report says, read before any of it is done."""

    answers: Sequence[mapping.Answer]
    readings: Sequence[mapping.Reading]
    words: Sequence[words.Word]
    alive: Sequence[str]


def said_in(request: wire.ReportRequest) -> Said:
    """Read a report.

    Raises
    ------
    Malformed
        If a part of it cannot be meant.
    """
    return Said(
        answers=mapping.answers_of(request),
        readings=mapping.readings_of(request),
        words=words.words_of(request),
        alive=words.heartbeats_of(request),
    )


def report_act(
    *, client: ApiClient, event: Event, said: Said, units: Mapping[str, Resource]
) -> None:
    """Do what a report says, inside the transaction that stores it: all of it or nothing.

    Parameters
    ----------
    units
        The registered resource behind each name in the report.

    Raises
    ------
    InvalidReport
        If it answers an event that asks for no answer, or meters what has no meter.
    InstructionClosed
        If the order can no longer be answered so.
    """
    for answer in said.answers:
        _answer_pass_on(client, event, answer, units[answer.resource_name])
    for name in said.alive:
        _heartbeat_pass_on(event, units[name])
    if said.words:
        site_report_note(
            words=[
                Word(
                    resource=units[word.resource_name],
                    kind=word.kind,
                    start_at=word.start_at,
                    power_kw=word.power_kw,
                )
                for word in said.words
            ]
        )
    if said.readings:
        _readings_pass_on(client, said.readings, units)


def source_of(client: ApiClient) -> str:
    """Return what stands beside a reading as where it came from."""
    return f"openadr3:{client.client_id}"[:SOURCE_LENGTH_MAX]


def _answer_pass_on(
    client: ApiClient, event: Event, answer: mapping.Answer, unit: Resource
) -> None:
    key = event.key or ""
    if key.startswith(TRIAL_KEY):
        trial = Trial.objects.filter(id=key.removeprefix(TRIAL_KEY), resource=unit).first()
        if trial is None:
            raise InvalidReport(
                field="eventID", value=str(event.id), rule=f"a test of {answer.resource_name}"
            )
        trial_answer(trial_id=trial.id, accepted=answer.accepted, reason=answer.reason)
        return
    instruction = event.instruction
    if instruction is None or instruction.resource_id != unit.id:
        raise InvalidReport(
            field="eventID", value=str(event.id), rule=f"an order to {answer.resource_name}"
        )
    if answer.accepted:
        instruction_acknowledge(instruction_id=instruction.id, organisation=client.organisation)
    else:
        instruction_opt_out(
            instruction_id=instruction.id,
            organisation=client.organisation,
            reason=answer.reason or "declined by the site",
        )


def _heartbeat_pass_on(event: Event, unit: Resource) -> None:
    key = event.key or ""
    row = None
    if key.startswith(CONNECTION_KEY):
        row = (
            FlexibleConnection.objects.filter(
                id=key.removeprefix(CONNECTION_KEY), site_id=unit.site_id
            )
            .exclude(state=ConnectionState.ENDED)
            .first()
        )
    if row is None:
        raise InvalidReport(
            field="eventID", value=str(event.id), rule=f"the connection of {unit.code}"
        )
    heartbeat_note(connection_id=row.id)


def _readings_pass_on(
    client: ApiClient, readings: Sequence[mapping.Reading], units: Mapping[str, Resource]
) -> None:
    rows: list[ReadingRow] = []
    fine: list[FineRow] = []
    for i, reading in enumerate(readings):
        meter = getattr(units[reading.resource_name], "meter", None)
        if meter is None:
            raise InvalidReport(
                field=f"readings[{i}]", value=reading.resource_name, rule="a metered resource"
            )
        quality = Quality[reading.quality]
        energy_kwh = None if quality == Quality.MISSING else reading.energy_kwh
        if reading.interval_min == HALF_HOUR_MIN:
            rows.append(
                ReadingRow(
                    point_number=meter.point_number,
                    start_at=reading.start_at,
                    energy_kwh=energy_kwh,
                    quality=quality,
                )
            )
        else:
            fine.append(
                FineRow(
                    point_number=meter.point_number,
                    start_at=reading.start_at,
                    interval_min=reading.interval_min,
                    energy_kwh=energy_kwh,
                    quality=quality,
                )
            )
    source = source_of(client)
    if fine:
        fine_readings_ingest(rows=fine, source=source)
    if rows:
        readings_ingest(rows=rows, source=source)
