"""Who belongs where, and who may see what."""

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
    """Return the active client that presents a bearer token, with its organisation, or None."""
    del text  # no token is given out yet
    return None
