"""Settings, URLs, Celery: what must know every app, hence the topmost layer."""

from aggregator.config.celery import app as celery_app

__all__ = ["celery_app"]
