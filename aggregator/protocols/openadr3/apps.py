"""Django's handle on this app."""

from django.apps import AppConfig


class OpenAdr3Config(AppConfig):
    """OpenADR 3.1: wire (bare types), mapping (pure), server, client."""

    name = "aggregator.protocols.openadr3"
    label = "openadr3"
    verbose_name = "OpenADR 3"
    default_auto_field = "django.db.models.BigAutoField"
