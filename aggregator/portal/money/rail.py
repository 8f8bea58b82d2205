"""What money pages add to the left rail."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext

from accounts.parties.sight import Sight
from aggregator.portal.money import selectors
from aggregator.portal.ways import Way
from aggregator.settlement.seen import DECIDE, OPEN, READ, READ_LEDGER


def ways(sight: Sight) -> list[Way]:
    """Return the ways open to a person: a party's statements, the house's books."""
    found: list[Way] = []
    if sight.may_everywhere(READ_LEDGER):
        found += _house(sight)
    if sight.may_somewhere(READ):
        own = sight.organisations_for(OPEN)
        decide = sight.may_everywhere(DECIDE)
        found.append(
            Way(
                key="money_statements",
                url=reverse("portal:money_statements"),
                icon="yen",
                name=gettext("明細・精算"),
                count=selectors.waiting_count(own) if own else 0,
                rank=60,
            )
        )
        if decide:  # parties find theirs beside their statements
            found.append(
                Way(
                    key="money_disputes",
                    url=reverse("portal:money_disputes"),
                    icon="talk",
                    name=gettext("異議"),
                    count=selectors.undecided_count(),
                    is_urgent=True,
                    rank=42,
                )
            )
    return found


def _house(sight: Sight) -> list[Way]:
    del sight
    return [
        Way(
            key="money_closes",
            url=reverse("portal:money_closes"),
            icon="lock",
            name=gettext("締めと発行"),
            rank=40,
        ),
        Way(
            key="money_payments",
            url=reverse("portal:money_payments"),
            icon="bank",
            name=gettext("振込"),
            rank=41,
        ),
    ]
