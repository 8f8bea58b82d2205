"""Every page of the portals on the books of a large market: time, statements, weight.

Each page is asked for in this process through the same stack of middleware as under a web server,
as the person whose page it is. ``server_ms`` is what a request keeps the server busy with: the
processor time of this process outside of statements, and the statements' wall time.
"""

from __future__ import annotations

import gzip
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import login
from django.contrib.sessions.backends.db import SessionStore
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import URLPattern, URLResolver, resolve

from accounts.clock.services import clock_set
from accounts.parties.models import User
from aggregator.ops.bench.book import opened_auction
from aggregator.ops.bench.portal_books import TODAY, books_make, moment
from aggregator.ops.bench.portal_pages import NOBODY, PAGES, TRADER, places
from aggregator.ops.demo import cast
from aggregator.portal.drafts import DraftText, draft_save
from aggregator.portal.urls import urlpatterns

LIMIT_MS: Final = 100.0
STATEMENTS_MAX: Final = 20
ROUNDS_COUNT: Final = 5
# of a page so slow that five times of it say no more than two
SLOW_MS: Final = 2_000.0
NOW_HOUR: Final = 13.2
LANGUAGE: Final = "ja"


@dataclass(kw_only=True)
class Statements:
    """What one request asked of the database."""

    count: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    slowest: tuple[float, str] = (0.0, "")

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        """Count a statement and its time."""
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        try:
            return execute(sql, params, many, context)
        finally:
            took_s = time.perf_counter() - began_s
            self.count += 1
            self.wall_s += took_s
            self.cpu_s += time.process_time() - began_cpu_s
            self.slowest = max(self.slowest, (took_s, sql))


@dataclass(kw_only=True)
class Measured:
    """One page."""

    who: str
    address: str
    status: int = 0
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    sql_ms: list[float] = field(default_factory=list)
    statements: int = 0
    bytes_plain: int = 0
    bytes_gzip: int = 0
    slowest_sql: str = ""
    slowest_ms: float = 0.0

    @property
    def server_ms(self) -> float:
        """Median of processor time and the statements' time together."""
        return statistics.median(
            cpu + sql for cpu, sql in zip(self.cpu_ms, self.sql_ms, strict=True)
        )

    def figures(self) -> dict[str, Any]:
        """Return its figures."""
        return {
            "who": self.who or "anybody",
            "address": self.address,
            "status": self.status,
            "server_ms": round(self.server_ms, 1),
            "cpu_ms": round(statistics.median(self.cpu_ms), 1),
            "wall_ms": round(statistics.median(self.wall_ms), 1),
            "sql_ms": round(statistics.median(self.sql_ms), 1),
            "statements": self.statements,
            "kb_gzip": round(self.bytes_gzip / 1000, 1),
            "kb_plain": round(self.bytes_plain / 1000, 1),
        }


def run(*, sites: int = 1_000, bids: int = 1_000_000) -> dict[str, Any]:
    """Make the books and open every page.

    Parameters
    ----------
    sites
        How many sites there are; half of them are one operator's.
    bids
        How many bids the books hold, over a hundred days.
    """
    opened_auction()
    began_s = time.perf_counter()
    books_make(sites=sites, bids=bids, ruleset=cast.RULESET_VERSION, product=cast.ENERGY_PRODUCT)
    made_s = time.perf_counter() - began_s
    clock_set(market_at=moment(TODAY, NOW_HOUR), speed_ratio=Decimal(0))
    pages = pages_measured()
    _print(pages)
    slow = [page for page in pages if page.server_ms > LIMIT_MS]
    return {
        "sites": sites,
        "bids": bids,
        "books_s": round(made_s, 1),
        "pages": len(pages),
        "failed": [f"{page.status} {page.address}" for page in pages if page.status != 200],  # noqa: PLR2004 - OK
        "slower_than_100_ms": len(slow),
        "more_than_20_statements": sum(page.statements > STATEMENTS_MAX for page in pages),
        "slowest_ms": round(max(page.server_ms for page in pages), 1),
        "median_ms": round(statistics.median(page.server_ms for page in pages), 1),
        "heaviest_kb_gzip": round(max(page.bytes_gzip for page in pages) / 1000, 1),
        "routes_left_out": routes_left_out(pages),
        "of_pages": [page.figures() for page in pages],
    }


