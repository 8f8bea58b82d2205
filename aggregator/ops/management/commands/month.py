"""`manage.py month 2026-08`: compute a closed month again from raw readings, and compare."""

import sys
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregator.ops.stack import servers_for_command
from aggregator.settlement.models import PeriodState, SettlementPeriod
from aggregator.settlement.recomputing import period_recompute


class Command(BaseCommand):
    help = "Compute a closed period from raw readings; exit 0 only if it is what was posted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("month", help="such as 2026-08, or a day of the period: 2026-08-05")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Compute, compare, and print what differs."""
        text = options["month"]
        try:
            on = date.fromisoformat(text if len(text) > len("2026-08") else f"{text}-01")
        except ValueError as error:
            raise CommandError(f"month: {text!r} — a month like 2026-08") from error
        with servers_for_command():
            period = SettlementPeriod.objects.filter(
                start_on__lte=on, end_on__gt=on, state=PeriodState.CLOSED
            ).first()
            if period is None:
                raise CommandError(f"month: {text!r} — a period that was closed")
            found = period_recompute(period=period, progress=self._show)
        self.stdout.write(
            f"computed   {period}: {found.auctions_count} auctions, {found.half_hours_count:,} "
            f"half hours, {found.lines_count:,} lines, {found.items_count:,} items"
        )
        for difference in found.differences:
            self.stdout.write(f"DIFFERENT  {difference}")
        if found.differences:
            raise CommandError(f"{len(found.differences)} differences")
        self.stdout.write("identical  to what was posted")

    def _show(self, done: int, count: int) -> None:
        """Draw the progress where somebody watches."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done}/{count} auctions" + ("\n" if done == count else ""))
            sys.stderr.flush()
