"""Who belongs where, and who may see what."""

import hashlib

from django.db.models.functions import Now

from accounts.parties.models import ApiClient, Membership, Organisation, OrganisationKind, User
from accounts.parties.roles import role_may


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

    One query by the token's checksum, which is all that is kept of it: nothing is remembered
    between requests, so that what is switched off, rotated or expired is refused at once.
    """
    checksum = hashlib.sha256(text.encode()).hexdigest()
    rows = ApiClient.objects.select_related("organisation").defer(
        "client_secret", "previous_secret", "organisation__created_at"
    )
    found = rows.filter(
        is_active=True, accesstoken__token_checksum=checksum, accesstoken__expires__gt=Now()
    )
    return next(iter(found.order_by()[:1]), None)
