"""Verify the audit chain: ``python3 manage.py audit_verify [--checkpoint FILE]``."""

import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit.export import CheckpointsUnreadable, checkpoints_read
from accounts.audit.sealing import public_keys_trusted
from accounts.audit.verification import chain_verify


class Command(BaseCommand):
    help = "Redo the audit chain and name the first row that is not what was sealed."
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--checkpoint",
            type=Path,
            metavar="FILE",
            help="checkpoints kept outside, one JSON object a line "
            "(default: the file of AUDIT_CHECKPOINT_FILE, if it exists)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        path = options["checkpoint"]
        if path is None and settings.AUDIT_CHECKPOINT_FILE:
            kept = Path(settings.AUDIT_CHECKPOINT_FILE)
            path = kept if kept.exists() else None
        try:
            outside = checkpoints_read(path) if path else []
        except CheckpointsUnreadable as error:
            raise CommandError(str(error)) from error
        began = time.monotonic()
        report = chain_verify(trusted=public_keys_trusted(), outside=outside)
        print(
            f"{report.links_count} links, {report.checkpoints_count} checkpoints, "
            f"{report.outside_count} checkpoints outside, {report.unsealed_count} entries not "
            f"sealed yet, {time.monotonic() - began:.1f} s"
        )
        if report.fault is not None:
            print(f"{report.fault.kind}: {report.fault.row} {report.fault.told}")
            sys.exit(1)
        if report.outside_count:
            print("The audit chain holds.")
        else:
            print(
                "The audit chain holds within itself. No checkpoint kept outside was given: a tail "
                "cut off together with its checkpoints would not be seen (--checkpoint FILE)."
            )
