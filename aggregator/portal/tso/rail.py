"""What this package adds to the left rail."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext

from accounts.parties.models import OrganisationKind
from accounts.parties.sight import Sight
from aggregator.portal.ways import Group, Way


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to a person of a grid operator."""
    if not any(row.kind == OrganisationKind.TSO for row in sight.organisations):
        return []
    if not sight.may_somewhere("network.read"):
        return []
    from accounts.approvals.kinds import NEED_PUBLISH
    from accounts.approvals.selectors import approvals_seen

    waiting = (
        approvals_seen(seen_by=sight, state="REQUESTED", kind=NEED_PUBLISH)
        .exclude(maker=sight.actor)
        .order_by()[:100]
        .count()
        if sight.may_somewhere("need.approve")
        else 0
    )
    return [
        Way(
            key="tso_home",
            url=reverse("portal:tso_home"),
            icon="home",
            name=gettext("ホーム"),
            rank=1,
        ),
        Way(
            key="tso_network",
            url=reverse("portal:tso_network_latest"),
            icon="net",
            name=gettext("系統・必要量"),
            rank=2,
        ),
        Way(
            key="tso_approvals",
            url=reverse("portal:tso_approvals"),
            icon="two",
            name=gettext("必要量の承認"),
            rank=3,
            count=waiting,
            is_urgent=waiting > 0,
        ),
        *(
            [
                Way(
                    key="tso_calls",
                    url=reverse("portal:tso_calls"),
                    icon="bolt",
                    name=gettext("調整力の呼び出し"),
                    rank=4,
                )
            ]
            if sight.may_somewhere("capacity.call")
            else []
        ),
        Way(
            key="tso_results",
            url=reverse("portal:tso_results"),
            icon="gauge",
            name=gettext("約定結果・効果"),
            rank=5,
        ),
        *_rarer(sight),
    ]


def _rarer(sight: Sight) -> list[Way]:
    """Return what is not of every day: connections, what a period cost, models of the grid."""
    return [
        Way(
            key="tso_connections",
            url=reverse("portal:tso_connections"),
            icon="half",
            name=gettext("条件付き接続"),
            rank=6,
        ),
        *(
            [
                Way(
                    key="tso_costs",
                    url=reverse("portal:tso_costs"),
                    icon="rows",
                    name=gettext("費用の内訳"),
                    rank=61,  # after the statements it explains
                )
            ]
            if sight.may_somewhere("statement.read")
            else []
        ),
        Way(
            key="tso_models",
            url=reverse("portal:tso_models"),
            icon="sliders",
            name=gettext("系統モデル"),
            group=Group.SET_UP,
            rank=10,
        ),
    ]
