"""What team pages add to the left rail."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext

from accounts.parties.sight import Sight
from aggregator.portal.ways import Group, Way


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to a person: set-up last, and no more than they may do."""
    if not sight.is_known:
        return []
    found = []
    if sight.may_somewhere("member.read"):
        found.append(
            Way(key="team", url=reverse("portal:team"), icon="people", name=gettext("チーム"),
                group=Group.SET_UP, rank=10)
        )  # fmt: skip
    if sight.may_somewhere("client.manage"):
        found.append(
            Way(key="api_keys", url=reverse("portal:api_keys"), icon="key",
                name=gettext("APIキー"), group=Group.SET_UP, rank=11)
        )  # fmt: skip
    if sight.may_somewhere("webhook.manage") and sight.may_somewhere("client.manage"):
        found.append(
            Way(key="webhooks", url=reverse("portal:webhooks"), icon="hook", name="Webhook",
                group=Group.SET_UP, rank=12)
        )  # fmt: skip
    found.append(
        Way(key="notices", url=reverse("portal:notices"), icon="bell", name=gettext("通知"),
            group=Group.SET_UP, rank=13)
    )  # fmt: skip
    return found
