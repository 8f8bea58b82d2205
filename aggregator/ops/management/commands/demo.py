"""`manage.py demo`: a whole market day on real parts, from registration to the statement."""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from aggregator.ops.demo import cast
from aggregator.ops.demo.lively import KEYS, Lively
from aggregator.ops.demo.month import MonthRun
from aggregator.ops.demo.month_report import month_facts, month_lines_of
from aggregator.ops.demo.report import Facts, facts_of, lines_of
from aggregator.ops.demo.run import Day, DemoFailed, DemoRun, Progress
from aggregator.ops.errors import ChildFailed
from aggregator.ops.stack import Stack
from market.trading.models import Auction

DELIVERY_ON = date(2026, 8, 5)
DELIVERY_LAST_ON = date(2099, 12, 31)
PORT = 8000
PORT_LAST = 65_535
BAR_LENGTH = 27
DAYS_MAX = 31
ENDING_S = 0.2


class Command(BaseCommand):
    help = "Run a whole market day: register, publish, bid, clear, dispatch, meter, settle."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
        parser.add_argument("--serve", action="store_true", help=f"keep the web up on port {PORT}")
        parser.add_argument("--port", type=int, default=None, help="port of the web server")
        parser.add_argument("--month", action="store_true", help="the whole month of the day")
        parser.add_argument("--days", type=int, help="of the month, only the first so many days")
        parser.add_argument("--date", help="delivery day of real data, e.g. 2024-08-02")
        parser.add_argument("--spot", nargs="+", default=[], help="JEPX spot summary files")
        parser.add_argument("--area", nargs="+", default=[], help="area supply–demand files")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the day and print what happened; ends with exit 0 only if all of it did.

        Raises
        ------
        CommandError
            Before anything is started or emptied, if an option cannot be; later, in one line
            with the place of the logs, if the day did not come to its end. By then all that
            was started has been stopped. Exit code 1, and 130 for Ctrl-C.
        """
        day = self._day(options)
        port = self._port(options)
        if options["days"] is not None and not (
            options["month"] and 1 <= options["days"] <= DAYS_MAX
        ):
            raise CommandError(f"--days: {options['days']} — 1 to {DAYS_MAX}, with --month")
        if options["month"]:
            if day.is_real:
                raise CommandError("--month makes its own days: without --spot and --area")
            day = replace(day, delivery_on=day.delivery_on.replace(day=1))
        stack = Stack(instance=os.environ.get("WATTBIT_INSTANCE", "demo"))
        logs = f"Logs are in {stack.home / 'log'}"
        try:
            with stack:
                facts = self._run(self._made(stack, day, port, options), serve=options["serve"])
        except DemoFailed as failure:
            raise CommandError(f"{failure}\n{logs}") from failure
        except (OperationalError, InterfaceError, psycopg.Error) as error:
            raise CommandError(f"PostgreSQL went away: {_first_line(error)}. {logs}") from error
        except BrokerError as error:
            raise CommandError(f"Valkey went away: {_first_line(error)}. {logs}") from error
        except KeyboardInterrupt as error:
            raise CommandError(
                f"interrupted; what it had started is stopped. {logs}",
                returncode=128 + signal.SIGINT,
            ) from error
        if options["json"]:
            self.stdout.write(json.dumps(facts, ensure_ascii=False, sort_keys=True))

    def _run(self, run: DemoRun, *, serve: bool) -> Facts:
        began = time.monotonic()
        try:
            run.run()
        except ChildFailed:
            # a process that ends because the database is gone is not the one to name
            connection.close()
            connection.ensure_connection()
            raise
        facts = self._facts(run)
        facts["steps"] = run.progress.seconds
        facts["total_s"] = round(time.monotonic() - began, 1)
        self.stderr.write("")
        lines = month_lines_of if isinstance(run, MonthRun) else lines_of
        for line in lines(facts, run.progress.seconds):
            self.stdout.write(line)
        if serve:
            self._serve(run)
        return facts

    def _made(self, stack: Stack, day: Day, port: int, options: dict[str, Any]) -> DemoRun:
        progress = Progress(show=self._show)
        run: DemoRun
        if options["month"]:
            run = MonthRun(
                stack=stack, day=day, progress=progress, port=port, days_count=options["days"]
            )
        else:
            run = DemoRun(stack=stack, day=day, progress=progress, port=port)
        self._names = list(run.steps())
        return run

    def _facts(self, run: DemoRun) -> Facts:
        if isinstance(run, MonthRun):
            return month_facts(run.stack.home)
        facts = facts_of(Auction.objects.get(code=run.day.code), run.stack.home)
        facts["is_real"] = run.day.is_real
        facts["replay_identical"] = run.replay_is_identical
        return facts

    def _port(self, options: dict[str, Any]) -> int:
        port: int | None = options["port"]
        if port is None:
            return PORT if options["serve"] else 0
        if not 0 <= port <= PORT_LAST:
            raise CommandError(f"--port: {port} — a number from 0 (any free one) to {PORT_LAST}")
        return port

    def _day(self, options: dict[str, Any]) -> Day:
        try:
            delivery_on = date.fromisoformat(options["date"]) if options["date"] else DELIVERY_ON
        except ValueError as error:
            raise CommandError(f"--date: {options['date']!r} — a date like 2024-08-02") from error
        if not cast.RULESET_FROM_ON <= delivery_on <= DELIVERY_LAST_ON:
            raise CommandError(
                f"--date: {delivery_on} — from {cast.RULESET_FROM_ON}, the first day of the demo's "
                f"ruleset, to {DELIVERY_LAST_ON}"
            )
        files = {name: tuple(Path(path) for path in options[name]) for name in ("spot", "area")}
        for name, paths in files.items():
            for path in paths:
                try:
                    with path.open("rb") as file:
                        file.read(1)
                except (OSError, ValueError) as error:
                    raise CommandError(
                        f"--{name}: {str(path)!r} — an existing file that can be read"
                    ) from error
        if bool(files["spot"]) != bool(files["area"]):
            raise CommandError("--spot and --area go together: prices and area data of one day")
        if files["area"] and not options["date"]:
            raise CommandError("--date says which day of the files is meant")
        return Day(delivery_on=delivery_on, spot=files["spot"], area=files["area"])

    def _show(self, name: str, seconds: float | None) -> None:
        """Draw the progress on the error stream: a bar in a terminal, lines in a log."""
        done = self._names.index(name) + (seconds is not None)
        count = len(self._names)
        if not sys.stderr.isatty():
            if seconds is not None:
                self.stderr.write(f"{done}/{count} {name} {seconds:.1f} s")
            return
        filled = BAR_LENGTH * done // count
        bar = "█" * filled + "░" * (BAR_LENGTH - filled)
        sys.stderr.write(f"\r{bar} {done}/{count} {name:<10}")
        sys.stderr.flush()

    def _serve(self, run: DemoRun) -> None:
        """Keep everything up until interrupted."""
        self.stdout.write("")
        self.stdout.write(f"Serving http://127.0.0.1:{run.port}/  (Ctrl-C ends it)")
        password = run.password_set()
        self.stdout.write(f"Password of every demo login: {password}")
        for organisation, username, _, role in cast.MEMBERS:
            self.stdout.write(f"  {username:<20}{organisation:<12}{role}")
        self.stdout.write("Admin: /admin/ as desk")
        lively = self._lively(run)
        if lively is None:
            auction = run.auction_next()
            gate = timezone.localtime(auction.gate_closure_at)
            self.stdout.write(
                f"Auction {auction.code} takes bids for half an hour, until {gate:%Y-%m-%d %H:%M} "
                "JST on the market's clock: docs/api.md, First steps"
            )
        self.stdout.flush()
        ended = False

        def end(_number: int, _frame: Any) -> None:
            nonlocal ended
            ended = True

        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        while not ended:
            if lively is not None:
                try:
                    lively.turn()
                except DemoFailed as failure:
                    self.stderr.write(f"The market stands still from here: {failure}")
                    lively = None
            run.sites_tidy()
            run.stack.check()
            time.sleep(ENDING_S)

    def _lively(self, run: DemoRun) -> Lively | None:
        """Let days go on after the demo's, if its sites have keys; None: the clock alone does."""
        if not (run.stack.home / KEYS).exists() or isinstance(run, MonthRun):
            return None
        lively = Lively(run, say=self._told)
        try:
            lively.begin()
        except DemoFailed as failure:
            self.stderr.write(f"The market stands still from here: {failure}")
            return None
        return lively

    def _told(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _first_line(error: Exception) -> str:
    """Return what an error of several lines says first."""
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
