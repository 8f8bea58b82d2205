"""`manage.py replay RUN`: clear a stored snapshot again and compare byte for byte."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregator.ops.demo.run import run_replays
from aggregator.ops.stack import servers_for_command
from market.clearing.engine import SolverEngine
from market.clearing.models import ClearingRun, RunState


class Command(BaseCommand):
    help = "Clear a published run's stored snapshot again; exit 0 only if every byte is the same."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", help="id of the run, or code of its auction")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replay in a fresh solver process."""
        with servers_for_command(), SolverEngine() as engine:
            run = self._run(options["run"])
            if run_replays(run, engine):
                self.stdout.write(f"identical  {run}  {run.result_sha256}")
                return
            raise CommandError(f"DIFFERENT  {run}: the snapshot does not clear to the stored bytes")

    def _run(self, name: str) -> ClearingRun:
        runs = ClearingRun.objects.select_related("snapshot").filter(state=RunState.PUBLISHED)
        try:
            run = runs.filter(id=UUID(name)).first()
        except ValueError:
            run = runs.filter(auction__code=name).first()
        if run is None:
            raise CommandError(f"run: {name!r} — the id of a published run, or its auction's code")
        return run
