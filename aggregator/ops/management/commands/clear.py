"""``manage.py clear SNAPSHOT.json``: the engine as a command, from file to file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.errors import Refused
from aggregator.ops import engine_tables as tables
from aggregator.ops.whole_files import write_whole
from market.core.errors import SolverFailed
from market.core.matpower import CONVENTIONS, REACTANCE, case_from_matrices
from market.core.opf import dispatch
from market.registry.casefile import case_matrices


class Command(BaseCommand):
    help = (
        "Clear a snapshot, or solve the DC optimal power flow of a MATPOWER case. Exit 0 with a"
        " verified result, 2 if the input is refused, 3 if a solver failed. Needs no database."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("snapshot", type=Path, nargs="?", metavar="SNAPSHOT.json")
        parser.add_argument(
            "--out",
            type=Path,
            metavar="RESULT.json",
            help="write the result here, and its canonical snapshot beside it as"
            " RESULT.snapshot.json; a table is printed without it",
        )
        parser.add_argument(
            "--without-area", metavar="AREA", help="drill: the capacity of this area is gone"
        )
        parser.add_argument("--grid", type=Path, metavar="CASE.m", help="a MATPOWER case instead")
        parser.add_argument(
            "--susceptance",
            choices=CONVENTIONS,
            default=REACTANCE,
            help="of the case: reactance 1/(x·tap) with phase shifts, series x/(r²+x²) without",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Clear, write, print; say by the exit code whose move it is."""
        if (options["snapshot"] is None) == (options["grid"] is None):
            raise CommandError(
                "give either SNAPSHOT.json or --grid CASE.m", returncode=tables.UNREADABLE
            )
        try:
            if options["grid"] is None:
                self._snapshot(options)
            else:
                self._grid(options)
        except Refused as refusal:
            raise CommandError(
                f"{type(refusal).__name__}: {refusal}", returncode=tables.UNREADABLE
            ) from refusal
        except SolverFailed as failure:
            raise CommandError(
                f"{type(failure).__name__}: {failure}", returncode=tables.UNSOLVED
            ) from failure

    def _snapshot(self, options: dict[str, Any]) -> None:
        from aggregator.ops.engine_files import interval_h, result_write, snapshot_cleared

        out = options["out"]
        cleared = snapshot_cleared(options["snapshot"], without=options["without_area"])
        document = cleared.document
        if out is None:
            self._print(tables.result_lines(document, interval_h(cleared)))
        else:
            result_write(out, cleared)
        if cleared.drill is not None:
            self._print(tables.drill_lines(cleared.drill, options["without_area"]))
        self.stdout.write(tables.certificate_line(document["certificate"]))
        if out is not None:
            self.stdout.write(f"{out}  sha256 {hashlib.sha256(cleared.result).hexdigest()}")

    def _grid(self, options: dict[str, Any]) -> None:
        base_mva, matrices = case_matrices(options["grid"])
        case = case_from_matrices(base_mva, matrices, susceptance=options["susceptance"])
        found = dispatch(case)
        if options["out"] is not None:
            document = tables.dispatch_document(case, found)
            write_whole(options["out"], json.dumps(document, indent=1).encode() + b"\n")
        self._print(tables.dispatch_lines(case, found))

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            self.stdout.write(line)
