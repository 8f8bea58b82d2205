"""``manage.py verify RESULT.json``: check a result against its snapshot, without a solver."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from aggregator.ops.engine_files import result_verified
from aggregator.ops.engine_tables import UNREADABLE
from market.core.certificate import certificate_lines
from market.core.errors import ResultUnverified


class Command(BaseCommand):
    help = (
        "Check a result against its snapshot with NumPy alone: exit 0 if every figure is within"
        " its limit, 1 if one is not, 2 if a file can't be read. Needs no database."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("result", type=Path, metavar="RESULT.json")
        parser.add_argument(
            "--snapshot",
            type=Path,
            metavar="SNAPSHOT.json",
            help="its snapshot; else RESULT.snapshot.json, or the one of its hash in its directory",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print each figure, and fail loudly."""
        try:
            certificate = result_verified(options["result"], options["snapshot"])
        except ResultUnverified as found:
            raise CommandError(f"FAILED: {found}") from found
        except Refused as refusal:
            raise CommandError(
                f"{type(refusal).__name__}: {refusal}", returncode=UNREADABLE
            ) from refusal
        for line in certificate_lines(certificate):
            self.stdout.write(line)
        if not certificate.passed:
            raise CommandError(f"FAILED: {'; '.join(certificate.failures)}")
        self.stdout.write(f"verified: {len(certificate.checks)} figures within their limits")
