"""What the doors do when nobody knocks."""

from celery import shared_task

from aggregator.api import services


@shared_task(name="aggregator.api.answers_sweep", ignore_result=True, expires=600)
def answers_sweep() -> None:
    """Forget answers that are too old to be asked for, batch by batch."""
    while services.answers_sweep() == services.SWEPT_ROWS_MAX:
        pass
