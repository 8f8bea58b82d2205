"""Django's handle on this app."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Two people for what must not be done by one: asked by a maker, decided by a checker."""

    name = "accounts.approvals"
    label = "approvals"
    verbose_name = "承認"
    default_auto_field = "django.db.models.BigAutoField"
