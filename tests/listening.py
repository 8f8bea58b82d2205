"""An HTTP server of a test's own on this machine, for as long as the test runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener(BaseHTTPRequestHandler):
    """Tells a subclass of each request; says nothing on the test's output."""

    def do_GET(self) -> None:
        self.got()

    def do_POST(self) -> None:
        self.posted(self.rfile.read(int(self.headers["Content-Length"])))

    def got(self) -> None:
        self.answer(405)

    def posted(self, body: bytes) -> None:
        raise NotImplementedError

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def listening(listener: type[Listener]) -> Iterator[str]:
    """Serve with a listener on a free port; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), listener)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
