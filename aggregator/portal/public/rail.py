"""What this package adds to the left rail."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext

from accounts.parties.sight import Sight
from aggregator.portal.ways import Group, Way


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to everybody; who works here has them one click further."""
    if sight.is_known:
        return []
    archive = Way(
        key="pub_archive",
        url=reverse("portal:pub_archive"),
        icon="rows",
        name=gettext("市場結果"),
        group=Group.LOOK,
        rank=60,
    )
    return [
        archive,
        Way(
            key="pub_downloads",
            url=reverse("portal:pub_downloads"),
            icon="file",
            name=gettext("ダウンロード"),
            group=Group.LOOK,
            rank=70,
        ),
        Way(
            key="pub_verify",
            url=reverse("portal:pub_verify"),
            icon="seal",
            name=gettext("検証のしかた"),
            group=Group.LOOK,
            rank=80,
        ),
    ]
