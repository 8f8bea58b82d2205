"""Read settlements, and walk back from any yen to the need that caused it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from accounts.core.errors import NotFound
from accounts.ledger.selectors import transfer_by_id
from accounts.parties.models import Organisation, OrganisationKind
from aggregator.metering.selectors import deliveries_effective
from aggregator.settlement.chains import runs_in_force, runs_in_force_of
from aggregator.settlement.models import (
    RunKind,
    SettlementItem,
    SettlementLine,
    SettlementPeriod,
    SettlementRun,
)
from aggregator.settlement.parties import MarketParties
from aggregator.settlement.results import result_of
from market.clearing.models import Award, AwardInterval
from market.clearing.selectors import run_published_of
from market.trading.models import Auction, Need

LINES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class TraceStep:
    """One step of the way back: what it is, which row, what it says, and its figures."""

    noun: str
    id: str
    text: str
    detail: dict[str, Any] = field(default_factory=dict)


def settlement_run_latest(*, auction: Auction, kind: str | None = None) -> SettlementRun | None:
    """Return an auction's latest run, of one kind if named.

    Else the newest of those in force: the last correction of the final run, or that itself. It
    may hold differences alone: what is owed is in all of
    :func:`aggregator.settlement.chains.runs_in_force`.
    """
    if kind is not None:
        runs = SettlementRun.objects.filter(auction=auction, kind=RunKind(kind))
        return runs.order_by("-revision").first()
    return next(reversed(runs_in_force(auction=auction)), None)


def lines_of(*, run: SettlementRun, seen_by: Organisation) -> QuerySet[SettlementLine]:
    """Return a run's own lines: those an organisation pays or is paid, all for the aggregator."""
    lines = SettlementLine.objects.filter(run=run).select_related(
        "payer__organisation", "payee__organisation", "award__resource", "need"
    )
    if seen_by.kind != OrganisationKind.AGGREGATOR:
        lines = lines.filter(Q(payer__organisation=seen_by) | Q(payee__organisation=seen_by))
    return lines.order_by("id")


def items_of(*, period: SettlementPeriod) -> QuerySet[SettlementItem]:
    """Return the items of every close of a period."""
    return (
        SettlementItem.objects.filter(period=period)
        .select_related("account__organisation", "transfer")
        .order_by("close_number", "account_id", "item")
    )


def period_on(auction: Auction) -> SettlementPeriod | None:
    """Return the period that an auction's delivery date belongs to."""
    return SettlementPeriod.objects.filter(
        start_on__lte=auction.delivery_on, end_on__gt=auction.delivery_on
    ).first()


def trace_transfer(transfer_id: UUID | str) -> list[TraceStep]:
    """Walk from a posted transfer back to what caused it.

    Returns
    -------
    list of TraceStep
        Transfer, settlement item, run, the largest lines of the item, and for the largest of
        them delivery, award, bid and the needs it served (or the need itself, or the element).

    Raises
    ------
    NotFound
        If there is no such transfer.
    """
    transfer = transfer_by_id(UUID(str(transfer_id)))
    if transfer is None:
        raise NotFound(field="transfer_id", value=str(transfer_id), rule="a posted transfer")
    steps = [
        TraceStep(
            noun="Transfer",
            id=str(transfer.id),
            text=f"{transfer.debit} → {transfer.credit} {transfer.amount_jpy:,} 円",
            detail={
                "code": transfer.code,
                "amount_jpy": transfer.amount_jpy,
                "posted_at": transfer.posted_at.isoformat(),
                "period": transfer.period,
            },
        )
    ]
    if transfer.corrects_id is not None:
        return [*steps, *trace_transfer(transfer.corrects_id)]
    item = SettlementItem.objects.filter(transfer=transfer).select_related("period").first()
    if item is None:
        return steps
    steps.append(
        TraceStep(
            noun="SettlementItem",
            id=str(item.pk),
            text=f"{item.item} {item.total_exact_jpy} 円 → {item.amount_jpy:,} 円",
            detail={
                "total_exact_jpy": str(item.total_exact_jpy),
                "amount_jpy": item.amount_jpy,
                "posted_before_jpy": item.posted_before_jpy,
            },
        )
    )
    lines = _lines_behind(item)
    totals = lines.values("run_id").annotate(sum_jpy=Sum("amount_exact_jpy")).order_by("run_id")
    steps += _run_steps(row["run_id"] for row in totals)
    largest = list(lines.order_by("-amount_exact_jpy", "id")[:LINES_SHOWN])
    steps += [_line_step(line) for line in largest]
    if largest:
        steps += _cause_steps(largest[0])
    return steps


def _lines_behind(item: SettlementItem) -> QuerySet[SettlementLine]:
    """Lines of the final runs and corrections that the item's close stood on."""
    auctions = Auction.objects.filter(
        delivery_on__gte=item.period.start_on, delivery_on__lt=item.period.end_on
    )
    closed_at = item.transfer.posted_at if item.transfer else None
    in_force = runs_in_force_of(auctions=auctions, kind=RunKind.FINAL, at=closed_at).values()
    runs = [run.pk for run in chain.from_iterable(in_force)]
    return SettlementLine.objects.filter(
        Q(payer_id=item.account_id) | Q(payee_id=item.account_id), run_id__in=runs, item=item.item
    )


