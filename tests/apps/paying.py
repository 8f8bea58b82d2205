"""The cast's day with its documents issued, bank accounts approved and two clerks to pay."""

from __future__ import annotations

from datetime import date

from accounts.approvals.models import Approval
from accounts.approvals.services import approval_approve
from accounts.audit.acting import acting_as
from accounts.ledger.selectors import balances_at
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from aggregator.core.zengin import BankDetails
from aggregator.settlement.documents.issuing import documents_issue
from aggregator.settlement.models import Document, PaymentBatch, PaymentRow, SettlementPeriod
from aggregator.settlement.payments.bank_accounts import (
    bank_account_activate,
    bank_account_propose,
)
from aggregator.settlement.payments.batches import payment_batch_create, payment_batch_release
from tests import cast
from tests.api.settling import closed_day

PAY_ON = date(2026, 11, 30)  # a Monday
NUMBERS = {"wattbit": "0012345", "inzai-dc": "7654321", "shiroi-dc": "1111222"}


class Clerks:
    """Two people of settlement and what they need to pay."""

    def __init__(self, *, is_closed: bool = False) -> None:
        if not is_closed:
            closed_day()
        self.period = SettlementPeriod.objects.get()
        documents_issue(period_id=self.period.pk)
        self.house = Organisation.objects.get(code="wattbit")
        self.maker = self._person("clerk-1")
        self.checker = self._person("clerk-2")
        for organisation in Organisation.objects.exclude(code="stranger"):
            self.open(organisation)

    @classmethod
    def paying(cls) -> Clerks:
        """Return them for a day that is closed already."""
        return cls(is_closed=True)

    def _person(self, name: str) -> Sight:
        return sight_of(cast.member(name, self.house, Role.SETTLEMENT))

    def open(self, organisation: Organisation, number: str = "") -> None:
        """Propose and approve an organisation's bank account."""
        is_house = organisation == self.house
        row, approval = bank_account_propose(
            organisation=organisation,
            details=BankDetails(
                bank_code="0134",
                bank_name="チバ",
                branch_code="015",
                branch_name="インザイ",
                kind="1",
                number=number or NUMBERS.get(organisation.code, "9000001"),
                holder=f"カ）{organisation.code}",
            ),
            maker=self.maker.actor,
            payer_code="1234567890" if is_house else "",
        )
        self.approve(approval)
        bank_account_activate(bank_account_id=row.id)

    def approve(self, approval: Approval) -> None:
        """Approve as the second person."""
        with acting_as(self.checker.actor):
            approval_approve(
                approval_id=approval.id, by=self.checker, content_sha256=approval.content_sha256
            )

    def account(self, code: str) -> Document:
        """Return the latest account of an organisation."""
        return Document.objects.get(
            organisation__code=code, kind="ACCOUNT", corrected_by__isnull=True
        )

    def made(self) -> tuple[PaymentBatch, Approval]:
        """Return a batch of everything due."""
        return payment_batch_create(pay_on=PAY_ON, maker=self.maker.actor)

    def released(self) -> PaymentBatch:
        """Return one that was approved and released."""
        batch, approval = self.made()
        self.approve(approval)
        return payment_batch_release(
            batch_id=batch.id, file_format="ZENGIN", actor=self.maker.actor
        )


def held_jpy(code: str, account: str = "member") -> int:
    """Return the balance of an organisation's account."""
    return next(
        (b.balance_jpy for b in balances_at()
         if b.organisation_code == code and b.code == account), 0,
    )  # fmt: skip


def row_of(batch: PaymentBatch, code: str) -> PaymentRow:
    """Return the transfer to an organisation."""
    return batch.rows.get(organisation__code=code)


def result_csv(batch: PaymentBatch, **status: str) -> bytes:
    """Write a result: every row PAID unless told otherwise by its code."""
    lines = ["batch,reference,amount_jpy,status,reason"]
    for row in batch.rows.order_by("reference"):
        said = status.get(row.organisation.code.replace("-", "_"), "PAID")
        if said != "-":
            reason = "" if said == "PAID" else "口座なし"
            lines.append(f"{batch.id},{row.reference},{row.amount_jpy},{said},{reason}")
    return "\r\n".join(lines).encode()


def marked(sent: bytes, codes: dict[int, bytes]) -> bytes:
    """Write the bank's codes into a file that was sent: 0 unless told otherwise by reference."""
    records = [sent[at : at + 122] for at in range(0, len(sent), 122)]
    return b"".join(
        record if record[:1] != b"2" else
        record[:113] + codes.get(int(record[91:101]), b"0") + record[114:]
        for record in records
    )  # fmt: skip
