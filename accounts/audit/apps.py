"""Django's handle on this app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who did what: append-only entries with dotted action names."""

    name = "accounts.audit"
    label = "audit"
    verbose_name = "監査記録"
    default_auto_field = "django.db.models.BigAutoField"
