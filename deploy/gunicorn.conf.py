"""Gunicorn with Uvicorn's event loop: ordinary pages, and streams that stay open.

The number of processes comes from gunicorn's own variable ``WEB_CONCURRENCY``.
"""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    """A worker that leaves the caller's address as the socket has it.

    Uvicorn would put what X-Forwarded-For says in its place, and an address that one may choose
    is one that is never locked out. Whose word counts, ``TRUSTED_PROXIES_COUNT`` says, and
    ``BEHIND_TLS_PROXY`` for X-Forwarded-Proto.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        **UvicornWorker.CONFIG_KWARGS,
        "proxy_headers": False,
        "server_header": False,
    }


bind = "0.0.0.0:8000"
worker_class = Worker
# a request may wait for the database's ten seconds; a process silent for longer hangs
timeout = 30
graceful_timeout = 20
keepalive = 5
backlog = 512
max_requests = 20_000
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat file must not wait for a disk
accesslog = "-"
errorlog = "-"
