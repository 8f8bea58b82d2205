"""`manage.py ledger_export`: the book as a journal that hledger reads and checks."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from accounts.core.numbers import zoned
from accounts.ledger.journal import journal_lines
from aggregator.ops.stack import servers_for_command
from aggregator.ops.whole_files import write_whole


class Command(BaseCommand):
    help = (
        "Write what the ledger holds as an hledger journal; check it with hledger check --strict."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--at", help="up to this moment, e.g. 2026-09-01T00:00+09:00")
        parser.add_argument("--out", type=Path, help="write here instead of standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the journal whole."""
        at = _moment(options["at"])
        with servers_for_command():
            text = "".join(f"{line}\n" for line in journal_lines(at))
        if options["out"] is None:
            self.stdout.write(text, ending="")
            return
        try:
            write_whole(options["out"], text.encode())
        except Refused as refused:
            raise CommandError(str(refused)) from refused


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return zoned(datetime.fromisoformat(text), field="--at")
    except (ValueError, Refused) as error:
        raise CommandError(f"--at: {text!r} — a moment like 2026-09-01T00:00+09:00") from error
