"""Django's handle on this app."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """Messages that must leave: stable id, attempts, backoff, one hardened client."""

    name = "aggregator.outbox"
    label = "outbox"
    verbose_name = "送信箱"
    default_auto_field = "django.db.models.BigAutoField"
