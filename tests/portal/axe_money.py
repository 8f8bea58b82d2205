"""Pages of money and of the team that need a settled day, for axe."""

from __future__ import annotations

from accounts.parties.invitations import invitation_create
from accounts.parties.keys import api_client_create
from accounts.parties.models import Organisation, User
from accounts.parties.roles import Role
from aggregator.core.zengin import BankDetails
from aggregator.outbox.subscriptions import subscription_create
from aggregator.settlement.disputes import dispute_open
from aggregator.settlement.models import Document, SettlementLine
from aggregator.settlement.payments.bank_accounts import bank_account_propose
from aggregator.settlement.payments.batches import payment_batch_create
from tests import cast
from tests.apps.paying import PAY_ON, Clerks

Page = tuple[User | None, str]


def pages() -> list[Page]:
    """Return who opens which address; makes the rows for them."""
    clerks = Clerks()
    shiroi = Organisation.objects.get(code="shiroi-dc")
    trader = cast.member("shiroi-accountant", shiroi, Role.OPERATOR_TRADER)
    return [*_of_party(clerks, shiroi, trader), *_of_house(clerks, shiroi), *_of_team(shiroi)]


def _of_party(clerks: Clerks, shiroi: Organisation, trader: User) -> list[Page]:
    first, second = SettlementLine.objects.filter(
        payee__organisation=shiroi, item="SELLER_ENERGY"
    ).order_by("id")[:2]
    dispute = dispute_open(
        organisation=shiroi, line_ids=[second.pk], reason_code="READING",
        reason="計量値が現地の記録と 120 kWh 違います。", actor=f"user:{trader.pk}",
    )  # fmt: skip
    day = clerks.period.start_on.isoformat()
    statement = Document.objects.get(organisation=shiroi, kind="STATEMENT")
    found = [
        "/money/statements/",
        f"/money/statements/shiroi-dc/{day}/",
        f"/money/statements/shiroi-dc/{day}/lines/?item=SELLER_ENERGY",
        f"/money/lines/{first.pk}/",
        f"/money/disputes/new/?line={first.pk}",
        "/money/disputes/",
        f"/money/disputes/{dispute.id}/",
        "/money/documents/",
        f"/money/documents/{statement.id}/confirm/",
        "/team/notices/",
        "/team/preferences/",
    ]
    return [(trader, address) for address in found]


def _of_house(clerks: Clerks, shiroi: Organisation) -> list[Page]:
    batch, _ = payment_batch_create(pay_on=PAY_ON, maker=clerks.maker.actor)
    bank, _ = bank_account_propose(
        organisation=shiroi,
        details=BankDetails(
            bank_code="0134", bank_name="チバ", branch_code="015", branch_name="インザイ",
            kind="1", number="3333444", holder="カ）シロイ",
        ),
        maker=clerks.maker.actor,
    )  # fmt: skip
    checker = User.objects.get(pk=clerks.checker.user_id)
    found = [
        "/money/closes/",
        "/money/closes/reconcile/",
        "/money/payments/",
        f"/money/payments/{batch.id}/",
        "/money/payments/new/",
        "/money/banks/",
        "/money/banks/new/",
        f"/money/banks/{bank.id}/",
        "/team/notices/",
    ]
    return [(checker, address) for address in found]


def _of_team(shiroi: Organisation) -> list[Page]:
    admin = cast.member("shiroi-admin", shiroi, Role.ADMINISTRATOR)
    client, _ = api_client_create(
        organisation=shiroi, client_id="shiroi-ems", role=Role.OPERATOR_TRADER, name="EMS"
    )
    invitation_create(
        organisation=shiroi, email="hanako@example.jp", role=Role.OPERATOR_VIEWER,
        invited_by=f"user:{admin.pk}", address="https://example.jp/",
    )  # fmt: skip
    hook, _ = subscription_create(
        organisation=shiroi, url="https://example.com/hook", topics=["statement.issued"]
    )
    member = admin.memberships.get()
    found = [
        "/team/",
        "/team/invite/",
        f"/team/members/{member.uid}/",
        f"/team/members/{member.uid}/remove/",
        "/team/keys/",
        "/team/keys/new/",
        f"/team/keys/{client.id}/rotate/",
        "/team/webhooks/",
        "/team/webhooks/new/",
        f"/team/webhooks/{hook.id}/",
        f"/team/webhooks/{hook.id}/remove/",
    ]
    return [(admin, address) for address in found]
