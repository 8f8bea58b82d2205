"""Django's handle on this app."""

from django.apps import AppConfig


class MessagesConfig(AppConfig):
    """Messages of protocols as they came and went; the toolkit's own has the short label."""

    name = "aggregator.messages"
    label = "messagelog"
    verbose_name = "通信記録"
    default_auto_field = "django.db.models.BigAutoField"
