"""Celery's door to the log of messages."""

from celery import shared_task

from aggregator.messages import services


@shared_task(name="aggregator.messages.messages_sweep", ignore_result=True, expires=600)
def messages_sweep() -> None:
    """Forget what is older than it has to be kept."""
    services.messages_sweep()
