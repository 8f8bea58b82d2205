"""Django's handle on this app."""

from django.apps import AppConfig


class MeteringConfig(AppConfig):
    """Meters, half-hour readings, baselines and what was delivered."""

    name = "aggregator.metering"
    label = "metering"
    verbose_name = "計量"
    default_auto_field = "django.db.models.BigAutoField"
