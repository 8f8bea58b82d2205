"""``manage.py import_grid FILE.m``: a MATPOWER case as a grid model."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from aggregator.ops.stack import servers_for_command
from market.registry.matpower import grid_model_import
from market.registry.models import SusceptanceConvention


class Command(BaseCommand):
    help = "Store a MATPOWER case (format 2) as the next version of a grid model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.m")
        parser.add_argument(
            "--convention",
            choices=SusceptanceConvention.values,
            default=SusceptanceConvention.REACTANCE,
            help="susceptance of a branch: reactance 1/x, series x/(r²+x²)",
        )
        parser.add_argument("--name", default="", help="name of the model; the file's if omitted")
        parser.add_argument(
            "--area", help="area code 01 to 10 of all buses; the file's area numbers if omitted"
        )

    @servers_for_command()
    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            grid_model = grid_model_import(
                path=options["file"],
                name=options["name"],
                convention=options["convention"],
                area_code=options["area"],
            )
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            f"{grid_model.name} version {grid_model.version}: {grid_model.buses.count()} buses,"
            f" {grid_model.branches.count()} branches, {grid_model.links.count()} links,"
            f" susceptance {grid_model.convention}, sha256 {grid_model.sha256}"
        )
