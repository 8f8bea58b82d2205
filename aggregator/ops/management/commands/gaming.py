"""``manage.py gaming FROM TO``: look delivery days over for gaming, and print what is found."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from aggregator.metering.gaming import gaming_report
from aggregator.metering.models import GamingFinding


class Command(BaseCommand):
    help = "Test the deliveries of the days [FROM, TO) for gaming; findings are kept and printed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("from_on", type=date.fromisoformat, help="first day, YYYY-MM-DD")
        parser.add_argument("to_on", type=date.fromisoformat, help="day after the last")
        parser.add_argument("--json", action="store_true", help="one object with all evidence")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            found = gaming_report(from_on=options["from_on"], to_on=options["to_on"])
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        if options["json"]:
            self.stdout.write(json.dumps([_written(row) for row in found], ensure_ascii=False))
            return
        for row in found:
            self.stdout.write(
                f"{row.indicator:20} {row.resource.code:24} {row.from_on}..{row.to_on}"
                f" {row.statistic_ratio} > {row.threshold_ratio} {row.state}"
            )
        self.stdout.write(f"{len(found)} findings")


def _written(row: GamingFinding) -> dict[str, Any]:
    return {
        "id": row.pk,
        "indicator": row.indicator,
        "resource": row.resource.code,
        "from_on": row.from_on.isoformat(),
        "to_on": row.to_on.isoformat(),
        "statistic_ratio": str(row.statistic_ratio),
        "threshold_ratio": str(row.threshold_ratio),
        "state": row.state,
        "evidence": row.evidence,
    }
