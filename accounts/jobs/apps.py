"""Django's handle on this app."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Work as rows: kind, key, lease, fencing token; Celery only rings the bell."""

    name = "accounts.jobs"
    label = "jobs"
    verbose_name = "ジョブ"
    default_auto_field = "django.db.models.BigAutoField"
