"""For the gate: as local, on the instance ``test``, with cheap passwords and patient limits."""

import os

os.environ.setdefault("WATTBIT_INSTANCE", "test")
# a test holds its transaction open while it computes, on a machine that may be busy
os.environ.setdefault("DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S", "120")
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_S", "60")

from aggregator.config.settings.local import *  # noqa: F403 - after the lines above, which it reads

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
