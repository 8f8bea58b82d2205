"""Who belongs where, and who may see what."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from accounts.core.together import Together
from accounts.parties.models import (
    ApiClient,
    Invitation,
    Membership,
    Organisation,
    OrganisationKind,
    User,
)
from accounts.parties.roles import role_may
from accounts.parties.sight import Sight

Row = TypeVar("Row", bound=Model)
TOKENS_MAX = 64  # of one query
CLIENTS_KNOWN_MAX = 1_000


def _names(model: type[Model], without: tuple[str, ...] = ()) -> list[str]:
    fields = model._meta.concrete_fields  # noqa: SLF001 - Django's documented way
    return [item.attname for item in fields if item.attname not in without]


CLIENT_NAMES = _names(ApiClient, without=("client_secret", "previous_secret"))
ORGANISATION_NAMES = _names(Organisation)
CLIENT_OF_TOKEN = f"""
SELECT token.token_checksum, {", ".join(f"client.{name}" for name in CLIENT_NAMES)},
       {", ".join(f"organisation.{name}" for name in ORGANISATION_NAMES)}
FROM oauth2_provider_accesstoken AS token
JOIN parties_apiclient AS client ON client.id = token.application_id
JOIN parties_organisation AS organisation ON organisation.id = client.organisation_id
WHERE token.token_checksum = ANY(%s) AND token.expires > clock_timestamp() AND client.is_active
"""  # noqa: S608 - names of our own columns


def aggregator() -> Organisation:
    """Return the one organisation that runs the market."""
    return Organisation.objects.get(kind=OrganisationKind.AGGREGATOR)


def organisations_of(user: User) -> list[Organisation]:
    """Organisations the person acts for, by code."""
    return list(Organisation.objects.filter(memberships__user=user).distinct().order_by("code"))


def user_may(user: User, action: str, organisation: Organisation) -> bool:
    """Whether any of the person's roles in `organisation` allows `action`."""
    roles = Membership.objects.filter(user=user, organisation=organisation).values_list(
        "role", flat=True
    )
    return any(role_may(role, action) for role in roles)


def client_of_token(text: str) -> ApiClient | None:
    """Return the active client that presents a bearer token, with its organisation, or None.

    A query by the token's checksum, which is all that is kept of it: nothing is remembered
    between requests, so that what is switched off, rotated or expired is refused at once. Callers
    that come while a query is under way share the next one.
    """
    return _clients_together.of(hashlib.sha256(text.encode()).hexdigest())


def _clients_of(checksums: Sequence[str]) -> list[ApiClient | None]:
    with connection.cursor() as cursor:
        # every call of a machine passes here: as text, this costs a fraction of the ORM's way
        cursor.execute(CLIENT_OF_TOKEN, [list(set(checksums))])
        found = {row[0]: _client(tuple(row[1:])) for row in cursor}
    return [found.get(checksum) for checksum in checksums]


@lru_cache(maxsize=CLIENTS_KNOWN_MAX)
def _client(row: tuple[Any, ...]) -> ApiClient:
    """Return the client that a row says; of equal rows the same, which nobody changes."""
    client: ApiClient = ApiClient.from_db(connection.alias, CLIENT_NAMES, row[: len(CLIENT_NAMES)])
    client.organisation = Organisation.from_db(
        connection.alias, ORGANISATION_NAMES, row[len(CLIENT_NAMES) :]
    )
    return client


_clients_together: Together[str, ApiClient | None] = Together(_clients_of, count_max=TOKENS_MAX)


def organisations_seen(*, seen_by: Sight) -> QuerySet[Organisation]:
    """Return the caller's own organisations; to who belongs to the market, all of them."""
    rows = Organisation.objects.all()
    if seen_by.market_id is not None:
        return rows
    return rows.filter(pk__in=[row.pk for row in seen_by.organisations])


def members_seen(*, seen_by: Sight) -> QuerySet[Membership]:
    """Return roles of people where the caller may read them."""
    rows = Membership.objects.select_related("user", "organisation")
    return _where(rows, "member.read", seen_by)


def invitations_seen(*, seen_by: Sight) -> QuerySet[Invitation]:
    """Return invitations to organisations for which the caller invites."""
    rows = Invitation.objects.select_related("organisation", "accepted_by")
    return _where(rows, "member.invite", seen_by)


def clients_seen(*, seen_by: Sight) -> QuerySet[ApiClient]:
    """Return machines of organisations whose keys the caller manages; never their secrets."""
    rows = ApiClient.objects.select_related("organisation").defer(
        "client_secret", "previous_secret"
    )
    return _where(rows, "client.manage", seen_by)


def _where(rows: QuerySet[Row], action: str, seen_by: Sight) -> QuerySet[Row]:
    if seen_by.may_everywhere(action):
        return rows
    return rows.filter(organisation__in=seen_by.organisations_for(action))
