"""Django's handle on this app."""

from django.apps import AppConfig


class OpsConfig(AppConfig):
    """Running the product: bootstrap, embedded servers, supervision, health, commands."""

    name = "aggregator.ops"
    label = "ops"
    verbose_name = "運用"
    default_auto_field = "django.db.models.BigAutoField"
