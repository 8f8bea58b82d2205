"""`manage.py bench NAME`: figures as ratios taken in one run."""

import importlib
import json
import os
import resource
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregator.ops.bench import NAMES
from aggregator.ops.stack import Stack


class Command(BaseCommand):
    help = "Measure one part of the platform against its floor, in one run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=sorted(NAMES))
        parser.add_argument(
            "--size", help="rows or bids; a, b or c for clearing; each bench has its own default"
        )
        parser.add_argument("--seed", type=int, default=0, help="clearing --size: of the book")
        parser.add_argument(
            "--peers",
            action="store_true",
            help="clearing: PyPSA and linopy on the same problem; api: FlexMeasures' own call",
        )
        parser.add_argument(
            "--growth", action="store_true", help="clearing: CPU against offers on one network"
        )
        parser.add_argument(
            "--path",
            choices=("engine", "cvxpy"),
            default="engine",
            help="clearing --size: the engine's own road, or the formulation in CVXPY alone",
        )
        parser.add_argument("--sites", type=int, default=1_000, help="portal: how many sites")
        parser.add_argument("--bids", type=int, default=1_000_000, help="portal: how many bids")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the bench on a database of its own and print what it found."""
        name = options["name"]
        if options["peers"] and name != "api":
            figures = self._peers(name)
        elif options["growth"]:
            figures = self._growth(name, options["seed"])
        elif name == "clearing" and options["size"] is not None:
            figures = self._sized(options["size"], options["seed"], options["path"])
        elif name == "portal":
            figures = self._portal(options["sites"], options["bids"])
        else:
            figures = self._measured(name, options["size"], is_with_peers=options["peers"])
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures.setdefault("cpu_s", round(usage.ru_utime + usage.ru_stime, 2))
        figures["peak_mib"] = round(usage.ru_maxrss / 1024)
        if options["json"]:
            self.stdout.write(json.dumps({"bench": name, **figures}))
            return
        self.stdout.write(f"{name}: {NAMES[name]}")
        for key, value in figures.items():
            self.stdout.write(f"  {key:<14} {value}")

    def _peers(self, name: str) -> dict[str, Any]:
        """Compare with other people's tools, which needs no server."""
        if name != "clearing":
            raise CommandError("--peers belongs to bench clearing and bench api")
        return importlib.import_module("aggregator.ops.bench.peers.compare").run()  # type: ignore[no-any-return]

    def _growth(self, name: str, seed: int) -> dict[str, Any]:
        """Measure how CPU grows with the book, which needs no server."""
        if name != "clearing":
            raise CommandError("--growth belongs to bench clearing")
        return dict(importlib.import_module("aggregator.ops.bench.growth").run(seed=seed))

    def _sized(self, size: str, seed: int, path: str) -> dict[str, Any]:
        """Measure a generated book, which needs no server."""
        instances = importlib.import_module("aggregator.ops.bench.instances")
        if size not in instances.SIZES:
            raise CommandError(f"--size must be one of {', '.join(instances.SIZES)}, not {size}")
        module = "sizes" if path == "engine" else "formulation"
        bench = importlib.import_module(f"aggregator.ops.bench.{module}")
        return dict(bench.run(size, seed=seed))

    def _portal(self, sites: int, bids: int) -> dict[str, Any]:
        """Open every page of the portals on the books of a large market."""
        with Stack(instance=os.environ["WATTBIT_INSTANCE"]) as stack:
            stack.start_servers()
            stack.migrate(fresh=True)
            bench = importlib.import_module("aggregator.ops.bench.portal")
            return dict(bench.run(sites=sites, bids=bids))

    def _measured(self, name: str, size: str | None, *, is_with_peers: bool) -> dict[str, Any]:
        """Run a bench on a database of its own."""
        with Stack(instance=os.environ["WATTBIT_INSTANCE"]) as stack:
            stack.start_servers()
            stack.migrate(fresh=True)
            bench = importlib.import_module(f"aggregator.ops.bench.{name}")
            if name == "api":
                return dict(bench.run(stack, is_with_peers=is_with_peers))
            if name in ("live", "openadr", "uftp"):
                return dict(bench.run(stack))
            sized = {} if size is None else {"size": int(size) if size.isdigit() else size}
            return dict(bench.run(**sized))
