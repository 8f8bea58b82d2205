"""Beat's table. Beat only rings: what is due is decided by rows and the database's clock."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # every second, day and night: ring the jobs that are due in market time
    "accounts.jobs.sweep": {
        "task": "accounts.jobs.sweep",
        "schedule": 1.0,
        "options": {"expires": 10},  # rings that waited are worth nothing: another one came
    },
    # entries are in the chain, and on their way to webhooks, a second after they are committed
    "accounts.audit.seal": {
        "task": "accounts.audit.seal",
        "schedule": 1.0,
        "options": {"expires": 10},
    },
    "aggregator.outbox.causes_tell": {
        "task": "aggregator.outbox.causes_tell",
        "schedule": 1.0,
        "options": {"expires": 10},
    },
    # subscribers of OpenADR hear within a second that an order is void
    "aggregator.protocols.openadr3.voids_tell": {
        "task": "aggregator.protocols.openadr3.voids_tell",
        "schedule": 1.0,
        "options": {"expires": 10},
    },
    # every five seconds: what is wrong and nobody told of, and alarms whose cause is gone
    "aggregator.control.alarms_watch": {
        "task": "aggregator.control.alarms_watch",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    # twice an hour: forget answers to keys that are older than two days
    "aggregator.api.answers_sweep": {
        "task": "aggregator.api.answers_sweep",
        "schedule": 1800.0,
        "options": {"expires": 600},
    },
    # twice an hour: forget forms that were sent more than two days ago
    "aggregator.portal.sent_sweep": {
        "task": "aggregator.portal.sent_sweep",
        "schedule": 1800.0,
        "options": {"expires": 600},
    },
    # every ten minutes: forget messages of protocols that are older than they have to be kept
    "aggregator.messages.messages_sweep": {
        "task": "aggregator.messages.messages_sweep",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    # twice a day: partitions of readings for the months to come
    "aggregator.metering.partitions_ahead": {
        "task": "aggregator.metering.partitions_ahead",
        "schedule": 43_200.0,
        "options": {"expires": 3600},
    },
    # twice a day: the month that is over is on the list of those looked over for gaming
    "aggregator.metering.gaming_month": {
        "task": "aggregator.metering.gaming_month",
        "schedule": 43_200.0,
        "options": {"expires": 3600},
    },
}

# What follows a published result. The market puts these jobs on the list without knowing
# what they do; the names are those of Celery tasks.
JOBS_AFTER_PUBLICATION = [
    "aggregator.dispatch.instructions_plan",
    "aggregator.protocols.uftp.offers_make",
]
# What follows a result that is taken back.
JOBS_AFTER_CANCELLATION = ["aggregator.protocols.uftp.offers_revoke"]
# (task, hours after the delivery day ends in Japan): first values arrive right after the koma
JOBS_AFTER_DELIVERY = [
    ("aggregator.metering.delivery_verify", 1),
    ("aggregator.protocols.uftp.metering_send", 2),
]
