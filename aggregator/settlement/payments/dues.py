"""What is owed to whom now: nets of accounts, less what is disputed, less what was moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from accounts.core.tax import rate_on
from accounts.parties.models import Organisation
from aggregator.core.taxing import treatment_of
from aggregator.settlement.documents.parts import (
    document_rules_of,
    member_account_id,
    runs_settled,
)
from aggregator.settlement.documents_models import Document, Kind
from aggregator.settlement.models import DisputedLine, SettlementLine, SettlementPeriod
from aggregator.settlement.payments_models import (
    BatchState,
    IncomingPayment,
    PaymentBatch,
    PaymentPart,
    PaymentState,
)
from market.trading.models import Auction


@dataclass(frozen=True, kw_only=True)
class Due:
    """What one account still moves [JPY, to the party positive].

    Attributes
    ----------
    net_jpy
        Total of the latest account of the period.
    held_jpy
        Of it, what is disputed and has not moved: never more than what is left, never against it.
    moved_jpy
        What was paid or is on its way, less what came in.
    """

    document: Document
    net_jpy: int
    held_jpy: int
    moved_jpy: int

    @property
    def open_jpy(self) -> int:
        """Return what is left."""
        return self.net_jpy - self.held_jpy - self.moved_jpy


@dataclass(frozen=True, kw_only=True)
class PartyDue:
    """A party's accounts together: above zero it is paid, below zero it owes."""

    organisation: Organisation
    dues: tuple[Due, ...]

    @property
    def open_jpy(self) -> int:
        """Return the net of all accounts."""
        return sum(due.open_jpy for due in self.dues)


@dataclass(frozen=True, kw_only=True)
class _Place:
    auction_id: UUID
    item: str
    award_id: UUID | None
    need_id: UUID | None
    element: str | None
    t: int | None
    other_id: int


def dues_open(
    *, organisations: Sequence[Organisation] | None = None, without: PaymentBatch | None = None
) -> list[PartyDue]:
    """Return what every party is owed or owes now, by code; parties with nothing open are left out.

    Parameters
    ----------
    organisations
        Whose; None for everybody's.
    without
        A batch that is taken not to have been made.
    """
    return parties_open(dues_standing(organisations=organisations, without=without))


def parties_open(dues: Sequence[Due]) -> list[PartyDue]:
    """Join dues that are open by their party."""
    by_party: dict[UUID, list[Due]] = defaultdict(list)
    for due in dues:
        if due.open_jpy:
            by_party[due.document.organisation_id].append(due)
    return [
        PartyDue(organisation=own[0].document.organisation, dues=tuple(own))
        for own in by_party.values()
    ]


def dues_standing(
    *, organisations: Sequence[Organisation] | None = None, without: PaymentBatch | None = None
) -> list[Due]:
    """Return how every latest account stands, by party and period, also where nothing is open.

    Parameters are those of :func:`dues_open`.
    """
    accounts = Document.objects.filter(kind=Kind.ACCOUNT, corrected_by__isnull=True).select_related(
        "organisation", "period"
    )
    if organisations is not None:
        accounts = accounts.filter(organisation__in=organisations)
    rows = list(accounts.order_by("organisation__code", "period__start_on").defer("content"))
    moved = _moved_jpy({row.organisation_id for row in rows}, without)
    held = held_jpy(rows)
    found = []
    for row in rows:
        key = (row.organisation_id, row.period_id)
        moved_jpy = moved.get(key, 0)
        found.append(
            Due(
                document=row,
                net_jpy=row.total_jpy,
                held_jpy=_within(held.get(key, 0), row.total_jpy - moved_jpy),
                moved_jpy=moved_jpy,
            )
        )
    return found


def receivables_open() -> list[PartyDue]:
    """Return the parties that owe: their negative nets are no part of any payment file."""
    return [party for party in dues_open() if party.open_jpy < 0]


def _within(held_jpy: int, left_jpy: int) -> int:
    """Hold back no more than what has not moved: a dispute alone moves no money."""
    return min(max(held_jpy, min(left_jpy, 0)), max(left_jpy, 0))


