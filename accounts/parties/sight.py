"""What one caller may see and do: the single place where it is decided, deny by default.

A caller is a person, who acts by memberships, or a machine, which acts in one role for one
organisation. Selectors of rows that have owners take a :class:`Sight` as ``seen_by``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from accounts.core.errors import NotPermitted
from accounts.parties.models import (
    ApiClient,
    Membership,
    Organisation,
    OrganisationKind,
    User,
)
from accounts.parties.roles import MAY, Role

Viewer = User | AnonymousUser


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Roles of one caller, read once per request.

    Parameters
    ----------
    organisations
        Those the caller acts for, by code; the first is shown in the frame.
    roles
        (organisation id, role) pairs.
    market_id
        The aggregator, if the caller belongs to it: what its roles allow, they allow for
        everybody's rows.
    user_id, client_id
        The person or the machine; both None for who is not signed in.
    lacks_second_factor
        Whether roles were left out that count only with a second factor.
    """

    organisations: tuple[Organisation, ...]
    roles: frozenset[tuple[UUID, str]]
    market_id: UUID | None
    user_id: int | None = None
    client_id: UUID | None = None
    lacks_second_factor: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the caller is signed in."""
        return self.user_id is not None or self.client_id is not None

    @property
    def actor(self) -> str:
        """Name the caller as audit entries and approvals do: ``user:7``, ``client:<id>``."""
        if self.user_id is not None:
            return f"user:{self.user_id}"
        return f"client:{self.client_id}" if self.client_id is not None else "nobody"

    def may_everywhere(self, action: str) -> bool:
        """Whether the caller may do `action` on everybody's rows."""
        return any(
            organisation_id == self.market_id and action in MAY.get(role, frozenset())
            for organisation_id, role in self.roles
        )

    def may_somewhere(self, action: str) -> bool:
        """Whether the caller may do `action` for any organisation at all."""
        return any(action in MAY.get(role, frozenset()) for _, role in self.roles)

    def may(self, action: str, organisation_id: UUID) -> bool:
        """Whether the caller may do `action` on the rows of one organisation."""
        return self.may_everywhere(action) or organisation_id in self.organisations_for(action)

    def organisations_for(self, action: str) -> frozenset[UUID]:
        """Organisations for whose rows the caller may do `action`."""
        return frozenset(
            organisation_id
            for organisation_id, role in self.roles
            if action in MAY.get(role, frozenset())
        )

    def acting_for(self, action: str, code: str | None = None) -> Organisation:
        """Return the organisation in whose name the caller does `action`.

        Parameters
        ----------
        action
            As in the table of roles.
        code
            Which one, where the caller acts for several.

        Raises
        ------
        NotPermitted
            If no organisation of the caller's lets it, or several do and none is named.
        """
        allowed = self.organisations_for(action)
        found = [
            organisation
            for organisation in self.organisations
            if organisation.id in allowed and code in (None, organisation.code)
        ]
        if len(found) != 1:
            rule = f"an organisation for which you may do {action}"
            raise NotPermitted(
                field="organisation",
                value=code,
                rule=f"{rule}; name one of several" if found else rule,
            )
        return found[0]

    @property
    def organisation(self) -> Organisation | None:
        """The organisation named in the frame."""
        return self.organisations[0] if self.organisations else None

    @property
    def role_label(self) -> str:
        """The caller's role there, in words."""
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
    guarded = {(at, role) for at, role in roles if role in settings.SECOND_FACTOR_ROLES}
    lacks = bool(guarded) and not has_second_factor(viewer)
    return Sight(
        organisations=tuple(organisations.values()),
        roles=frozenset(roles - guarded if lacks else roles),
        market_id=_market_id(organisations.values()),
        user_id=viewer.pk,
        lacks_second_factor=lacks,
    )


def has_second_factor(user: User) -> bool:
    """Whether the person has an app or a key; then nobody signs in as them without it."""
    from allauth.mfa.models import Authenticator

    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=kinds).exists())


def sight_of_client(client: ApiClient) -> Sight:
    """Read what a machine may see: its one role in its organisation; nothing once inactive."""
    if not client.is_active:
        return NOBODY
    return Sight(
        organisations=(client.organisation,),
        roles=frozenset({(client.organisation_id, client.role)} if client.role else ()),
        market_id=_market_id([client.organisation]),
        client_id=client.id,
    )


def _market_id(organisations: Iterable[Organisation]) -> UUID | None:
    return next((row.id for row in organisations if row.kind == OrganisationKind.AGGREGATOR), None)
