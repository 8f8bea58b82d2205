"""What the pages do when nobody looks."""

from celery import shared_task

from aggregator.portal import once


@shared_task(name="aggregator.portal.sent_sweep", ignore_result=True, expires=600)
def sent_sweep() -> None:
    """Forget forms that nobody will send again, batch by batch."""
    while once.sent_sweep() == once.SWEPT_ROWS_MAX:
        pass
