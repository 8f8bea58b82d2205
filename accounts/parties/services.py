"""Register parties, people and machines."""

import hashlib
import secrets
from collections.abc import Sequence

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.core.errors import Refused
from accounts.fields.checking import (
    instance_checked,
    row_checked,
    row_fields_checked,
    text_checked,
)
from accounts.parties.models import ApiClient, Membership, Organisation, OrganisationKind, User
from accounts.parties.roles import Role

SECRET_BYTES_COUNT = 32
PASSWORD_LENGTH_MAX = 4096  # what the forms take; a hash costs time in proportion


@transaction.atomic
def organisation_register(
    *, code: str, kind: str, name: str, name_en: str, registration_number: str = ""
) -> Organisation:
    """Add a legal party; the code is its stable name.

    Raises
    ------
    Refused
        If the kind is unknown, the code is taken, or a name is empty or too long.
    """
    if kind not in OrganisationKind.values:
        raise Refused(field="kind", value=kind, rule=f"one of {', '.join(OrganisationKind.values)}")
    text_checked(code, field="code", length_max=40)
    if Organisation.objects.filter(code=code).exists():
        raise Refused(field="code", value=code, rule="already registered")
    organisation = Organisation(
        code=code,
        kind=kind,
        name=text_checked(name, field="name", length_max=120),
        name_en=text_checked(name_en, field="name_en", length_max=120),
        registration_number=registration_number,
    )
    row_checked(organisation).save(force_insert=True)
    entry_append(
        action="accounts.organisation.registered",
        subject=organisation,
        organisation_id=organisation.id,
        detail={"code": code, "kind": kind},
    )
    return organisation


@transaction.atomic
def member_add(
    *,
    organisation: Organisation,
    username: str,
    display_name: str,
    role: str,
    password: str | None = None,
    is_staff: bool = False,
) -> User:
    """Give a person a role in an organisation, creating the person if new.

    Raises
    ------
    Refused
        If the role is unknown, a name is empty or too long, or the password is an empty text.
    """
    instance_checked(organisation, Organisation, field="organisation")
    if role not in Role.values:
        raise Refused(field="role", value=role, rule=f"one of {', '.join(Role.values)}")
    text_checked(username, field="username", length_max=150)
    text_checked(display_name, field="display_name", length_max=80)
    if password is not None:
        text_checked(password, field="password", length_max=PASSWORD_LENGTH_MAX)
    person = User(username=username, display_name=display_name, is_staff=is_staff)
    person.set_password(password)
    row_fields_checked(person)
    user, created = User.objects.get_or_create(
        username=username, defaults={"display_name": display_name, "is_staff": is_staff}
    )
    if created:
        user.password = person.password
        user.save(update_fields=["password"])
    Membership.objects.get_or_create(user=user, organisation=organisation, role=role)
    entry_append(
        action="accounts.member.added",
        subject=user,
        organisation_id=organisation.id,
        detail={"role": role},
    )
    return user


@transaction.atomic
def api_client_create(
    *, organisation: Organisation, client_id: str, scopes: Sequence[str] = (), role: str = ""
) -> tuple[ApiClient, str]:
    """Create a machine's key pair; the secret is returned once and stored only as a hash.

    Parameters
    ----------
    scopes
        What it may do in OpenADR.
    role
        What it may do in the API, by the table of roles; nothing if empty.
    """
    if role not in ("", *Role.values):
        raise Refused(field="role", value=role, rule=f"one of {', '.join(Role.values)}")
    if ApiClient.objects.filter(client_id=client_id).exists():
        raise Refused(field="client_id", value=client_id, rule="already in use")
    secret = secrets.token_urlsafe(SECRET_BYTES_COUNT)
    client = ApiClient.objects.create(
        organisation=organisation,
        client_id=client_id,
        secret_hash=_secret_hash(secret),
        scopes=list(scopes),
        role=role,
    )
    entry_append(
        action="accounts.client.created",
        subject=client,
        organisation_id=organisation.id,
        detail={"client_id": client_id, "scopes": list(scopes), "role": role},
    )
    return client, secret


def api_client_authenticate(*, client_id: str, secret: str) -> ApiClient | None:
    """Return the active client whose secret this is, or None; takes equal time either way."""
    client = ApiClient.objects.filter(client_id=client_id).select_related("organisation").first()
    stored = client.secret_hash if client else _secret_hash("")
    matches = secrets.compare_digest(_secret_hash(secret), stored)
    return client if client is not None and matches and client.is_active else None


def _secret_hash(secret: str) -> str:
    """Hash a secret of our own making: 256 random bits need no slow hash, nobody guesses them."""
    return "sha256$" + hashlib.sha256(secret.encode()).hexdigest()
