"""What this package adds to the left rail."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext

from accounts.parties.sight import Sight
from aggregator.control.models import Alarm, AlarmState
from aggregator.metering.calls import CALL
from aggregator.portal.ways import Way

SEE = "instruction.read"


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to a person: the room and its lists, for who sees everybody's orders."""
    if not sight.may_everywhere(SEE):
        return []
    raised = Alarm.objects.filter(state=AlarmState.RAISED).order_by()[:100].count()
    return [
        Way(
            key="desk_room",
            url=reverse("portal:desk_room"),
            icon="room",
            name=gettext("監視"),
            rank=1,
        ),
        Way(
            key="desk_auctions",
            url=reverse("portal:desk_auctions"),
            icon="steps",
            name=gettext("オークション"),
            rank=2,
        ),
        Way(
            key="desk_instructions",
            url=reverse("portal:desk_instructions"),
            icon="bolt",
            name=gettext("指令と応答"),
            rank=3,
        ),
        *(
            [
                Way(
                    key="desk_calls",
                    url=reverse("portal:desk_calls"),
                    icon="two",
                    name=gettext("調整力の呼び出し"),
                    rank=4,
                )
            ]
            if sight.may_everywhere(CALL)
            else []
        ),
        Way(
            key="desk_drills",
            url=reverse("portal:desk_drills"),
            icon="gauge",
            name=gettext("訓練"),
            rank=5,
        ),
        Way(
            key="desk_alarms",
            url=reverse("portal:desk_alarms"),
            icon="alarm",
            name=gettext("警報"),
            rank=6,
            count=raised,
            is_urgent=raised > 0,
        ),
        Way(
            key="desk_jobs",
            url=reverse("portal:desk_jobs"),
            icon="rows",
            name=gettext("ジョブ"),
            rank=7,
        ),
    ]
