"""How the outbox stands, and what a caller sees of it."""

from django.db.models import Count, QuerySet

from accounts.parties.sight import Sight
from aggregator.outbox.models import OutboxMessage, WebhookSubscription

MANAGE = "webhook.manage"


def messages_by_state() -> dict[str, int]:
    """Return how many messages are in each state that occurs."""
    rows = OutboxMessage.objects.order_by("state").values_list("state").annotate(Count("id"))
    return dict(rows)


def subscriptions_seen(*, seen_by: Sight) -> QuerySet[WebhookSubscription]:
    """Return subscriptions of the caller's own organisations; nobody else's business.

    Addresses are the owner's secret nearly as much as keys are: the market desk sees none.
    """
    return WebhookSubscription.objects.filter(
        organisation__in=seen_by.organisations_for(MANAGE), removed_at=None
    ).select_related("organisation")


def messages_seen(*, seen_by: Sight) -> QuerySet[OutboxMessage]:
    """Messages to subscriptions of the caller's own organisations."""
    return OutboxMessage.objects.filter(
        subscription__organisation__in=seen_by.organisations_for(MANAGE),
        subscription__removed_at=None,
    )
