"""A recognisable price goes through door, book and worker; before the gate nobody finds it."""

from __future__ import annotations

import base64
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from psycopg import sql

from accounts.clock.services import clock_set
from accounts.jobs.services import job_create
from accounts.parties.roles import Role
from aggregator.ops.embedded import ROOT
from market.trading.models import BidContent, BookOpening, BookRoot, StandingRenewal
from market.trading.standing_services import StandingDays, standing_bid_create
from tests import cast, cast_places
from tests.api.conftest import DoorClient
from tests.faults.market import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

# What a process that has another's environment says about the book.
TRY = (
    "import django; django.setup()\n"
    "from market.trading.keys import book_key_pairs\n"
    "from market.trading.key_file import BookKeyMissing\n"
    "try:\n    print('opens', len(book_key_pairs()))\n"
    "except BookKeyMissing as missing:\n    print('refused:', missing)\n"
)


def _canary() -> tuple[str, str]:
    """Return a price and a quantity that stand nowhere by chance."""
    dice = random.SystemRandom()
    price = f"{dice.randrange(1_000, 9_999)}.{dice.randrange(1, 10)}{dice.randrange(1, 10)}"
    return price, f"{dice.randrange(1_001, 7_999)}.{dice.randrange(1, 10)}"


def _needles(*texts: str) -> list[bytes]:
    """Return what to look for: each text as it is, in hexadecimal, in base64 at each offset."""
    found = []
    for text in texts:
        raw = text.encode()
        found += [raw, raw.hex().encode()]
        found += [
            base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)
        ]
    return found


def _tables_with(needles: list[bytes]) -> set[str]:
    """Return the tables of which a row, whatever the type of its columns, holds a needle."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            rows = cursor.fetchall()
            if any(needle in text.encode() for (text,) in rows for needle in needles):
                found.add(table)
    return found


def _pages_with(needles: list[bytes]) -> list[str]:
    """Return the files of the test's own database in which a needle stands."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute(
            "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database "
            "WHERE datname = current_database()"
        )
        directory = Path(cursor.fetchone()[0])
    pages = [path for path in directory.iterdir() if path.is_file()]
    assert pages
    return [path.name for path in pages if any(needle in path.read_bytes() for needle in needles)]


def _server_logs() -> list[Path]:
    """Return PostgreSQL's logs that can be read here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('data_directory')")
        home = Path(cursor.fetchone()[0])
    return [path for path in (*home.glob("*.log"), *home.parent.glob("*.log")) if path.is_file()]


def _redis_bytes(client: Any) -> bytes:
    """Return everything that Redis holds: what tasks were sent with, and what is cached."""
    kept = b""
    for key in client.scan_iter():
        kept += bytes(key) + bytes(client.dump(key) or b"")
    return kept


def _with_environment_of(pid: int) -> str:
    """Run :data:`TRY` with exactly the environment of a running process."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    environment = dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_only_a_workers_environment_opens_bids(celery_worker_processes: Any) -> None:
    stack = celery_worker_processes.stack
    (worker,) = celery_worker_processes.start(1)
    stack.start_web()
    web = stack.children[-1]
    assert _with_environment_of(worker.process.pid).startswith("opens ")
    assert _with_environment_of(web.process.pid) == (
        "refused: BOOK_KEY_FILE is not set: this process cannot open bids"
    )
    assert (Path(stack.book_key_file).stat().st_mode & 0o777) == 0o600


def test_a_price_is_found_nowhere_before_the_gate_and_in_one_table_after_it(
    celery_worker_processes: Any,
) -> None:
    price, quantity = _canary()
    needles = _needles(price, quantity)
    where = cast.places()
    auction = cast.auction(where)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    worker, beat = celery_worker_processes.start(1, beat=True)
    step = {"quantity_kw": quantity, "ask_jpy_per_kwh": price}
    offer = {
        "resource": "inzai-dc-1-load",
        "form": "STEPS",
        "mechanism": "DEFERRAL",
        "direction": "UP",
        "curves": [{"first_t": 34, "last_t": 39, "steps": [step]}],
    }
    trader = DoorClient()
    inzai = where.people.inzai_dc
    trader.force_login(cast_places.member("trader", inzai, Role.OPERATOR_TRADER))
    door = f"/api/v1/auctions/{auction.code}/bids"
    answer = trader.post(door, {"client_bid_id": "canary", **offer})
    assert answer.status_code == 201, answer.content
    refused = trader.post(door, {"client_bid_id": "wrong", **offer, "mechanism": "BATTERY"})
    assert refused.status_code == 400
    standing_bid_create(
        organisation=inzai,
        code="canary",
        bid=offer,
        days=StandingDays(valid_from_on=auction.delivery_on),
    )
    wait_for("the standing bid is renewed", StandingRenewal.objects.exists)

    assert _tables_with(needles) == set()
    assert _pages_with(needles) == []
    assert not any(needle in _redis_bytes(celery_worker_processes.redis()) for needle in needles)
    logs = [worker.log, beat.log, *_server_logs()]
    assert not any(needle in log.read_bytes() for log in logs for needle in needles)

    # closing alone publishes the root; who would clear is not asked
    job_create(kind="market.trading.gate_close", key=str(auction.id))
    clock_set(market_at=auction.gate_closure_at)
    wait_for("the root is published", BookRoot.objects.exists)
    wait_for("the book is opened", BookOpening.objects.exists)
    assert BidContent.objects.count() == 2
    # the search does find what is there
    assert "trading_bidcontent" in _tables_with(needles)
    assert _pages_with(needles) != []
    assert not any(needle in log.read_bytes() for log in logs for needle in needles)
    assert not any(needle in _redis_bytes(celery_worker_processes.redis()) for needle in needles)
