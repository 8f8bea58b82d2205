"""Django's handle on this app."""

from django.apps import AppConfig


class ForecastingConfig(AppConfig):
    """Prices, supply and demand as they were known, and the importers of official files."""

    name = "aggregator.forecasting"
    label = "forecasting"
    verbose_name = "予測・実績"
    default_auto_field = "django.db.models.BigAutoField"
