"""``manage.py import_spot FILE…``: JEPX day-ahead prices into the database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from aggregator.forecasting.services import spot_prices_import
from aggregator.ops.importing import add_file_arguments, import_each


class Command(BaseCommand):
    help = "Import JEPX spot summaries (CP932 or UTF-8, plain or gzip); each file whole or not."

    def add_arguments(self, parser: CommandParser) -> None:
        add_file_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        import_each(self, options, spot_prices_import)
