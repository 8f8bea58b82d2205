"""Django's handle on this app."""

from django.apps import AppConfig


class ClearingConfig(AppConfig):
    """From the frozen book to awards and prices."""

    name = "market.clearing"
    label = "clearing"
    verbose_name = "約定処理"
    default_auto_field = "django.db.models.BigAutoField"
