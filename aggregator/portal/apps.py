"""Django's handle on this app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Server-rendered pages: market day, grid operator, control room; Japanese first."""

    name = "aggregator.portal"
    label = "portal"
    verbose_name = "ポータル"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to sign-ins."""
        from aggregator.portal import trail

        trail.connect()
