"""Django's handle on this app."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The REST doors: what was answered to which key, and the pages that document them."""

    name = "aggregator.api"
    label = "api"
    verbose_name = "API"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the schema's extensions known to drf-spectacular."""
        from aggregator.api.v1 import schema

        del schema
