"""`manage.py trace TRANSFER`: from a yen back to the need that caused it."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from aggregator.ops.stack import servers_for_command
from aggregator.settlement.selectors import trace_transfer


class Command(BaseCommand):
    help = "Walk back from a transfer to lines, delivery, award, bid and need."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("transfer", help="id of a transfer")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one line per step."""
        try:
            transfer_id = UUID(options["transfer"])
        except ValueError as error:
            raise CommandError(
                f"transfer: {options['transfer']!r} — the id of a transfer"
            ) from error
        with servers_for_command():
            try:
                steps = trace_transfer(transfer_id)
            except Refused as refused:
                raise CommandError(str(refused)) from refused
            for step in steps:
                self.stdout.write(f"{step.noun:<12} {step.id:<38} {step.text}")
