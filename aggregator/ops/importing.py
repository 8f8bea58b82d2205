"""What the import commands share: files in, one line per file out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from aggregator.forecasting.services import Imported
from aggregator.ops.stack import servers_for_command


def add_file_arguments(parser: CommandParser) -> None:
    """Add FILE… and --available-at."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--available-at",
        type=datetime.fromisoformat,
        help="since when the files were known, with zone; market time now if omitted",
    )


@servers_for_command()
def import_each(
    command: BaseCommand, options: Mapping[str, Any], service: Callable[..., Imported]
) -> None:
    """Import file by file; the first refusal stops, and the files before it stay imported.

    Raises
    ------
    CommandError
        A file can't be read or is refused.
    """
    for path in options["files"]:
        try:
            imported = service(
                content=path.read_bytes(), source=path.name, available_at=options["available_at"]
            )
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        command.stdout.write(
            f"{path.name}: {imported.read_count} values read, {imported.added_count} new,"
            f" areas {' '.join(imported.areas)},"
            f" {imported.start_at:%Y-%m-%dT%H:%MZ} to {imported.end_at:%Y-%m-%dT%H:%MZ}"
        )
