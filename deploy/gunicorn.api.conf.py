"""Gunicorn with threads: the API of machines, whose requests are short and many.

The number of processes comes from gunicorn's own variable ``WEB_CONCURRENCY``. More threads than
may work at once: those beyond are there to refuse quickly.
"""

import sys
from typing import Any

bind = "0.0.0.0:8001"
worker_class = "gthread"
threads = 32
# a request may wait for the database's ten seconds; a process silent for longer hangs
timeout = 30
graceful_timeout = 20
keepalive = 30
backlog = 512
max_requests = 200_000
max_requests_jitter = 20_000
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat file must not wait for a disk
accesslog = None  # refusals and failures have their own lines; one line per bid would cost as much
errorlog = "-"


def post_worker_init(_worker: Any) -> None:
    """Let a thread whose answer from the database has come go on soon.

    It then waits for the interpreter, by default up to five milliseconds while another thread
    computes. A tenth of that costs a tenth of the processor in switches.
    """
    sys.setswitchinterval(0.002)
