"""``manage.py import_area FILE…``: area supply and demand of the TSOs into the database."""

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from aggregator.forecasting.services import area_supply_demand_import
from aggregator.ops.importing import add_file_arguments, import_each


class Command(BaseCommand):
    help = "Import 30-minute area supply and demand (eria_jukyu_…); each file whole or not."

    def add_arguments(self, parser: CommandParser) -> None:
        add_file_arguments(parser)
        parser.add_argument("--area", help="area code 01 to 10, if the file name tells none")

    def handle(self, *_args: Any, **options: Any) -> None:
        import_each(self, options, partial(area_supply_demand_import, area_code=options["area"]))
