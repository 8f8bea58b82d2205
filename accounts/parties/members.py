"""Roles of people: given, changed and taken; no organisation loses its last administrator."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from accounts.audit.services import entry_append
from accounts.core.errors import Conflict, NotFound, Refused
from accounts.core.registration import registration_checked
from accounts.fields.checking import instance_checked, row_fields_checked, text_checked
from accounts.parties.models import Membership, Organisation, User
from accounts.parties.roles import ROLES_OF_KIND, Role

NAME_LENGTH_MAX = 120


def role_checked(role: Any, organisation: Organisation) -> str:
    """Return `role` if people and machines of this organisation may have it.

    Raises
    ------
    Refused
        If it is unknown, or belongs to another kind of organisation.
    """
    allowed = ROLES_OF_KIND[organisation.kind]
    if role not in allowed:
        names = ", ".join(sorted(map(str, allowed)))
        raise Refused(field="role", value=role, rule=f"of {organisation.code}: one of {names}")
    return str(Role(role))


@transaction.atomic
def membership_grant(*, organisation: Organisation, username: str, role: str) -> Membership:
    """Give somebody who is known in the organisation another role in it.

    Who is not yet known there is invited instead: nobody is enlisted unasked.

    Raises
    ------
    Refused
        If the role is not one of this organisation, or the person has it already.
    NotFound
        If nobody of that name belongs to the organisation.
    """
    instance_checked(organisation, Organisation, field="organisation")
    role_checked(role, organisation)
    user = User.objects.filter(username=username, memberships__organisation=organisation).first()
    if user is None:
        raise NotFound(field="username", value=username, rule="a member; others are invited")
    row, created = Membership.objects.get_or_create(user=user, organisation=organisation, role=role)
    if not created:
        raise Conflict(field="role", value=role, rule="the person has this role already")
    row.refresh_from_db()
    _told(row, "granted", {"role": role})
    return row


@transaction.atomic
def membership_change(*, membership_id: UUID, role: str) -> Membership:
    """Give a person another role instead of this one.

    Raises
    ------
    Refused
        If the role is not one of this organisation, or the person has it already.
    Conflict
        If the last administrator would be lost.
    NotFound
        If there is no such membership.
    """
    row = _locked(membership_id)
    role_checked(role, row.organisation)
    if role == row.role:
        return row
    twin = Membership.objects.filter(user=row.user_id, organisation=row.organisation_id, role=role)
    if twin.exists():
        raise Conflict(field="role", value=role, rule="the person has this role already")
    before = row.role
    _keep_an_administrator(row)
    Membership.objects.filter(pk=row.pk).update(role=role, version=F("version") + 1)
    row.refresh_from_db(fields=["role", "version"])
    _told(row, "changed", {"role": role, "before": before})
    return row


@transaction.atomic
def membership_remove(*, membership_id: UUID) -> None:
    """Take a role from a person.

    Raises
    ------
    Conflict
        If it is the last administrator's.
    NotFound
        If there is no such membership.
    """
    row = _locked(membership_id)
    _keep_an_administrator(row)
    _told(row, "removed", {"role": row.role})
    row.delete()


@transaction.atomic
def organisation_change(*, code: str, changes: dict[str, Any]) -> Organisation:
    """Change the names or the registration number of an organisation.

    Raises
    ------
    Refused
        Naming the field.
    NotFound
        If there is no such organisation.
    """
    row = Organisation.objects.select_for_update().filter(code=code).first()
    if row is None:
        raise NotFound(field="organisation", value=code, rule="one that you can see")
    for name, value in changes.items():
        if name in ("name", "name_en"):
            setattr(row, name, text_checked(value, field=name, length_max=NAME_LENGTH_MAX))
        elif name == "registration_number":
            if not isinstance(value, str):
                raise Refused(field=name, value=value, rule="T and 13 digits, or empty")
            # here too: the rule of the column speaks Japanese alone
            row.registration_number = registration_checked(value) if value else ""
        else:
            raise Refused(field=name, value=value, rule="name, name_en or registration_number")
    row.version += 1
    row_fields_checked(row)
    row.save(update_fields=[*changes, "version"])
    entry_append(
        action="accounts.organisation.changed",
        subject=row,
        organisation_id=row.id,
        detail={"fields": sorted(changes)},
    )
    return row


def _locked(membership_id: UUID) -> Membership:
    """Lock the organisation, then the row: of two who remove administrators one waits."""
    found = Membership.objects.filter(uid=membership_id).values_list("organisation_id").first()
    if found is not None:
        Organisation.objects.select_for_update().get(pk=found[0])
    row = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("organisation", "user")
        .filter(uid=membership_id)
        .first()
    )
    if row is None:
        raise NotFound(field="member", value=str(membership_id), rule="one that you can see")
    return row


def _keep_an_administrator(row: Membership) -> None:
    if row.role != Role.ADMINISTRATOR:
        return
    others = Membership.objects.filter(
        organisation=row.organisation_id, role=Role.ADMINISTRATOR, user__is_active=True
    ).exclude(pk=row.pk)
    if not others.exists():
        raise Conflict(
            field="role", value=row.role, rule="an organisation keeps one administrator at least"
        )


def _told(row: Membership, what: str, detail: dict[str, Any]) -> None:
    entry_append(
        action=f"accounts.member.{what}",
        subject=row.user,
        organisation_id=row.organisation_id,
        detail={"username": row.user.username, **detail},
    )