def pages_measured() -> list[Measured]:
    """Open every page as its person; the slowest first."""
    draft_made()
    found = places()
    answer = get_wsgi_application()
    pages = []
    for who, addresses in PAGES.items():
        cookie = cookie_of(who)
        pages += [_measured(answer, who, text.format(**found), cookie) for text in addresses]
    return sorted(pages, key=lambda page: -page.server_ms)


def draft_made() -> None:
    """Keep a draft of the first operator's, as a trader who is at work has one."""
    trader = User.objects.get(username=TRADER)
    organisation = trader.memberships.get().organisation
    draft_save(
        organisation=organisation, author_id=trader.pk, kind="BID",
        subject=places()["open"], name="bench-1", version=None,
        text=DraftText(
            head={"form": "STEPS", "resource": "site-00002-resource", "mechanism": "DEFERRAL"},
            fields={"direction": "UP", "t_first": "24", "t_end": "36", "kw_0": "1000",
                    "ask_0": "28"},
        ),
    )  # fmt: skip


def cookie_of(who: str) -> str:
    """Sign a person in; return the cookies of the browser."""
    cookies = {settings.LANGUAGE_COOKIE_NAME: LANGUAGE, "theme": "light"}
    if who != NOBODY:
        request = WSGIRequest(_environ("/", ""))
        request.session = SessionStore()
        request.user = user = User.objects.get(username=who)
        login(request, user, backend=settings.AUTHENTICATION_BACKENDS[-1])
        request.session.save()
        cookies[settings.SESSION_COOKIE_NAME] = str(request.session.session_key)
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _measured(answer: Callable[..., Any], who: str, address: str, cookie: str) -> Measured:
    page, body = Measured(who=who, address=address), b""
    for number in range(ROUNDS_COUNT + 1):
        with statements_counted() as asked:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            page.status, body = asked_for(answer, address, cookie)
            wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        if number == 0:
            continue  # it warms up: what a process keeps is read, and Bokeh loaded
        page.wall_ms.append(1_000 * wall_s)
        page.cpu_ms.append(1_000 * (cpu_s - asked.cpu_s))
        page.sql_ms.append(1_000 * asked.wall_s)
        page.statements = asked.count
        page.slowest_ms, page.slowest_sql = 1_000 * asked.slowest[0], asked.slowest[1]
        if 1_000 * wall_s > SLOW_MS:
            break
    page.bytes_plain, page.bytes_gzip = len(body), len(gzip.compress(body, 6))
    return page


@contextmanager
def statements_counted() -> Iterator[Statements]:
    """Count the statements of this thread's connection."""
    asked = Statements()
    with connection.execute_wrapper(asked):
        yield asked


def asked_for(answer: Callable[..., Any], address: str, cookie: str) -> tuple[int, bytes]:
    """Ask for an address as a server would; return status and body."""
    status: list[int] = []

    def started(line: str, _headers: Any, _error: Any = None) -> None:
        status.append(int(line.split(maxsplit=1)[0]))

    parts = answer(_environ(address, cookie), started)
    try:
        body = b"".join(parts)
    finally:
        parts.close()
    return status[0], body


def _environ(address: str, cookie: str) -> dict[str, Any]:
    path, _, query = address.partition("?")
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "HTTP_COOKIE": cookie,
        "HTTP_ACCEPT_LANGUAGE": LANGUAGE, "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip


def routes_left_out(pages: list[Measured]) -> list[str]:
    """Return the portal's routes that no page is of: forms that only take a POST, and events."""
    seen = {resolve(page.address.partition("?")[0]).url_name for page in pages}
    return sorted(_names_of(urlpatterns) - seen)


def _names_of(patterns: Iterable[Any]) -> set[str]:
    names: set[str] = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            names |= _names_of(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            names.add(str(pattern.name))
    return names


def _print(pages: list[Measured]) -> None:
    """Show all pages, the slowest first; of slow ones also their slowest statement."""
    out = sys.stderr.write
    out(f"{'server':>8} {'cpu':>7} {'sql':>7} {'n':>4} {'kB gz':>7}  status page\n")
    for page in pages:
        of = page.figures()
        out(
            f"{of['server_ms']:8.1f} {of['cpu_ms']:7.1f} {of['sql_ms']:7.1f}"
            f" {of['statements']:4d} {of['kb_gzip']:7.1f}  {page.status}"
            f" {page.who or '-'} {page.address}\n"
        )
        if page.sql_ms and statistics.median(page.sql_ms) > LIMIT_MS / 2:
            out(f"{'':8} {page.slowest_ms:.0f} ms of {' '.join(page.slowest_sql.split())[:300]}\n")
