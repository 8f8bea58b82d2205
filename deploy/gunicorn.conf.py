"""Gunicorn with Uvicorn's event loop: ordinary pages, and streams that stay open.

The number of processes comes from gunicorn's own variable ``WEB_CONCURRENCY``.
"""

bind = "0.0.0.0:8000"
worker_class = "uvicorn_worker.UvicornWorker"
# a request may wait for the database's ten seconds; a process silent for longer hangs
timeout = 30
graceful_timeout = 20
keepalive = 5
backlog = 512
max_requests = 20_000
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat file must not wait for a disk
# the proxy's addresses, for access logs and X-Forwarded-Proto, are set by FORWARDED_ALLOW_IPS
accesslog = "-"
errorlog = "-"
