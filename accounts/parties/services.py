"""Register parties and people."""

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.core.errors import Refused
from accounts.fields.checking import (
    instance_checked,
    row_checked,
    row_fields_checked,
    text_checked,
)
from accounts.parties.models import Membership, Organisation, OrganisationKind, User
from accounts.parties.roles import Role

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
