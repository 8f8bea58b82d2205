"""What one person may see: the single place where the portal decides it, deny by default."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from accounts.parties.models import Membership, Organisation, OrganisationKind, User
from accounts.parties.roles import MAY, Role

Viewer = User | AnonymousUser


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Memberships of one person, read once per request.

    Parameters
    ----------
    organisations
        Those the person acts for, by code; the first is shown in the frame.
    roles
        (organisation id, role) pairs.
    market_id
        The aggregator, if the person belongs to it: what its roles allow, they allow for
        everybody's rows.
    """

    organisations: tuple[Organisation, ...]
    roles: frozenset[tuple[UUID, str]]
    market_id: UUID | None

    def may_everywhere(self, action: str) -> bool:
        """Whether the person may do `action` on everybody's rows."""
        return any(
            organisation_id == self.market_id and action in MAY.get(role, frozenset())
            for organisation_id, role in self.roles
        )

    def may_somewhere(self, action: str) -> bool:
        """Whether the person may do `action` for any organisation at all."""
        return any(action in MAY.get(role, frozenset()) for _, role in self.roles)

    def organisations_for(self, action: str) -> frozenset[UUID]:
        """Organisations for whose rows the person may do `action`."""
        return frozenset(
            organisation_id
            for organisation_id, role in self.roles
            if action in MAY.get(role, frozenset())
        )

    @property
    def organisation(self) -> Organisation | None:
        """The organisation named in the frame."""
        return self.organisations[0] if self.organisations else None

    @property
    def role_label(self) -> str:
        """The person's role there, in words."""
        if self.organisation is None:
            return ""
        names = sorted(role for at, role in self.roles if at == self.organisation.id)
        return str(Role(names[0]).label) if names and names[0] in Role.values else ""


NOBODY = Sight(organisations=(), roles=frozenset(), market_id=None)


def sight_of(viewer: Viewer) -> Sight:
    """Read what `viewer` may see; who is not signed in sees what everybody sees."""
    if not isinstance(viewer, User) or not viewer.is_active:
        return NOBODY
    memberships = (
        Membership.objects.filter(user=viewer)
        .select_related("organisation")
        .order_by("organisation__code", "role")
    )
    organisations: dict[UUID, Organisation] = {}
    roles = set()
    for membership in memberships:
        organisations.setdefault(membership.organisation_id, membership.organisation)
        roles.add((membership.organisation_id, membership.role))
    market_id = next(
        (key for key, row in organisations.items() if row.kind == OrganisationKind.AGGREGATOR),
        None,
    )
    return Sight(
        organisations=tuple(organisations.values()), roles=frozenset(roles), market_id=market_id
    )
