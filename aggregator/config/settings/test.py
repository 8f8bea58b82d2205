"""For the gate: as local, on the instance ``test``, with cheap passwords and patient limits.

Every pytest process has a database and Redis numbers of its own, so that any number of them may
run side by side.
"""

import os

os.environ.setdefault("WATTBIT_INSTANCE", "test")
# a test holds its transaction open while it computes, on a machine that may be busy
os.environ.setdefault("DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S", "120")
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_S", "60")

from aggregator.ops.secret import book_key_kept

# the process of the tests plays every part, the worker's too; web children are given none
os.environ.setdefault("BOOK_KEY_FILE", str(book_key_kept(instance="test")))

from aggregator.config import env
from aggregator.config.settings.base import cache
from aggregator.config.settings.local import *  # noqa: F403 - it reads the lines above
from aggregator.config.settings.local import DATABASES, REDIS_URL
from aggregator.ops.embedded import Servers

if env.text("DATABASE_URL") is None:
    DATABASES["default"]["NAME"] = f"wattbit_test_{os.getpid()}"
if env.text("REDIS_URL") is None:
    # not written to the environment, which pytest's parallel processes inherit
    REDIS_URL = Servers(instance="test").redis_url_take()
    CACHES = {"default": cache(REDIS_URL)}
    CELERY_BROKER_URL = env.redis_address(REDIS_URL).broker_url
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUDIT_CHECKPOINT_FILE = None  # many databases of one instance: a test names its own file
RECENT_S = 0  # tests register and use in one breath
WORKERS_WARM = False  # most tests' workers clear and send nothing; in others the first one waits
JOB_LEASE_S = 2  # tests of dead workers wait for it
# tests alone call receivers of this machine, and those that start real workers say so
OUTBOX_CALLS_THIS_MACHINE = os.environ.get("OUTBOX_CALLS_THIS_MACHINE") == "true"
FAILPOINTS = dict(
    entry.split("=", 1) for entry in os.environ.get("FAILPOINTS", "").split(",") if entry
)
# what is limited is tested with limits of its own; no other test is to wait for a token
API_RATES = {kind: {"per_s": 1e6, "burst": 10**9} for kind in ("read", "write", "bulk")}
