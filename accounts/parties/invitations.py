"""Invitations: a role waits for whoever holds the latest link; once, for 72 hours."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.audit.services import entry_append
from accounts.core.errors import Conflict, NotFound, Refused
from accounts.fields.checking import instance_checked, row_fields_checked, text_checked
from accounts.jobs.services import job_create
from accounts.parties.members import role_checked
from accounts.parties.models import Invitation, Membership, Organisation, User

VALID_S: Final = 72 * 3600
SALT: Final = "accounts.parties.invitation"
JOB_KIND: Final = "accounts.parties.invitation_send"
LINK_LENGTH_MAX: Final = 400
EMAIL_LENGTH_MAX: Final = 254
PASSWORD_LENGTH_MAX: Final = 4_096


class LinkInvalid(Refused):
    """The link is not ours, was used, was replaced by a later one, or is too old."""


def invitation_link(invitation: Invitation) -> str:
    """Return the signed text of the link that is good now."""
    content = {"i": str(invitation.id), "n": str(invitation.nonce)}
    return signing.dumps(content, salt=SALT)


@transaction.atomic
def invitation_create(
    *, organisation: Organisation, email: str, role: str, invited_by: str, address: str
) -> Invitation:
    """Invite whoever reads `email` to a role; a job sends the link.

    Parameters
    ----------
    invited_by
        Who invites, as audit entries name them.
    address
        Of our pages, as the inviter reaches them: ``https://market.example.jp/``.

    Raises
    ------
    Refused
        If the address is none, or the role is not one of this organisation.
    Conflict
        If the same invitation is open, or its reader has the role already.
    """
    instance_checked(organisation, Organisation, field="organisation")
    role_checked(role, organisation)
    email = _email_checked(email)
    # of two who invite the same at once the later one finds the first
    Organisation.objects.select_for_update().get(pk=organisation.pk)
    theirs = Membership.objects.filter(
        organisation=organisation, role=role, user__email__iexact=email
    )
    if theirs.exists():
        raise Conflict(field="email", value=email, rule="this person has the role already")
    open_now = Invitation.objects.filter(
        organisation=organisation,
        role=role,
        email__iexact=email,
        accepted_at=None,
        revoked_at=None,
    )
    if open_now.filter(expires_at__gt=Now()).exists():
        raise Conflict(field="email", value=email, rule="invited already; send that one again")
    open_now.update(revoked_at=Now(), version=F("version") + 1)  # expired: its place is taken
    row = Invitation.objects.create(
        organisation=organisation,
        email=email,
        role=role,
        invited_by=invited_by,
        expires_at=Now() + timedelta(seconds=VALID_S),
    )
    row.refresh_from_db()
    _send(row, address)
    _told(row, "created")
    return row


@transaction.atomic
def invitation_resend(*, invitation_id: UUID, address: str) -> Invitation:
    """Send a new link for another 72 hours; the one before is worth nothing from now on.

    Raises
    ------
    Conflict
        If it was accepted or revoked.
    NotFound
        If there is no such invitation.
    """
    row = _open(invitation_id)
    Invitation.objects.filter(pk=row.pk).update(
        nonce=uuid.uuid4(),
        expires_at=Now() + timedelta(seconds=VALID_S),
        sent_at=None,
        version=F("version") + 1,
    )
    row.refresh_from_db()
    _send(row, address)
    _told(row, "resent")
    return row


@transaction.atomic
def invitation_revoke(*, invitation_id: UUID) -> Invitation:
    """Make the link worthless.

    Raises
    ------
    Conflict
        If it was accepted or revoked.
    NotFound
        If there is no such invitation.
    """
    row = _open(invitation_id)
    Invitation.objects.filter(pk=row.pk).update(revoked_at=Now(), version=F("version") + 1)
    row.refresh_from_db()
    _told(row, "revoked")
    return row


def invitation_of_link(link: str, *, lock: bool = False) -> Invitation:
    """Return the open invitation that a link is good for.

    Raises
    ------
    LinkInvalid
        In the same words whatever is wrong with it.
    """
    refused = LinkInvalid(
        field="link", value="…", rule="a link that was not used, replaced, revoked or too old"
    )
    if len(link) > LINK_LENGTH_MAX:
        raise refused
    try:
        content = signing.loads(link, salt=SALT, max_age=VALID_S)
        found = {"pk": UUID(content["i"]), "nonce": UUID(content["n"])}
    except (signing.BadSignature, ValueError, KeyError, TypeError):
        raise refused from None
    rows = Invitation.objects.select_related("organisation")
    if lock:
        rows = rows.select_for_update(of=("self",))
    row = rows.filter(**found, accepted_at=None, revoked_at=None, expires_at__gt=Now()).first()
    if row is None:
        raise refused
    return row


@transaction.atomic
def invitation_accept_as_new(*, link: str, username: str, display_name: str, password: str) -> User:
    """Accept as somebody new, who chooses a name and a password.

    Raises
    ------
    LinkInvalid
        If the link is not good.
    Refused
        If the name is taken, the password too weak, or the address has a person already.
    """
    row = invitation_of_link(link, lock=True)
    text_checked(username, field="username", length_max=150)
    text_checked(display_name, field="display_name", length_max=80)
    if User.objects.filter(username__iexact=username).exists():
        raise Refused(field="username", value=username, rule="taken; choose another")
    if User.objects.filter(email__iexact=row.email).exists():
        raise Conflict(field="email", value=row.email, rule="known already: sign in to accept")
    user = User(username=username, display_name=display_name, email=row.email)
    text_checked(password, field="password", length_max=PASSWORD_LENGTH_MAX)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refused(field="password", value="…", rule=" ".join(error.messages)) from error
    user.set_password(password)
    row_fields_checked(user)
    user.save(force_insert=True)
    _accept(row, user)
    return user


@transaction.atomic
def invitation_accept(*, link: str, user: User) -> Invitation:
    """Accept as the person who is signed in; the link proves that they read the address.

    Raises
    ------
    LinkInvalid
        If the link is not good.
    Conflict
        If the person has the role already, or the address belongs to somebody else.
    """
    row = invitation_of_link(link, lock=True)
    if User.objects.filter(email__iexact=row.email).exclude(pk=user.pk).exists():
        raise Conflict(field="email", value=row.email, rule="belongs to somebody else")
    _accept(row, user)
    return row


def _accept(row: Invitation, user: User) -> None:
    Invitation.objects.filter(pk=row.pk).update(
        accepted_at=Now(), accepted_by=user, version=F("version") + 1
    )
    _, created = Membership.objects.get_or_create(
        user=user, organisation=row.organisation, role=row.role
    )
    if not created:
        raise Conflict(field="role", value=row.role, rule="the person has this role already")
    entry_append(
        action="accounts.invitation.accepted",
        subject=row,
        organisation_id=row.organisation_id,
        user_id=user.pk,
        detail={"role": row.role, "username": user.username},
    )


def invitation_sent(*, invitation_id: UUID) -> None:
    """Note that the mail server took the link."""
    Invitation.objects.filter(pk=invitation_id).update(sent_at=Now())


def _send(row: Invitation, address: str) -> None:
    job_create(
        kind=JOB_KIND,
        key=f"{row.id}:{row.version}",
        payload={"invitation": str(row.id), "nonce": str(row.nonce), "address": address},
    )


def _email_checked(email: str) -> str:
    text_checked(email, field="email", length_max=EMAIL_LENGTH_MAX)
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refused(field="email", value=email, rule="an e-mail address") from error
    return email.lower()  # as it is looked up at sign-in


def _open(invitation_id: UUID) -> Invitation:
    rows = Invitation.objects.select_for_update(of=("self",)).select_related("organisation")
    row = rows.filter(pk=invitation_id).first()
    if row is None:
        raise NotFound(field="invitation", value=str(invitation_id), rule="one that you can see")
    if row.accepted_at is not None or row.revoked_at is not None:
        raise Conflict(field="invitation", value=str(row.id), rule="one that is still open")
    return row


def _told(row: Invitation, what: str) -> None:
    entry_append(
        action=f"accounts.invitation.{what}",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"role": row.role},
    )
