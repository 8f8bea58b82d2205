"""Django's handle on this app."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """Double-entry money in integer yen: transfers that nobody can edit."""

    name = "accounts.ledger"
    label = "ledger"
    verbose_name = "元帳"
    default_auto_field = "django.db.models.BigAutoField"
