"""Invitations are good once and not for long; roles are kept to their kind; someone stays admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail, signing
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.test import override_settings

from accounts.audit.models import AuditEntry
from accounts.core.errors import Conflict, NotFound, Refused
from accounts.jobs.models import Job
from accounts.parties import invitations
from accounts.parties.invitations import (
    JOB_KIND,
    LinkInvalid,
    invitation_accept,
    invitation_accept_as_new,
    invitation_create,
    invitation_link,
    invitation_resend,
    invitation_revoke,
)
from accounts.parties.members import membership_change, membership_grant, membership_remove
from accounts.parties.models import Invitation, Membership, OrganisationKind, User
from accounts.parties.roles import MAY, ROLES_OF_KIND, Role
from accounts.parties.sight import sight_of
from accounts.parties.tasks import invitation_send
from tests import cast
from tests.cast_places import member

pytestmark = pytest.mark.django_db
ADDRESS = "https://market.example.jp/"
NEW = {"username": "hana", "display_name": "花", "password": "kaki-ume-sakura-matsu"}


def invited(email: str = "hana@example.jp", role: str = Role.OPERATOR_VIEWER) -> Invitation:
    return invitation_create(
        organisation=cast.people().inzai_dc,
        email=email,
        role=role,
        invited_by="user:1",
        address=ADDRESS,
    )


def test_the_mail_holds_a_link_by_which_somebody_new_takes_the_role() -> None:
    row = invited()
    assert row.expires_at - row.created_at == timedelta(hours=72)
    invitation_send.run(str(Job.objects.get(kind=JOB_KIND).id))
    (letter,) = mail.outbox
    assert letter.to == ["hana@example.jp"]
    start = letter.body.index(ADDRESS + "invitations/")
    link = letter.body[start:].split()[0].removeprefix(ADDRESS + "invitations/").rstrip("/")
    user = invitation_accept_as_new(link=link, **NEW)
    assert (user.email, user.check_password(NEW["password"])) == ("hana@example.jp", True)
    assert [(m.organisation.code, m.role) for m in user.memberships.all()] == [
        ("inzai-dc", Role.OPERATOR_VIEWER)
    ]
    row.refresh_from_db()
    assert row.accepted_by == user
    assert row.sent_at is not None
    assert AuditEntry.objects.filter(action="accounts.invitation.accepted").count() == 1


def test_a_link_is_good_once() -> None:
    link = invitation_link(invited())
    invitation_accept_as_new(link=link, **NEW)
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=link, **{**NEW, "username": "momo"})
    assert not User.objects.filter(username="momo").exists()


def test_a_link_ends_after_72_hours() -> None:
    row = invited()
    link = invitation_link(row)
    Invitation.objects.update(expires_at=Now())
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=link, **NEW)


def test_the_signature_itself_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    link = invitation_link(invited())
    Invitation.objects.update(expires_at=Now() + timedelta(days=900))
    monkeypatch.setattr(invitations, "VALID_S", -1)
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=link, **NEW)


@pytest.mark.parametrize("link", ["", "x", "x:y:z", "a" * 500, "\x00"])
def test_a_link_that_is_not_ours_is_refused(link: str) -> None:
    invited()
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=link, **NEW)


def test_a_link_signed_for_something_else_or_by_another_key_is_refused() -> None:
    row = invited()
    content = {"i": str(row.id), "n": str(row.nonce)}
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=signing.dumps(content, salt="other"), **NEW)
    with override_settings(SECRET_KEY="k" * 60):
        foreign = invitation_link(row)
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=foreign, **NEW)


def test_sending_again_makes_the_first_link_worthless() -> None:
    row = invited()
    first = invitation_link(row)
    second = invitation_link(invitation_resend(invitation_id=row.id, address=ADDRESS))
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=first, **NEW)
    invitation_accept_as_new(link=second, **NEW)


def test_a_mail_that_was_overtaken_is_not_sent() -> None:
    row = invited()
    invitation_revoke(invitation_id=row.id)
    invitation_send.run(str(Job.objects.get(kind=JOB_KIND).id))
    assert mail.outbox == []
    assert Job.objects.get(kind=JOB_KIND).state == "DONE"


def test_a_revoked_link_is_worthless_and_cannot_be_sent_again() -> None:
    row = invited()
    link = invitation_link(row)
    invitation_revoke(invitation_id=row.id)
    with pytest.raises(LinkInvalid):
        invitation_accept_as_new(link=link, **NEW)
    with pytest.raises(Conflict):
        invitation_resend(invitation_id=row.id, address=ADDRESS)


def test_who_is_known_accepts_as_themselves_and_nobody_takes_their_address() -> None:
    known = User.objects.create_user("ken", email="Hana@example.jp")
    link = invitation_link(invited())
    with pytest.raises(Conflict):
        invitation_accept_as_new(link=link, **NEW)
    with pytest.raises(Conflict):
        invitation_accept(link=link, user=cast.people().stranger)
    invitation_accept(link=link, user=known)
    assert known.memberships.get().role == Role.OPERATOR_VIEWER


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),  # among the common ones
        ({"password": "hana-hana-hana", "username": "hana-hana-hana"}, "password"),
        ({"username": "INZAI"}, "username"),  # differs from the owner's name in case only
        ({"username": "two words"}, "username"),
        ({"username": ""}, "username"),
        ({"display_name": ""}, "display_name"),
        ({"display_name": "a\x07b"}, "display_name"),
    ],
)
def test_what_a_new_person_gives_is_checked_and_nothing_half_stored(
    given: dict[str, str], field: str
) -> None:
    row = invited()
    with pytest.raises(Refused) as refused:
        invitation_accept_as_new(link=invitation_link(row), **{**NEW, **given})
    assert refused.value.field == field
    assert not User.objects.filter(email="hana@example.jp").exists()
    row.refresh_from_db()
    assert row.accepted_at is None


@pytest.mark.parametrize("email", ["", "hana", "hana@", "ha na@example.jp", "a@b.jp\nBcc: x@y.jp"])
def test_an_address_that_is_none_is_refused(email: str) -> None:
    with pytest.raises(Refused) as refused:
        invited(email=email)
    assert refused.value.field == "email"
    assert not Invitation.objects.exists()


def test_the_same_is_not_invited_twice_until_the_first_is_over() -> None:
    row = invited()
    with pytest.raises(Conflict):
        invited(email="HANA@example.jp")
    Invitation.objects.update(expires_at=Now())
    assert invited().id != row.id


def test_the_database_refuses_two_open_invitations_of_the_same() -> None:
    row = invited()
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.create(
            organisation=row.organisation,
            email=row.email.upper(),
            role=row.role,
            invited_by="user:1",
            expires_at=Now(),
        )


def test_roles_are_those_of_the_organisation_s_kind() -> None:
    for role in (Role.MARKET_DESK, Role.GRID_APPROVER, "root", "", None):
        with pytest.raises(Refused) as refused:
            invited(role=role)  # type: ignore[arg-type]
        assert refused.value.field == "role"


def test_the_tables_of_roles_cover_each_other() -> None:
    assert set(ROLES_OF_KIND) == set(OrganisationKind.values)
    assert set().union(*ROLES_OF_KIND.values()) == set(MAY) == set(Role)


def admins(count: int) -> list[Membership]:
    inzai = cast.people().inzai_dc
    for number in range(count):
        member(f"admin-{number}", inzai, Role.ADMINISTRATOR)
    return list(Membership.objects.filter(role=Role.ADMINISTRATOR).order_by("pk"))


def test_nobody_removes_or_demotes_the_last_administrator() -> None:
    first, second = admins(2)
    membership_remove(membership_id=first.uid)
    with pytest.raises(Conflict):
        membership_remove(membership_id=second.uid)
    with pytest.raises(Conflict):
        membership_change(membership_id=second.uid, role=Role.OPERATOR_VIEWER)
    assert Membership.objects.filter(role=Role.ADMINISTRATOR).count() == 1


def test_an_administrator_who_may_not_sign_in_does_not_count() -> None:
    first, second = admins(2)
    User.objects.filter(pk=second.user_id).update(is_active=False)
    with pytest.raises(Conflict):
        membership_remove(membership_id=first.uid)


def test_grants_and_removals_are_audited_and_members_only() -> None:
    (admin,) = admins(1)
    inzai = admin.organisation
    row = membership_grant(organisation=inzai, username="admin-0", role=Role.OPERATOR_TRADER)
    membership_change(membership_id=row.uid, role=Role.OPERATOR_VIEWER)
    membership_remove(membership_id=row.uid)
    with pytest.raises(NotFound):
        membership_grant(organisation=inzai, username="stranger", role=Role.OPERATOR_TRADER)
    with pytest.raises(Conflict):
        membership_grant(organisation=inzai, username="admin-0", role=Role.ADMINISTRATOR)
    told = AuditEntry.objects.filter(action__startswith="accounts.member.").order_by("pk")
    assert [entry.action.rsplit(".")[-1] for entry in told] == ["granted", "changed", "removed"]


def test_two_people_have_no_address_in_common() -> None:
    User.objects.create_user("ken", email="ken@example.jp")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("ben", email="KEN@example.jp")
    User.objects.create_user("a")
    User.objects.create_user("b")  # none is no address


def test_roles_that_move_money_count_only_with_a_second_factor() -> None:
    from allauth.mfa.models import Authenticator

    people = cast.people()
    guarded = frozenset({Role.MARKET_DESK})
    with override_settings(SECOND_FACTOR_ROLES=guarded):
        sight = sight_of(people.desk)
        assert (sight.roles, sight.lacks_second_factor) == (frozenset(), True)
        codes = Authenticator.objects.create(
            user=people.desk, type=Authenticator.Type.RECOVERY_CODES, data={}
        )
        assert sight_of(people.desk).lacks_second_factor  # codes on paper alone are none
        codes.delete()
        Authenticator.objects.create(user=people.desk, type=Authenticator.Type.TOTP, data={})
        sight = sight_of(people.desk)
        assert {role for _, role in sight.roles} == {Role.MARKET_DESK}
        assert not sight.lacks_second_factor
        assert not sight_of(people.owner).lacks_second_factor
    assert sight_of(people.desk).roles


def test_production_guards_those_who_move_money_or_run_the_market() -> None:
    from aggregator.config.settings import identity

    assert {Role(name) for name in identity.SECOND_FACTOR_ROLES} == {
        Role.MARKET_DESK, Role.SETTLEMENT, Role.GRID_APPROVER, Role.ADMINISTRATOR,
    }  # fmt: skip
