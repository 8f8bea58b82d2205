"""The stage of the access matrix: who knocks, and what stands behind the doors.

Paths of the matrix name things of the stage in braces: ``instructions/{instruction}``. Things of
inzai-dc or grid-t only: whoever else is shown one of them is shown what is not theirs.
"""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession

from accounts.parties.invitations import invitation_create
from accounts.parties.keys import api_client_create
from accounts.parties.models import Membership, OrganisationKind
from accounts.parties.roles import Role
from tests import cast, cast_places
from tests.api.conftest import DoorClient
from tests.dispatching import instruction, sent_day

# column of the matrix: organisation, role
WHO = {
    "anonymous": None,
    "inzai": ("inzai-dc", Role.OPERATOR_TRADER),
    "shiroi": ("shiroi-dc", Role.OPERATOR_TRADER),
    "grid_t": ("grid-t", Role.GRID_PLANNER),
    "grid_u": ("grid-u", Role.GRID_PLANNER),
    "stranger": ("stranger", Role.OPERATOR_TRADER),
    "desk": ("wattbit", Role.MARKET_DESK),
    "admin": ("inzai-dc", Role.ADMINISTRATOR),
}
OTHERS = ("anonymous", "shiroi", "grid_u", "stranger")


class Stage:
    """A market day in which instructions were sent, and one client per column."""

    def __init__(self) -> None:
        self.day = sent_day()
        cast_places.organisation("grid-u", OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
        self.clients = {who: self._client(of) for who, of in WHO.items()}
        self.things = self._things()

    def _client(self, of: tuple[str, Role] | None) -> DoorClient:
        client = DoorClient(raise_request_exception=False)
        if of is not None:
            code, role = of
            organisation = cast.organisation(code, "", "", "")
            client.force_login(cast_places.member(f"{role}-at-{code}", organisation, role))
        return client

    def _things(self) -> dict[str, Any]:
        """Return what paths may name; a line here, and a line in the matrix."""
        day = self.day
        return {
            "instruction": instruction(day, "inzai-defer").id,
            "grid_model": day.places.grid_model.id,
            "element": day.places.points["inzai-line"].id,
            "auction": day.auction.code,
            "bid": day.bids["inzai-defer"].id,
            "award": day.awards["inzai-defer"].id,
            "need": day.needs["local"].id,
            "site": "inzai-dc-1",
            "resource": "inzai-dc-1-battery",
            "run": day.run.id if day.run else "",
            **self._identities(),
        }

    def _identities(self) -> dict[str, Any]:
        """Return who and what is of inzai-dc: a role, an invitation, a machine, a session."""
        inzai = self.day.places.people.inzai_dc
        person = Membership.objects.get(user__username="operator_trader-at-inzai-dc")
        return {
            "organisation": inzai.code,
            "member": person.uid,
            "invitation": invitation_create(
                organisation=inzai,
                email="hana@example.jp",
                role=Role.OPERATOR_VIEWER,
                invited_by="system",
                address="https://market.example.jp/",
            ).id,
            "client": api_client_create(organisation=inzai, client_id="inzai-robot")[0].id,
            "session": UserSession.objects.create(
                user=person.user,
                session_key=self.clients["inzai"].session.session_key,
                ip="192.0.2.1",
                user_agent="Firefox",
            ).pk,
        }

    def secrets(self) -> list[str]:
        """Texts that only inzai-dc and the market may see in an answer."""
        return [
            *(str(bid.id) for name, bid in self.day.bids.items() if name.startswith("inzai")),
            *(bid.client_bid_id for name, bid in self.day.bids.items() if name.startswith("inzai")),
            *(str(award.id) for name, award in self.day.awards.items() if name.startswith("inzai")),
        ]
