"""Django's handle on this app."""

from django.apps import AppConfig


class ClockConfig(AppConfig):
    """Market time: one SQL function that every gate, lease and stamp asks."""

    name = "accounts.clock"
    label = "clock"
    verbose_name = "市場時計"
    default_auto_field = "django.db.models.BigAutoField"
