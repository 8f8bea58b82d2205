"""Django's handle on this app."""

from django.apps import AppConfig


class TradingConfig(AppConfig):
    """Auctions, needs and bids, up to the gate."""

    name = "market.trading"
    label = "trading"
    verbose_name = "取引"
    default_auto_field = "django.db.models.BigAutoField"
