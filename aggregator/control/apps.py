"""Django's handle on this app."""

from django.apps import AppConfig


class ControlConfig(AppConfig):
    """What the market desk must look at."""

    name = "aggregator.control"
    verbose_name = "監視"
    default_auto_field = "django.db.models.BigAutoField"
