"""For the gate: as local, on the instance ``test``, with cheap passwords and patient limits.

Every pytest process has a database and a Redis number of its own, so that any number of them may
run side by side.
"""

import os

from aggregator.ops.embedded import Servers

REDIS_NUMBERS_COUNT = 64

os.environ.setdefault("WATTBIT_INSTANCE", "test")
# a test holds its transaction open while it computes, on a machine that may be busy
os.environ.setdefault("DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S", "120")
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_S", "60")
if "REDIS_URL" not in os.environ:
    _addresses = Servers(instance="test").addresses
    _number = os.getpid() % (REDIS_NUMBERS_COUNT // 2) * 2
    os.environ["REDIS_URL"] = _addresses.redis_url.replace("?db=0", f"?db={_number}")

from aggregator.config.settings.local import *  # noqa: E402, F403 - it reads the lines above
from aggregator.config.settings.local import DATABASES  # noqa: E402 - likewise

if "DATABASE_URL" not in os.environ:
    DATABASES["default"]["NAME"] = f"wattbit_test_{os.getpid()}"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
JOB_LEASE_S = 2  # tests of dead workers wait for it
FAILPOINTS = dict(
    entry.split("=", 1) for entry in os.environ.get("FAILPOINTS", "").split(",") if entry
)
