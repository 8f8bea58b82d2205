"""Django's handle on this app."""

from django.apps import AppConfig


class SettlementConfig(AppConfig):
    """From awards and deliveries to exact lines, and from lines to posted money."""

    name = "aggregator.settlement"
    label = "settlement"
    verbose_name = "精算"
    default_auto_field = "django.db.models.BigAutoField"
