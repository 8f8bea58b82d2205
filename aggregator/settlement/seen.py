"""What callers see of settlement: their own side of lines, charges and disputes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from accounts.core.errors import NotFound, NotPermitted
from accounts.ledger.selectors import ledger_account_ids_of
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.models import (
    Dispute,
    DisputedLine,
    RunKind,
    SettlementItem,
    SettlementLine,
    SettlementPeriod,
    SettlementRun,
)

READ = "statement.read"
OPEN = "dispute.open"
DECIDE = "dispute.decide"
READ_LEDGER = "ledger.read"


@dataclass(frozen=True, kw_only=True)
class LineView:
    """Which side of a settlement line a caller sees: its own, or both."""

    sees_all: bool
    account_ids: frozenset[int]
    own_ids: frozenset[UUID]

    def receives(self, row: SettlementLine) -> bool:
        """Whether the caller's side is the one that is paid."""
        return row.payee_id in self.account_ids

    def sees_award(self, row: SettlementLine) -> bool:
        """Whether the award is the caller's: a buyer is not told whose energy it paid for."""
        return self.sees_all or (
            row.award is not None and row.award.organisation_id in self.own_ids
        )


def line_view_of(seen_by: Sight) -> LineView:
    """Return which side of lines a caller sees."""
    own_ids = seen_by.organisations_for(READ)
    sees_all = seen_by.may_everywhere(READ)
    return LineView(
        sees_all=sees_all,
        account_ids=frozenset(() if sees_all else ledger_account_ids_of(organisation_ids=own_ids)),
        own_ids=own_ids,
    )


def run_of(*, auction: str, kind: str | None = None) -> SettlementRun | None:
    """Return the latest settlement of the auction with a code; a final one prevails.

    Without a kind that is the newest run in force: the last correction, if there is any.
    """
    rows = SettlementRun.objects.filter(auction__code=auction)
    if kind is not None:
        rows = rows.filter(kind=RunKind(kind))
    # CORRECTION sorts before FINAL, and that before PROVISIONAL
    return rows.select_related("auction", "verification").order_by("kind", "-revision").first()


def lines_seen(
    *, view: LineView, run: SettlementRun, is_whole: bool = True
) -> QuerySet[SettlementLine]:
    """Lines a caller pays or is paid, or all for the market.

    Of a correction, those of all runs before it in its chain come first: together they say what
    is owed; not `is_whole` leaves them out.

    `place` is the id, in a form that no index of the whole table is sorted by: the run's own
    pages are read, never the lines of other runs before them.
    """
    run_ids = [run.pk]
    if is_whole and run.corrects_id is not None:
        run_ids = [row.pk for row in runs_in_force(auction=run.auction)]
    rows = _lines(view).filter(run_id__in=run_ids).annotate(place=F("id") + 0)
    if not view.sees_all:
        rows = rows.filter(Q(payer_id__in=view.account_ids) | Q(payee_id__in=view.account_ids))
    return rows


def _lines(view: LineView) -> QuerySet[SettlementLine]:
    """Return settlement lines with what is printed beside them.

    That is fetched for the page alone: joined, it would be looked up for every line of the run
    before the page is cut out.
    """
    beside = ["run__auction", "award"]
    if view.sees_all:
        beside += ["payer__organisation", "payee__organisation"]
    return SettlementLine.objects.prefetch_related(*beside)


def held_line_ids(*, line_ids: Collection[int]) -> set[int]:
    """Return those of some lines whose amounts are held by a dispute."""
    rows = DisputedLine.objects.filter(line_id__in=line_ids, dispute__is_held=True)
    return set(rows.values_list("line_id", flat=True))


def charges_seen(*, seen_by: Sight) -> QuerySet[SettlementItem]:
    """Return what closes found for a caller's accounts, or for all."""
    rows = SettlementItem.objects.select_related("period", "account__organisation")
    if seen_by.may_everywhere(READ):
        return rows
    own = ledger_account_ids_of(organisation_ids=seen_by.organisations_for(READ))
    return rows.filter(account_id__in=own)


def organisation_read(*, seen_by: Sight, code: str | None) -> Organisation:
    """Return an organisation whose statements a caller may read; its own if none is named.

    Raises
    ------
    NotFound
        If it is another's, or there is none of that code; in the same words.
    NotPermitted
        If none is named and the caller may read those of several.
    """
    if code is None:
        return seen_by.acting_for(READ)
    rows = Organisation.objects.filter(code=code)
    if not seen_by.may_everywhere(READ):
        rows = rows.filter(id__in=seen_by.organisations_for(READ))
    found = rows.first()
    if found is None:
        raise NotFound(field="organisation", value=code, rule="one that you can see")
    return found


def periods_of(*, organisation: Organisation) -> QuerySet[SettlementPeriod]:
    """Periods in which a close found anything for an organisation."""
    account_ids = ledger_account_ids_of(organisation_ids=[organisation.id])
    items = SettlementItem.objects.filter(period_id=OuterRef("id"), account_id__in=account_ids)
    return SettlementPeriod.objects.filter(Exists(items))


def disputes_by_way(*, seen_by: Sight) -> list[QuerySet[Dispute]]:
    """Disputes of a caller's organisations, of one side and the other, or all for the market."""
    rows = Dispute.objects.prefetch_related("organisation", "counterparty", "corrected_by__auction")
    if seen_by.may_everywhere(READ):
        return [rows]
    own_ids = seen_by.organisations_for(READ)
    return [rows.filter(organisation__in=own_ids), rows.filter(counterparty__in=own_ids)]


def disputes_seen(*, seen_by: Sight) -> QuerySet[Dispute]:
    """Disputes the caller sees from either side, to be narrowed to a few; lists go by way."""
    return reduce(or_, disputes_by_way(seen_by=seen_by))


def disputed_lines_seen(*, view: LineView, dispute: Dispute) -> QuerySet[SettlementLine]:
    """Return the lines of a dispute that the caller can see: both sides of it see each of them."""
    ids = DisputedLine.objects.filter(dispute=dispute).values("line_id")
    return _lines(view).filter(id__in=ids).order_by("id")


def dispute_side(*, seen_by: Sight, dispute: Dispute) -> Organisation:
    """Return the organisation in whose name a caller speaks in a dispute.

    Raises
    ------
    NotPermitted
        If the caller only looks on.
    """
    own_ids = seen_by.organisations_for(OPEN)
    for organisation in (dispute.organisation, dispute.counterparty):
        if organisation.id in own_ids:
            return organisation
    if seen_by.may_everywhere(DECIDE):
        return seen_by.acting_for(DECIDE)
    raise NotPermitted(field="dispute", value=str(dispute.id), rule="a role that may speak")


def dispute_judge(*, seen_by: Sight, dispute: Dispute) -> Organisation:
    """Return the market in whose name a caller decides a dispute.

    Raises
    ------
    NotPermitted
        If the caller belongs to a party of the dispute, or decides nothing here.
    """
    parties = {dispute.organisation_id, dispute.counterparty_id} - {seen_by.market_id}
    if parties & {row.id for row in seen_by.organisations}:
        raise NotPermitted(
            field="dispute", value=str(dispute.id), rule="nobody decides an own dispute"
        )
    if not seen_by.may_everywhere(DECIDE):
        raise NotPermitted(field="dispute", value=str(dispute.id), rule="settlement decides")
    return seen_by.acting_for(DECIDE)
