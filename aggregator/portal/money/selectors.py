"""What money pages read: a party's periods, the way from a yen to its need, disputes, payments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from accounts.ledger.selectors import PeriodTotal, ledger_account_ids_of, period_totals
from accounts.parties.models import Organisation, OrganisationKind, User
from accounts.parties.sight import Sight
from aggregator.settlement.chains import runs_in_force, runs_in_force_of
from aggregator.settlement.dispute_models import Dispute, DisputedLine, DisputeState
from aggregator.settlement.documents_models import Document
from aggregator.settlement.models import SettlementItem, SettlementLine, SettlementPeriod
from aggregator.settlement.payments.dues import dues_standing
from aggregator.settlement.payments_models import BatchState, PaymentPart, PaymentState
from aggregator.settlement.seen import READ, LineView, periods_of
from market.clearing.models import AwardInterval
from market.trading.models import Auction


@dataclass(frozen=True, kw_only=True)
class StatementRow:
    """One period of a party in a list."""

    period: SettlementPeriod
    total: PeriodTotal
    documents: Sequence[Document]
    sent: Sequence[PaymentPart]

    @property
    def statement(self) -> Document | None:
        """The statement that the party confirms."""
        return next((row for row in self.documents if row.kind == "STATEMENT"), None)

    @property
    def account(self) -> Document | None:
        """What is moved."""
        return next((row for row in self.documents if row.kind == "ACCOUNT"), None)

    @property
    def paid_jpy(self) -> int:
        """What banks have moved to the party."""
        return sum(part.amount_jpy for part in self.sent if part.row.state == PaymentState.PAID)

    @property
    def payment(self) -> PaymentPart | None:
        """The latest transfer."""
        return self.sent[-1] if self.sent else None


def organisations_read(sight: Sight) -> list[Organisation]:
    """Return organisations whose statements a person may read, their own first."""
    allowed = sight.organisations_for(READ)
    own = [row for row in sight.organisations if row.id in allowed]
    if not sight.may_everywhere(READ):
        return own
    market = [row for row in own if row.kind != OrganisationKind.AGGREGATOR]
    others = Organisation.objects.exclude(kind=OrganisationKind.AGGREGATOR).exclude(
        id__in=[row.id for row in own]
    )
    return [*market, *others.order_by("code")]


def periods_shown(organisation: Organisation) -> QuerySet[SettlementPeriod]:
    """Return a party's periods."""
    return periods_of(organisation=organisation)


def statement_rows(
    organisation: Organisation, periods: Sequence[SettlementPeriod]
) -> list[StatementRow]:
    """Return periods with their money, their documents of now, and what was paid."""
    totals = period_totals(
        organisation_id=organisation.id, periods=[period.label for period in periods]
    )
    documents: dict[int, list[Document]] = defaultdict(list)
    rows = Document.objects.filter(
        organisation=organisation, period__in=periods, corrected_by__isnull=True
    )
    for row in rows.defer("content").select_related("period").order_by("kind"):
        documents[row.period_id].append(row)
    sent: dict[int, list[PaymentPart]] = defaultdict(list)
    for part in parts_sent(organisation, periods):
        sent[part.document.period_id].append(part)
    return [
        StatementRow(
            period=period,
            total=totals.get(period.label, PeriodTotal()),
            documents=documents[period.pk],
            sent=sent[period.pk],
        )
        for period in periods
    ]