def _moved_jpy(
    organisation_ids: set[UUID], without: PaymentBatch | None
) -> dict[tuple[UUID, int], int]:
    """Return per party and period what was sent, whatever revision of its account said so."""
    moved: dict[tuple[UUID, int], int] = defaultdict(int)
    parts: Any = (
        PaymentPart.objects.filter(
            row__organisation_id__in=organisation_ids,
            row__state__in=[PaymentState.PENDING, PaymentState.PAID],
        )
        .exclude(row__batch__state=BatchState.REJECTED)
        .values("row__organisation_id", "document__period_id")
        .annotate(sum_jpy=Sum("amount_jpy"))
    )
    if without is not None:
        parts = parts.exclude(row__batch=without)
    for part in parts:
        key = (part["row__organisation_id"], part["document__period_id"])
        moved[key] += int(part["sum_jpy"])
    incoming = (
        IncomingPayment.objects.filter(organisation_id__in=organisation_ids)
        .values("organisation_id", "document__period_id")
        .annotate(sum_jpy=Sum("amount_jpy"))
    )
    for row in incoming:
        moved[row["organisation_id"], row["document__period_id"]] -= int(row["sum_jpy"])
    return moved


def held_jpy(accounts: Sequence[Document]) -> dict[tuple[UUID, int], int]:
    """Return what of each account is held by disputes, whole lines with their tax.

    Lines are exact and money is whole yen: the held lines of an account are added exactly, tax
    included, and rounded up, so that what is paid is never a part of what is disputed. What is
    thereby held too much, less than a yen, is paid when the dispute ends. A held line that the
    party pays counts the other way; :func:`dues_open` bounds the sum by what has not moved.
    """
    found: dict[tuple[UUID, int], int] = {}
    runs: dict[int, list[int]] = {}
    for account in accounts:
        period = account.period
        if period.pk not in runs:
            runs[period.pk] = runs_settled(period) if _is_disputed(period) else []
        if not runs[period.pk]:
            continue
        exact_jpy = _held_exact_jpy(account, runs[period.pk])
        if exact_jpy:
            whole = int(exact_jpy.to_integral_value(rounding=ROUND_CEILING))
            found[account.organisation_id, period.pk] = whole
    return found


def _is_disputed(period: SettlementPeriod) -> bool:
    return DisputedLine.objects.filter(
        dispute__is_held=True,
        line__run__auction__delivery_on__gte=period.start_on,
        line__run__auction__delivery_on__lt=period.end_on,
    ).exists()


def _held_exact_jpy(account: Document, run_ids: Sequence[int]) -> Decimal:
    """Sum what an account's disputed places stand at: received less paid, with tax.

    A place is what one line is about (item, award, need, element, half hour, other side). Later
    corrections write differences at it: what is held is the net of all runs in force, and nothing
    once they have turned it round.
    """
    member = member_account_id(account.organisation)
    own = SettlementLine.objects.filter(Q(payer_id=member) | Q(payee_id=member), run_id__in=run_ids)
    held = own.filter(id__in=DisputedLine.objects.filter(dispute__is_held=True).values("line_id"))
    disputed = _nets(held, member)
    if not disputed:
        return Decimal(0)
    stands = _nets(
        own.filter(
            run__auction_id__in={place.auction_id for place in disputed},
            item__in={place.item for place in disputed},
        ),
        member,
    )
    rules = document_rules_of(account.period)
    days = dict(Auction.objects.in_bulk({place.auction_id for place in disputed}))
    total = Decimal(0)
    for place, disputed_jpy in disputed.items():
        if disputed_jpy * stands[place] <= 0:
            continue
        factor = Decimal(1)
        if treatment_of(place.item).is_taxable:
            factor += rate_on(rules.tax_rates, days[place.auction_id].delivery_on)
        total += stands[place] * factor
    return total


def _nets(lines: QuerySet[SettlementLine], member: int) -> dict[_Place, Decimal]:
    """Add lines by place: received less paid [JPY, exact]."""
    found: dict[_Place, Decimal] = defaultdict(Decimal)
    rows: Any = lines.values(
        "run__auction_id", "item", "award_id", "need_id", "element", "t", "payer_id", "payee_id"
    ).annotate(sum_jpy=Sum("amount_exact_jpy"))
    for row in rows:
        is_received = row["payee_id"] == member
        place = _Place(
            auction_id=row["run__auction_id"],
            item=row["item"],
            award_id=row["award_id"],
            need_id=row["need_id"],
            element=row["element"],
            t=row["t"],
            other_id=row["payer_id"] if is_received else row["payee_id"],
        )
        found[place] += row["sum_jpy"] if is_received else -row["sum_jpy"]
    return found