def _run_steps(run_ids: Iterable[int]) -> list[TraceStep]:
    runs = SettlementRun.objects.filter(id__in=list(run_ids)).select_related(
        "auction", "verification"
    )
    return [
        TraceStep(
            noun="SettlementRun",
            id=str(run.pk),
            text=str(run),
            detail={"input_sha256": run.input_sha256, "rules": run.ruleset_version},
        )
        for run in runs
    ]


def _line_step(line: SettlementLine) -> TraceStep:
    koma = "" if line.t is None else f" コマ{line.t + 1}"
    detail = {"amount_exact_jpy": str(line.amount_exact_jpy), "t": line.t}
    for name in ("quantity_kwh", "price_jpy_per_kwh", "quantity_gb", "price_jpy_per_gb", "element"):
        value = getattr(line, name)
        if value is not None:
            detail[name] = str(value)
    return TraceStep(
        noun="SettlementLine",
        id=str(line.pk),
        text=f"{line.get_item_display()}{koma} {line.payer} → {line.payee}"
        f" {line.amount_exact_jpy} 円",
        detail=detail,
    )


def _cause_steps(line: SettlementLine) -> list[TraceStep]:
    steps = []
    if line.award_id is not None:
        steps += _award_steps(line, line.award_id)
    if line.need_id is not None:
        steps += _need_steps([line.need_id])
    elif line.award_id is not None:
        steps += _need_steps(needs_served(line, line.award_id))
    return steps


def _award_steps(line: SettlementLine, award_id: UUID) -> list[TraceStep]:
    award = Award.objects.select_related("bid", "resource", "organisation").get(id=award_id)
    steps = []
    deliveries = deliveries_effective(verification_id=line.run.verification_id).filter(
        award_id=award_id
    )
    delivery = (
        deliveries.filter(t=line.t).first()
        if line.t is not None
        else deliveries.order_by("-delivered_kwh", "t").first()
    )
    if delivery is not None:
        steps.append(
            TraceStep(
                noun="Delivery",
                id=str(delivery.pk),
                text=f"コマ{delivery.t + 1} 約定 {delivery.ordered_kwh} kWh"
                f" 供出 {delivery.delivered_kwh} kWh 未達 {delivery.shortfall_kwh} kWh",
                detail={
                    "baseline_kwh": str(delivery.baseline_kwh),
                    "metered_kwh": str(delivery.metered_kwh),
                    "reading_revision": delivery.reading_revision,
                },
            )
        )
    interval = AwardInterval.objects.filter(
        award=award, t=delivery.t if delivery is not None else 0
    ).first()
    steps.append(
        TraceStep(
            noun="Award",
            id=str(award.pk),
            text=f"{award.organisation} {award.resource} {award.get_direction_display()}",
            detail={}
            if interval is None
            else {
                "t": interval.t,
                "quantity_kw": str(interval.quantity_kw),
                "price_jpy_per_kwh": str(interval.price_jpy_per_kwh),
            },
        )
    )
    steps.append(
        TraceStep(
            noun="Bid",
            id=str(award.bid_id),
            text=str(award.bid),
            detail={
                "form": award.bid.form,
                "received_at": award.bid.received_at.isoformat(),
                "leaf_sha256": award.bid.leaf_sha256,
            },
        )
    )
    return steps


def needs_served(line: SettlementLine, award_id: UUID) -> list[UUID]:
    """Return the needs behind the price of an award's half hour, heaviest first."""
    known = line.award if line.award_id == award_id else None
    rows = Award.objects.select_related("resource__site", "auction__grid_model")
    award = rows.get(id=award_id) if known is None else known
    published = run_published_of(award.auction)
    if published is None:
        return []
    result = result_of(published, MarketParties(published))
    site = award.resource.site
    t = line.t
    if t is None:
        first = AwardInterval.objects.filter(award=award).order_by("-quantity_kw", "t").first()
        t = 0 if first is None else first.t
    shares = result.credits(site=site.code, area=site.area_id, direction=award.direction, t=t)
    heaviest = sorted(shares, key=lambda share: (-share.weight, str(share.need)))
    return [UUID(share.need) for share in heaviest if share.need is not None]


def _need_steps(need_ids: list[UUID]) -> list[TraceStep]:
    needs = {
        need.id: need
        for need in Need.objects.filter(id__in=need_ids).select_related(
            "organisation", "congestion_point", "area"
        )
    }
    return [
        TraceStep(
            noun="Need",
            id=str(need_id),
            text=f"{needs[need_id].organisation} {needs[need_id]}"
            f" {needs[need_id].congestion_point or needs[need_id].area}",
            detail={"kind": needs[need_id].kind, "revision": needs[need_id].revision},
        )
        for need_id in need_ids
    ]
