"""Django's handle on this app."""

from django.apps import AppConfig


class PartiesConfig(AppConfig):
    """Organisations, people, machines and what each may do."""

    name = "accounts.parties"
    label = "parties"
    verbose_name = "取引主体"
    default_auto_field = "django.db.models.BigAutoField"
