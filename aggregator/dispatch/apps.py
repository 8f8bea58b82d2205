"""Django's handle on this app."""

from django.apps import AppConfig


class DispatchConfig(AppConfig):
    """Instructions to sites and their states: planned, sent, acknowledged, finished."""

    name = "aggregator.dispatch"
    label = "dispatch"
    verbose_name = "指令"
    default_auto_field = "django.db.models.BigAutoField"
