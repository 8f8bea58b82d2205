"""Beat's table. Beat only rings: what is due is decided by rows and the database's clock."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # every second, day and night: ring the jobs that are due in market time
    "accounts.jobs.sweep": {
        "task": "accounts.jobs.sweep",
        "schedule": 1.0,
        "options": {"expires": 10},  # rings that waited are worth nothing: another one came
    },
}
