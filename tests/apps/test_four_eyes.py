"""Two people: the maker never decides, nor a machine, nor about anything but what was asked."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.approvals import services
from accounts.approvals.kinds import PAYMENT_RELEASE
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import (
    ApprovalMissing,
    ContentChanged,
    approval_approve,
    approval_reject,
    approval_request,
    approval_use,
)
from accounts.audit.models import AuditEntry
from accounts.clock.services import clock_set
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim
from accounts.parties.models import ApiClient, Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of, sight_of_client
from tests import cast

FILE = b"0100 PAYMENT FILE 1\n"


def person(username: str, at: Organisation, role: str) -> Sight:
    return sight_of(cast.member(username, at, role))


def claim_of(kind: str, key: str) -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=kind, key=key).id)
    assert claim is not None
    return claim


class Desk:
    """Two clerks of settlement, and the request of the first."""

    def __init__(self) -> None:
        people = cast.people()
        self.organisation = people.platform
        self.maker = person("clerk-1", self.organisation, Role.SETTLEMENT)
        self.checker = person("clerk-2", self.organisation, Role.SETTLEMENT)

    def ask(self, *, subject: str = "payments.file:1", content: bytes = FILE) -> Approval:
        return approval_request(
            kind=PAYMENT_RELEASE,
            organisation=self.organisation,
            subject=subject,
            content=content,
            maker=self.maker.actor,
            detail={"total_jpy": 120_000},
        )

    def approve(self, row: Approval, *, by: Sight | None = None, sha256: str = "") -> Approval:
        return approval_approve(
            approval_id=row.id,
            by=by or self.checker,
            content_sha256=sha256 or row.content_sha256,
        )


@pytest.fixture
def desk(db: None) -> Desk:
    cast.market_time(cast.day_start(cast.DAY))
    return Desk()


def test_what_a_second_person_approved_is_done_once(desk: Desk) -> None:
    row = desk.approve(desk.ask())
    assert (row.state, row.checker, row.maker) == (
        ApprovalState.APPROVED,
        desk.checker.actor,
        desk.maker.actor,
    )
    used = approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)
    assert (used.id, used.state) == (row.id, ApprovalState.USED)
    with pytest.raises(ApprovalMissing):
        approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)
    entries = AuditEntry.objects.filter(subject=f"approvals.approval:{row.id}").order_by("id")
    assert list(entries.values_list("action", flat=True)) == [
        "accounts.approval.requested",
        "accounts.approval.approved",
        "accounts.approval.used",
    ]


def test_nothing_is_done_unasked_or_undecided_or_on_anothers_approval(desk: Desk) -> None:
    use = {"kind": PAYMENT_RELEASE, "subject": "payments.file:1", "content": FILE}
    with pytest.raises(ApprovalMissing):
        approval_use(**use)  # type: ignore[arg-type]
    desk.ask()
    with pytest.raises(ApprovalMissing):
        approval_use(**use)  # type: ignore[arg-type]
    desk.approve(desk.ask(subject="payments.file:2"))
    with pytest.raises(ApprovalMissing):
        approval_use(**use)  # type: ignore[arg-type]


def test_the_maker_does_not_decide(desk: Desk) -> None:
    row = desk.ask()
    with pytest.raises(NotPermitted, match="somebody else"):
        desk.approve(row, by=desk.maker)
    with pytest.raises(NotPermitted, match="somebody else"):
        approval_reject(approval_id=row.id, by=desk.maker, reason="changed my mind")


def test_a_machine_may_ask_but_not_decide(desk: Desk) -> None:
    client = ApiClient.objects.create(
        organisation=desk.organisation, client_id="robot", role=Role.SETTLEMENT
    )
    robot = sight_of_client(client)
    with pytest.raises(NotPermitted, match="only people"):
        desk.approve(desk.ask(), by=robot)
    asked = approval_request(
        kind=PAYMENT_RELEASE,
        organisation=desk.organisation,
        subject="payments.file:2",
        content=FILE,
        maker=robot.actor,
    )
    assert desk.approve(asked).maker == f"client:{client.id}"


def test_others_do_not_see_it_and_who_may_only_look_does_not_decide(desk: Desk) -> None:
    people = cast.people()
    row = desk.ask()
    auditor = person("auditor", desk.organisation, Role.AUDITOR)
    assert list(approvals_seen(seen_by=auditor)) == [row]
    with pytest.raises(NotPermitted, match="may payment"):
        desk.approve(row, by=auditor)
    for stranger in (
        sight_of(people.owner),
        sight_of(people.planner),
        person("other-clerk", people.grid_t, Role.SETTLEMENT),
        person("market", desk.organisation, Role.MARKET_DESK),
    ):
        assert list(approvals_seen(seen_by=stranger)) == []
        with pytest.raises(NotFound):
            desk.approve(row, by=stranger)


def test_nobody_approves_what_they_have_not_seen(desk: Desk) -> None:
    row = desk.ask()
    with pytest.raises(ContentChanged):
        desk.approve(row, sha256="0" * 64)


def test_what_was_changed_afterwards_is_refused(desk: Desk) -> None:
    desk.approve(desk.ask())
    changed = FILE.replace(b"1\n", b"2\n")
    with pytest.raises(ContentChanged):
        approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=changed)
    approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)


def test_a_refusal_is_final_and_says_why(desk: Desk) -> None:
    row = desk.ask()
    with pytest.raises(Refused, match="reason"):
        approval_reject(approval_id=row.id, by=desk.checker, reason=" ")
    approval_reject(approval_id=row.id, by=desk.checker, reason="wrong account")
    row.refresh_from_db()
    assert (row.state, row.decision_reason) == (ApprovalState.REJECTED, "wrong account")
    with pytest.raises(ApprovalMissing):
        desk.approve(row)
    assert desk.ask().state == ApprovalState.REQUESTED  # asking again is a new request


def test_of_two_requests_about_the_same_one_is_open(desk: Desk) -> None:
    desk.ask()
    with pytest.raises(Conflict):
        desk.ask()


def test_a_request_lapses_also_where_no_job_ran(desk: Desk) -> None:
    row = desk.ask()
    clock_set(market_at=row.expires_at, speed_ratio=Decimal(0))
    with pytest.raises(ApprovalMissing, match="in time"):
        desk.approve(row)
    assert desk.ask().id != row.id  # the old one made room
    row.refresh_from_db()
    assert row.state == ApprovalState.EXPIRED


def test_an_approval_lapses_too(desk: Desk) -> None:
    row = desk.approve(desk.ask())
    clock_set(market_at=row.expires_at, speed_ratio=Decimal(0))
    with pytest.raises(ApprovalMissing):
        approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)
    services.approval_expire(claim=claim_of(services.EXPIRE_KIND, str(row.id)))
    row.refresh_from_db()
    assert row.state == ApprovalState.EXPIRED


def test_the_same_content_has_the_same_digest() -> None:
    a = {"b": Decimal("1.50"), "a": [1, "字"]}
    assert services.content_digest(a) == services.content_digest({"a": [1, "字"], "b": "1.50"})
    # printf '{"a":[1,"字"],"b":"1.50"}' | sha256sum
    import hashlib

    assert (
        services.content_digest(a)
        == hashlib.sha256('{"a":[1,"字"],"b":"1.50"}'.encode()).hexdigest()
    )


@pytest.mark.parametrize(
    "change",
    [
        "state = 'APPROVED', checker = maker, decided_at = now()",  # the maker decides
        "state = 'APPROVED', checker = 'client:1', decided_at = now()",  # a machine decides
        "state = 'APPROVED'",  # nobody decides
        "state = 'USED', checker = 'user:1', decided_at = now(), used_at = now()",  # no approval
        "content_sha256 = repeat('0', 64)",
        "maker = 'user:1'",
        "expires_at = expires_at + interval '1 day'",
    ],
)
def test_the_database_refuses_it_by_itself(desk: Desk, change: str) -> None:
    row = desk.ask()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE approvals_approval SET {change} WHERE id = %s", [row.id])  # noqa: S608


@pytest.mark.parametrize(
    "change", ["checker = 'user:99999'", "state = 'REQUESTED'", "decision_reason = 'other'"]
)
def test_a_decision_is_never_changed(desk: Desk, change: str) -> None:
    row = desk.approve(desk.ask())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE approvals_approval SET {change} WHERE id = %s", [row.id])  # noqa: S608


def test_no_approval_is_born_decided_or_dies(desk: Desk) -> None:
    row = desk.approve(desk.ask())
    with pytest.raises(IntegrityError, match="begins as REQUESTED"), transaction.atomic():
        Approval.objects.create(
            kind=row.kind,
            organisation=row.organisation,
            subject="payments.file:9",
            content_sha256="0" * 64,
            maker="user:1",
            checker="user:2",
            state=ApprovalState.APPROVED,
            requested_at=row.requested_at,
            expires_at=row.expires_at,
            decided_at=row.requested_at,
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(id=row.id).delete()
