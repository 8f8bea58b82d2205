"""What this package adds to the left rail: for who sells flexibility."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext

from accounts.parties.models import OrganisationKind
from accounts.parties.sight import Sight
from aggregator.portal.dc import selectors
from aggregator.portal.ways import Group, Way


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to a person; counts stand where somebody must act."""
    if not sight.may_somewhere("bid.read"):
        return []
    waiting = (
        selectors.instructions_waiting(sight).count()
        if sight.may_somewhere("instruction.answer")
        else 0
    )
    found = [
        Way(
            key="dc_home",
            url=reverse("portal:dc_home"),
            icon="home",
            name=gettext("ホーム"),
            rank=1,
        ),
        Way(
            key="dc_bids",
            url=reverse("portal:dc_bids"),
            icon="steps",
            name=gettext("入札"),
            rank=10,
        ),
        Way(
            key="dc_awards",
            url=reverse("portal:dc_awards"),
            icon="check",
            name=gettext("約定結果"),
            rank=20,
        ),
        Way(
            key="dc_instructions",
            url=reverse("portal:dc_instructions"),
            icon="bolt",
            name=gettext("指令"),
            rank=30,
            count=waiting,
            is_urgent=True,
        ),
        Way(
            key="dc_deliveries",
            url=reverse("portal:dc_deliveries"),
            icon="gauge",
            name=gettext("実績"),
            rank=40,
        ),
    ]
    kinds = {row.kind for row in sight.organisations}
    if OrganisationKind.DC_OPERATOR in kinds:
        found += [
            Way(
                key="dc_sites",
                url=reverse("portal:dc_sites"),
                icon="site",
                name=gettext("拠点と設備"),
                group=Group.LOOK,
                rank=10,
            ),
            Way(
                key="dc_standing",
                url=reverse("portal:dc_standing"),
                icon="repeat",
                name=gettext("常時入札・認定"),
                group=Group.LOOK,
                rank=20,
            ),
        ]
    return found
