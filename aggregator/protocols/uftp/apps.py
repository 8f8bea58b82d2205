"""Django's handle on this app."""

from django.apps import AppConfig


class UftpConfig(AppConfig):
    """UFTP 3.1: wire and messages (bare), mapping (pure), the door, and what came of messages."""

    name = "aggregator.protocols.uftp"
    label = "uftp"
    verbose_name = "UFTP 3.1"
    default_auto_field = "django.db.models.BigAutoField"
