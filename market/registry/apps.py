"""Django's handle on this app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Places and resources that can be traded, and the rules they are traded by."""

    name = "market.registry"
    label = "registry"
    verbose_name = "市場台帳"
    default_auto_field = "django.db.models.BigAutoField"
