"""Carry out what a dispute decided: a correction of the disputed lines and of what follows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.core.money import EXACT_PLACES, exact
from aggregator.core.deltas import PASSED_ON, Decided, adjustment_lines, decided_jpy
from aggregator.core.settlement import Item, Line, Share
from aggregator.core.terms import rules_from_mapping
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.agreed import AgreedTerms, terms_kept
from aggregator.settlement.chains import line_since_jpy, place_of, runs_in_force
from aggregator.settlement.close_requests import correction_close_request
from aggregator.settlement.dispute_models import Dispute, DisputedLine, DisputeState
from aggregator.settlement.lines import lines_copy
from aggregator.settlement.models import (
    CorrectionCause,
    LineAdjustment,
    RunKind,
    SettlementLine,
    SettlementRun,
)
from aggregator.settlement.parties import MarketParties
from aggregator.settlement.results import PublishedResult, result_of
from aggregator.settlement.runs import residuals_write
from aggregator.settlement.staging import capacity_buyers
from market.clearing.models import Award
from market.clearing.selectors import run_published_of
from market.core.timegrid import interval_starts_at
from market.trading.models import Auction

OF_CAPACITY = frozenset({Item.CAPACITY_PENALTY_I, Item.CAPACITY_PENALTY_II})


class DisputeNotAccepted(Refused):
    """A correction needs a dispute that was decided for who objected, and is not carried out."""


@dataclass(frozen=True, kw_only=True)
class LineDelta:
    """What one disputed line should have been: the amount, or quantity and price behind it."""

    line_id: int
    quantity_kwh: Decimal | None = None
    price_jpy_per_kwh: Decimal | None = None
    amount_exact_jpy: Decimal | None = None


@transaction.atomic
def adjustment_run(
    *, dispute_id: UUID, deltas: Sequence[LineDelta], actor: str
) -> list[SettlementRun]:
    """Correct the lines of an accepted dispute to what settlement says they should have been.

    A correction per auction: the difference of each line, what follows from it for the buyers,
    the fee and agreed splits, and what else it costs, borne by the aggregator. The dispute's
    hold ends with it. The decision was the dispute's; who carries it out is in the audit trail.

    Parameters
    ----------
    dispute_id
        An accepted dispute whose amount is still held.
    deltas
        One for each line of the dispute that changes; at least one.
    actor
        Who acts, as audit entries name them.

    Returns
    -------
    list of SettlementRun
        The corrections, in order of auction code.

    Raises
    ------
    NotFound
        If there is no such dispute.
    DisputeNotAccepted
        If it was not accepted, or is carried out already.
    Refused
        Naming the line that is not of the dispute, or a number out of bounds.
    """
    bulk_limits_set()
    dispute = Dispute.objects.select_for_update(of=("self",)).filter(id=dispute_id).first()
    if dispute is None:
        raise NotFound(field="dispute", value=str(dispute_id), rule="a dispute")
    if dispute.state != DisputeState.ACCEPTED or not dispute.is_held:
        raise DisputeNotAccepted(
            field="dispute", value=dispute.state, rule="accepted, and not corrected yet"
        )
    lines = _lines_of(dispute, deltas)
    by_auction: dict[Auction, list[tuple[LineDelta, SettlementLine]]] = defaultdict(list)
    for delta, line in zip(deltas, lines, strict=True):
        by_auction[line.run.auction].append((delta, line))
    runs = [
        _corrected(dispute, auction, by_auction[auction], actor)
        for auction in sorted(by_auction, key=lambda auction: auction.code)
    ]
    dispute.corrected_by = runs[-1]
    dispute.is_held = False
    dispute.save(update_fields=["corrected_by", "is_held"])
    return runs


def _lines_of(dispute: Dispute, deltas: Sequence[LineDelta]) -> list[SettlementLine]:
    disputed = {
        row.line_id: row.line
        for row in DisputedLine.objects.filter(dispute=dispute).select_related("line__run__auction")
    }
    if not deltas or len({delta.line_id for delta in deltas}) != len(deltas):
        raise Refused(field="deltas", value=len(deltas), rule="one or more lines, each once")
    places: set[tuple[Any, ...]] = set()
    for n, delta in enumerate(deltas):
        if delta.line_id not in disputed:
            raise Refused(
                field=f"deltas[{n}].line", value=delta.line_id, rule="a line of the dispute"
            )
        for name in ("quantity_kwh", "price_jpy_per_kwh", "amount_exact_jpy"):
            value = getattr(delta, name)
            if value is None:
                continue
            checked = exact(value, field=f"deltas[{n}].{name}")
            if checked != checked.quantize(Decimal(1).scaleb(-EXACT_PLACES)):
                rule = f"at most {EXACT_PLACES} decimal places"
                raise Refused(field=f"deltas[{n}].{name}", value=value, rule=rule)
        place = place_of(disputed[delta.line_id])
        if place in places:
            rule = "one line of an item, of the same parties and half hour"
            raise Refused(field=f"deltas[{n}].line", value=delta.line_id, rule=rule)
        places.add(place)
        decided_jpy(
            Decided(
                line=_pure(disputed[delta.line_id]),
                quantity_kwh=delta.quantity_kwh,
                price_jpy_per_kwh=delta.price_jpy_per_kwh,
                amount_exact_jpy=delta.amount_exact_jpy,
            )
        )
    return [disputed[delta.line_id] for delta in deltas]


def _corrected(
    dispute: Dispute,
    auction: Auction,
    decided: Sequence[tuple[LineDelta, SettlementLine]],
    actor: str,
) -> SettlementRun:
    # as every correction does: a close that goes on meanwhile counts this one or is over
    SettlementRun.objects.select_for_update().filter(auction=auction, kind=RunKind.FINAL).first()
    settled = runs_in_force(auction=auction, kind=RunKind.FINAL)
    if not settled:
        raise DisputeNotAccepted(
            field="auction", value=auction.code, rule="settled finally before it is corrected"
        )
    head = settled[-1]
    known = " ".join(str(delta) for delta, _ in sorted(decided, key=lambda pair: pair[0].line_id))
    run = SettlementRun.objects.create(
        auction=auction,
        verification=head.verification,
        kind=RunKind.CORRECTION,
        revision=len(settled),
        input_sha256=hashlib.sha256(
            f"{head.input_sha256} {dispute.id} {known}".encode()
        ).hexdigest(),
        ruleset_version=auction.ruleset_id,
        executed_at=market_now(),
        corrects=head,
        cause_kind=CorrectionCause.DISPUTE,
        cause_id=str(dispute.id),
    )
    LineAdjustment.objects.bulk_create(
        LineAdjustment(
            run=run,
            line=line,
            quantity_kwh=delta.quantity_kwh,
            price_jpy_per_kwh=delta.price_jpy_per_kwh,
            amount_exact_jpy=delta.amount_exact_jpy,
        )
        for delta, line in decided
    )
    count = adjustment_write(
        run=run, adjustments=list(run.adjustments.order_by("id")), terms=terms_kept(run)
    )
    entry_append(
        action="settlement.run.adjusted",
        subject=run,
        organisation_id=dispute.organisation_id,
        detail={
            "auction": auction.code,
            "revision": run.revision,
            "dispute": str(dispute.id),
            "adjustments": len(decided),
            "lines": count,
            "actor": actor,
        },
    )
    correction_close_request(run=run)
    return run


def adjustment_write(
    *, run: SettlementRun, adjustments: Sequence[LineAdjustment], terms: AgreedTerms | None
) -> int:
    """Write the lines of a dispute's correction that has none yet; returns how many.

    `terms` are those of the run that is corrected; None takes those in force.
    """
    published = run_published_of(run.auction)
    if published is None:
        raise NotFound(field="auction", value=run.auction.code, rule="has a published result")
    parties = MarketParties(published, kept=terms)
    result = result_of(published, parties)
    rules = rules_from_mapping(run.auction.ruleset.rules.get("settlement", {}))
    decisions = [_decided(row, result) for row in adjustments]
    starts_at = interval_starts_at(run.auction.delivery_on)
    lines = adjustment_lines(decisions, fee_ratio=rules.fee_ratio, house=parties.house)
    count = lines_copy(run_id=run.pk, lines=lines, starts_at=starts_at)
    return count + residuals_write(run=run, house=parties.house, starts_at=starts_at)


def _decided(row: LineAdjustment, result: PublishedResult) -> Decided:
    stored = row.line
    bought: tuple[Share, ...] = ()
    award: Award | None = None
    if stored.award_id is not None:
        award = Award.objects.select_related("resource__site").get(id=stored.award_id)
        bought = _buyers(stored, award, result)
    return Decided(
        line=_pure(stored),
        since_jpy=line_since_jpy(stored, before=row.run),
        quantity_kwh=row.quantity_kwh,
        price_jpy_per_kwh=row.price_jpy_per_kwh,
        amount_exact_jpy=row.amount_exact_jpy,
        splits=result.parties.splits_of(_site_of(stored, award, result)),
        credits=bought,
    )


def _site_of(stored: SettlementLine, award: Award | None, result: PublishedResult) -> UUID | None:
    """Return the site whose receipt a line is.

    What a stand-in receives names the award that was lost and, as its element, the instruction:
    its receipts are shared at its own site, not at that one's. Computing and payment rules
    name a bid.
    """
    if stored.item == Item.REPLACEMENT and stored.element is not None:
        instruction = DispatchInstruction.objects.select_related("resource").get(id=stored.element)
        return instruction.resource.site_id
    if award is not None:
        return award.resource.site_id
    return result.parties.sites_of_bids.get(stored.element or "")


def _buyers(stored: SettlementLine, award: Award, result: PublishedResult) -> tuple[Share, ...]:
    """Return whom what is taken from a seller by this line goes to."""
    item, site = Item(stored.item), award.resource.site
    if item not in PASSED_ON or stored.t is None:
        return ()
    if item in OF_CAPACITY:
        found = capacity_buyers(result)
        product = str(award.product_id)
        return found.get((product, site.area_id, stored.t)) or found.get(
            (product, "", stored.t), ()
        )
    return result.credits(site=site.code, area=site.area_id, direction=award.direction, t=stored.t)


def _pure(stored: SettlementLine) -> Line:
    numbers: dict[str, Any] = {
        name: getattr(stored, name)
        for name in ("quantity_kwh", "price_jpy_per_kwh", "quantity_gb", "price_jpy_per_gb")
    }
    return Line(
        item=Item(stored.item),
        payer=str(stored.payer_id),
        payee=str(stored.payee_id),
        t=stored.t,
        amount_exact_jpy=stored.amount_exact_jpy,
        award=None if stored.award_id is None else str(stored.award_id),
        need=None if stored.need_id is None else str(stored.need_id),
        element=stored.element,
        **numbers,
    )