def parts_sent(
    organisation: Organisation, periods: Sequence[SettlementPeriod]
) -> QuerySet[PaymentPart]:
    """Return what was released for a party's accounts, the first first."""
    return (
        PaymentPart.objects.filter(row__organisation=organisation, document__period__in=periods)
        .exclude(row__batch__state__in=[BatchState.DRAFT, BatchState.REJECTED])
        .select_related("row__batch", "row__bank_account", "document")
        .defer("document__content")
        .order_by("id")
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is open between a party and the house [JPY, to the party positive]."""

    open_jpy: int
    held_jpy: int
    asked_count: int


def standing_of(organisation: Organisation) -> Standing:
    """Return what is open now, and how many statements wait for the party's word."""
    dues = dues_standing(organisations=[organisation])
    asked = Document.objects.filter(
        organisation=organisation, kind="STATEMENT", state="ISSUED", corrected_by__isnull=True
    )
    return Standing(
        open_jpy=sum(due.open_jpy for due in dues),
        held_jpy=sum(due.held_jpy for due in dues),
        asked_count=asked.count(),
    )


def waiting_count(organisation_ids: Collection[UUID]) -> int:
    """Return how many statements wait for the word of some parties."""
    rows = Document.objects.filter(
        organisation_id__in=organisation_ids,
        kind="STATEMENT",
        state="ISSUED",
        corrected_by__isnull=True,
    )
    return rows.count()


def undecided_count() -> int:
    """Return how many disputes wait for settlement."""
    return Dispute.objects.filter(state__in=[DisputeState.OPEN, DisputeState.UNDER_REVIEW]).count()


@dataclass(kw_only=True)
class ItemDays:
    """One item of a document with its days."""

    item: str
    is_deduction: bool
    amount_jpy: int
    quantity: str | None
    unit: str
    days: list[dict[str, Any]] = field(default_factory=list)


def items_of(document: Document) -> list[ItemDays]:
    """Return a document's lines, each with the days behind it."""
    found = [
        ItemDays(
            item=row["item"],
            is_deduction=bool(row["is_deduction"]),
            amount_jpy=int(row["amount_jpy"]),
            quantity=row["quantity"],
            unit=row["unit"],
        )
        for row in document.content["lines"]
    ]
    days: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for day in document.content["days"]:
        of_item, on = days[day["item"]], date.fromisoformat(day["on"])
        of_item[on] = of_item.get(on, Decimal(0)) + Decimal(day["amount_exact_jpy"])
    for one in found:
        one.days = [{"on": on, "amount_exact_jpy": amount} for on, amount in days[one.item].items()]
    return found


def items_closed(organisation: Organisation, period: SettlementPeriod) -> list[SettlementItem]:
    """Return what the latest close found for a party, item by item, before any document."""
    ids = ledger_account_ids_of(organisation_ids=[organisation.id])
    rows = list(
        SettlementItem.objects.filter(period=period, account_id__in=ids).order_by(
            "-close_number", "item"
        )
    )
    return [row for row in rows if row.close_number == rows[0].close_number]


def lines_of_day(
    *, organisation: Organisation, on: date, item: str = ""
) -> tuple[list[Auction], QuerySet[SettlementLine]]:
    """Return the auctions of a delivery day, and a party's lines of them as they stand.

    Lines of all runs in force: a correction's differences come after what they correct.
    """
    auctions = list(Auction.objects.filter(delivery_on=on).order_by("code"))
    in_force = runs_in_force_of(auctions=auctions).values()
    run_ids = [run.pk for run in chain.from_iterable(in_force)]
    ids = ledger_account_ids_of(organisation_ids=[organisation.id])
    rows = SettlementLine.objects.filter(
        Q(payer_id__in=ids) | Q(payee_id__in=ids), run_id__in=run_ids
    )
    if item:
        rows = rows.filter(item=item)
    disputed = DisputedLine.objects.filter(line_id=OuterRef("id"), dispute__is_held=True)
    return auctions, rows.annotate(is_held=Exists(disputed)).select_related(
        "run__auction", "award__resource", "need"
    )


def line_seen(*, view: LineView, line_id: int) -> SettlementLine | None:
    """Return a line that the caller pays or is paid, or any for the market."""
    rows = SettlementLine.objects.filter(id=line_id).select_related(
        "run__auction",
        "run__verification",
        "payer__organisation",
        "payee__organisation",
        "award__resource__site",
        "award__auction__grid_model",
        "award__bid",
        "award__organisation",
        "need__organisation",
        "need__congestion_point",
        "need__area",
    )
    if not view.sees_all:
        rows = rows.filter(Q(payer_id__in=view.account_ids) | Q(payee_id__in=view.account_ids))
    return rows.first()


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The way from a yen back to what caused it."""

    period: SettlementPeriod | None
    item: SettlementItem | None
    day_exact_jpy: Decimal
    interval: AwardInterval | None
    needs: Sequence[Any]
    disputes: Sequence[Dispute]


def chain_of(line: SettlementLine, *, account_ids: Collection[int], needs: Sequence[Any]) -> Chain:
    """Return what stands above a line (its day, its item as posted) and beside it."""
    on = line.run.auction.delivery_on
    of_day = {"period__start_on__lte": on, "period__end_on__gt": on}
    items = SettlementItem.objects.filter(account_id__in=account_ids, item=line.item, **of_day)
    item = items.select_related("period").order_by("-close_number").first()
    if item is None:
        period = SettlementPeriod.objects.filter(start_on__lte=on, end_on__gt=on).first()
    else:
        period = item.period
    own = SettlementLine.objects.filter(
        run_id__in=[run.pk for run in runs_in_force(auction=line.run.auction)], item=line.item
    )
    sums = own.aggregate(
        received=Sum("amount_exact_jpy", filter=Q(payee_id__in=account_ids), default=Decimal(0)),
        paid=Sum("amount_exact_jpy", filter=Q(payer_id__in=account_ids), default=Decimal(0)),
    )
    interval = None
    if line.award_id is not None and line.t is not None:
        interval = AwardInterval.objects.filter(award_id=line.award_id, t=line.t).first()
    return Chain(
        period=period,
        item=item,
        day_exact_jpy=sums["received"] - sums["paid"],
        interval=interval,
        needs=needs,
        disputes=list(Dispute.objects.filter(disputed_lines__line=line).order_by("opened_at")),
    )


def people_named(actors: Collection[str]) -> dict[str, str]:
    """Return names of actors such as ``user:7``; machines keep their own."""
    numbers = [int(actor[5:]) for actor in actors if actor.startswith("user:")]
    people = {f"user:{row.pk}": str(row) for row in User.objects.filter(pk__in=numbers)}
    return {actor: people.get(actor, actor) for actor in actors}


def disputes_of_period(organisation: Organisation, period: SettlementPeriod) -> list[Dispute]:
    """Return a party's disputes about lines of a period, the latest first."""
    lines = DisputedLine.objects.filter(
        dispute_id=OuterRef("id"),
        line__run__auction__delivery_on__gte=period.start_on,
        line__run__auction__delivery_on__lt=period.end_on,
    )
    rows = Dispute.objects.filter(Q(organisation=organisation) | Q(counterparty=organisation))
    return list(rows.filter(Exists(lines)).select_related("organisation", "corrected_by__auction"))
