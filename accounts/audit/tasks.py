"""Celery's door to the sealer."""

from pathlib import Path

from celery import shared_task
from django.conf import settings

from accounts.audit.export import checkpoints_write
from accounts.audit.sealing import chain_extend


@shared_task(name="accounts.audit.seal", ignore_result=True, expires=10)
def seal() -> None:
    """Put new entries into the chain, and their checkpoints where the database does not reach."""
    chain_extend()
    if settings.AUDIT_CHECKPOINT_FILE:
        checkpoints_write(Path(settings.AUDIT_CHECKPOINT_FILE))
