"""How the outbox stands."""

from django.db.models import Count

from aggregator.outbox.models import OutboxMessage


def messages_by_state() -> dict[str, int]:
    """Return how many messages are in each state that occurs."""
    rows = OutboxMessage.objects.order_by("state").values_list("state").annotate(Count("id"))
    return dict(rows)
