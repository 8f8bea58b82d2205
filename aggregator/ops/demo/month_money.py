"""The money side of the demo month: bank accounts, a payment file, an objection, corrections.

Each step is what people do at the portal or the admin, in their names; what follows by itself
(closing, documents) is left to the jobs.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from django.db import transaction

from accounts.approvals.models import Approval
from accounts.approvals.services import approval_approve
from accounts.audit.acting import acting_as
from accounts.clock.selectors import market_now
from accounts.core.files import file_checked
from accounts.jobs.services import Claim, job_finish
from accounts.parties.models import Organisation, User
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight, sight_of
from aggregator.core.business_days import next_business_day
from aggregator.core.zengin import BankDetails
from aggregator.metering.models import IntervalReading, Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.ops.demo import agents
from aggregator.ops.demo.month_steps import days_of
from aggregator.ops.demo.steps import auction_code, delivery_of, no_time_limits
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.disputes import (
    dispute_decide,
    dispute_evidence_add,
    dispute_open,
    dispute_review_start,
)
from aggregator.settlement.models import SettlementLine
from aggregator.settlement.payments.bank_accounts import (
    bank_account_activate,
    bank_account_propose,
)
from aggregator.settlement.payments.batches import payment_batch_create, payment_batch_release
from aggregator.settlement.payments.results import payment_result_import
from aggregator.settlement.selectors import settlement_run_latest
from market.core.timegrid import JST, interval_starts_at
from market.registry.models import Resource
from market.trading.models import Auction

MAKER: Final = "settlement"
CHECKER: Final = "settlement-2"
PAYER_CODE: Final = "0000010001"
BANK: Final = {
    "bank_code": "9990",
    "bank_name": "デモ",
    "branch_code": "001",
    "branch_name": "ホンテン",
}
ACCOUNT_FIRST: Final = 1_000_001
SHORT_RESOURCE: Final = next(iter(agents.FALLS_SHORT))
DISPUTED_DAY: Final = 4  # index in the month: a Wednesday in the usual demo month
CORRECTED_DAY: Final = 11
CORRECTED_RESOURCE: Final = "inzai-dc-load"
CORRECTED_RATIO: Final = Decimal("1.01")
TICK_KWH: Final = Decimal("0.001")
LOG: Final = "時刻,出力変更\n18:00,実施済\n"


def _person(username: str) -> Sight:
    return sight_of(User.objects.get(username=username))


def _day_of(claim: Claim, index: int) -> date:
    """Return a day of the month by its index, or the last that was run."""
    last = int(claim.payload["days_count"]) - 1
    return days_of(delivery_of(claim))[min(index, last)]


def _approved(approval: Approval) -> None:
    checker = _person(CHECKER)
    with acting_as(checker.actor):
        approval_approve(
            approval_id=approval.id, by=checker, content_sha256=approval.content_sha256
        )


@transaction.atomic
def banks_step(*, claim: Claim) -> None:
    """Propose and approve everybody's bank account."""
    house = aggregator()
    maker = _person(MAKER)
    for number, organisation in enumerate(
        Organisation.objects.order_by("code"), start=ACCOUNT_FIRST
    ):
        row, approval = bank_account_propose(
            organisation=organisation,
            details=BankDetails(
                **BANK, kind="1", number=str(number), holder=organisation.code.upper()
            ),
            maker=maker.actor,
            payer_code=PAYER_CODE if organisation == house else "",
        )
        _approved(approval)
        bank_account_activate(bank_account_id=row.id)
    job_finish(claim=claim)


@transaction.atomic
def pay_step(*, claim: Claim) -> None:
    """Pay what is due: one person makes the file, another approves it, the bank pays."""
    maker = _person(MAKER)
    pay_on = next_business_day(market_now().astimezone(JST).date())
    batch, approval = payment_batch_create(pay_on=pay_on, maker=maker.actor)
    _approved(approval)
    payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=maker.actor)
    lines = ["batch,reference,amount_jpy,status,reason"]
    lines += [
        f"{batch.id},{row.reference},{row.amount_jpy},PAID,"
        for row in batch.rows.order_by("reference")
    ]
    payment_result_import(batch_id=batch.id, content="\r\n".join(lines).encode(), actor=maker.actor)
    job_finish(claim=claim)


@transaction.atomic
def dispute_step(*, claim: Claim) -> None:
    """Let an operator object to a day's penalties, show a log, and have the desk agree."""
    on = _day_of(claim, DISPUTED_DAY)
    run = settlement_run_latest(auction=Auction.objects.get(code=auction_code(on)))
    resource = Resource.objects.select_related("site__organisation").get(code=SHORT_RESOURCE)
    operator = resource.site.organisation
    lines = list(
        SettlementLine.objects.filter(
            run=run, item="SHORTFALL_PENALTY", award__resource=resource
        ).order_by("id")[:48]
    )
    trader = _person("makinohara-trader")
    dispute = dispute_open(
        organisation=operator,
        line_ids=[line.pk for line in lines],
        reason_code="DELIVERY",
        reason="冷却設備の警報で系統運用者が抑制の中断を求めた時間帯であり、違約金の対象外です。",
        actor=trader.actor,
    )
    dispute_evidence_add(
        dispute_id=dispute.id,
        organisation=operator,
        file=file_checked("operation-log.csv", "text/csv", LOG.encode()),
        actor=trader.actor,
    )
    desk = _person(MAKER)
    house = aggregator()
    dispute_review_start(dispute_id=dispute.id, organisation=house, actor=desk.actor)
    dispute_decide(
        dispute_id=dispute.id,
        organisation=house,
        outcome="ACCEPTED",
        text="運転記録により確認しました。違約金を取り消します。",
        actor=desk.actor,
    )
    adjustment_run(
        dispute_id=dispute.id,
        deltas=[LineDelta(line_id=line.pk, amount_exact_jpy=Decimal(0)) for line in lines],
        actor=desk.actor,
    )
    job_finish(claim=claim)


@transaction.atomic
def recount_step(*, claim: Claim) -> None:
    """Let a grid operator correct one meter's confirmed values of a day (確定値の訂正)."""
    no_time_limits()
    on = _day_of(claim, CORRECTED_DAY)
    rows = (
        IntervalReading.objects.filter(
            meter__resource__code=CORRECTED_RESOURCE,
            start_at__in=interval_starts_at(on),
            stage=Stage.FINAL,
        )
        .order_by("start_at", "-revision")
        .distinct("start_at")
        .values_list("meter__point_number", "start_at", "energy_kwh", "quality")
    )
    readings_ingest(
        rows=[
            ReadingRow(
                point_number=number,
                start_at=start_at,
                energy_kwh=(energy_kwh * CORRECTED_RATIO).quantize(TICK_KWH),
                quality=quality,
                stage=Stage.FINAL,
            )
            for number, start_at, energy_kwh, quality in rows
        ],
        source="grid operator, corrected",
    )
    job_finish(claim=claim)
