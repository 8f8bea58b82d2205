"""``manage.py readings``: what was known of a meter when, and what looks wrong in readings."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.clock.selectors import market_now
from accounts.core.csvtext import csv_bytes
from accounts.core.errors import Refused
from aggregator.core.readings import point_number_of
from aggregator.metering.calendar import day_start
from aggregator.metering.findings import readings_inspect
from aggregator.metering.models import Meter, Quality, Stage
from aggregator.metering.selectors import readings_latest

HEADER = ("start_at", "energy_kwh", "quality", "stage", "revision")


class Command(BaseCommand):
    help = "Print a meter's readings as they were known at a moment, or inspect all meters."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("known", "inspect"))
        parser.add_argument("from_on", type=date.fromisoformat, help="first day, YYYY-MM-DD")
        parser.add_argument("to_on", type=date.fromisoformat, help="day after the last")
        parser.add_argument("--as-of", type=datetime.fromisoformat, help="moment with its offset")
        parser.add_argument("--meter", help="供給地点特定番号, with or without hyphens")

    def handle(self, *_args: Any, **options: Any) -> None:
        as_of = options["as_of"] or market_now()
        if as_of.utcoffset() is None:
            raise CommandError("--as-of needs its offset, e.g. 2026-11-25T12:00:00+09:00")
        try:
            meter = _meter(options["meter"])
            if options["what"] == "inspect":
                self._inspect(options, as_of, meter)
            elif meter is None:
                raise CommandError("known needs --meter")
            else:
                self.stdout.write(_known(meter, options, as_of), ending="")
        except Refused as refused:
            raise CommandError(str(refused)) from refused

    def _inspect(self, options: dict[str, Any], as_of: datetime, meter: Meter | None) -> None:
        found = readings_inspect(
            from_on=options["from_on"],
            to_on=options["to_on"],
            as_of=as_of,
            meter_ids=None if meter is None else [meter.pk],
        )
        for row in found:
            self.stdout.write(
                f"{row.fault:12} {row.meter.point_number} {row.start_at.isoformat()}"
                f"..{row.end_at.isoformat()} {row.evidence}"
            )
        self.stdout.write(f"{len(found)} findings")


def _meter(text: str | None) -> Meter | None:
    if text is None:
        return None
    number = point_number_of(text).digits
    meter = Meter.objects.filter(point_number=number).first()
    if meter is None:
        raise Refused(field="meter", value=text, rule="a registered meter")
    return meter


def _known(meter: Meter, options: dict[str, Any], as_of: datetime) -> str:
    found = readings_latest(
        meter_ids=[meter.pk],
        start_at=day_start(options["from_on"]),
        end_at=day_start(options["to_on"]),
        as_of=as_of,
    )
    rows = (
        (
            row.start_at.isoformat(),
            "" if row.energy_kwh is None else row.energy_kwh,
            Quality(row.quality).name,
            Stage(row.stage).name,
            row.revision,
        )
        for row in found
    )
    return csv_bytes(rows, header=HEADER).decode("utf-8-sig")
