"""What becomes of kept answers."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from aggregator.api.models import IdempotentAnswer

KEPT_H = 48
SWEPT_ROWS_MAX = 10_000


def answers_sweep(*, older_than_h: int = KEPT_H, rows_max: int = SWEPT_ROWS_MAX) -> int:
    """Remove answers that no caller will ask for again; return how many.

    Their age is told by the clock of the database: a market clock that was moved removes none.

    Parameters
    ----------
    older_than_h
        Age [h].
    rows_max
        At most so many in one statement, so that no lock is held long.
    """
    old = IdempotentAnswer.objects.filter(created_at__lt=Now() - timedelta(hours=older_than_h))
    batch = list(old.order_by("created_at").values_list("id", flat=True)[:rows_max])
    removed, _ = IdempotentAnswer.objects.filter(id__in=batch).delete()
    return removed
