"""Settle one auction: exact lines out of its result and its verified delivery."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused, ensure
from accounts.core.money import sum_exact_jpy
from aggregator.core.charges import charge_lines
from aggregator.core.delivery import Direction
from aggregator.core.settlement import (
    AwardPosition,
    Item,
    Line,
    award_lines,
    credit_lines,
    need_lines,
    path_lines,
    rent_lines,
    residual_lines,
)
from aggregator.core.terms import SettlementRules, rules_from_mapping
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import DeliveryVerification, VerificationStage
from aggregator.metering.selectors import verification_latest
from aggregator.settlement.charging import charges_of, computing_left_jpy
from aggregator.settlement.lines import award_lines_insert, clearing_left, lines_copy
from aggregator.settlement.models import RunKind, SettlementRun
from aggregator.settlement.parties import MarketParties
from aggregator.settlement.results import PublishedResult, result_of
from market.clearing.models import ClearingRun
from market.clearing.selectors import run_published_of
from market.core.timegrid import interval_starts_at
from market.trading.models import Auction

# Published numbers and ours are the same digits; only their sums are formed differently.
RESIDUAL_TOLERANCE_JPY = Decimal(1)


class DeliveryNotVerified(Refused):
    """The auction's delivery has not been verified yet."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything a run is computed from."""

    auction: Auction
    run: ClearingRun
    verification: DeliveryVerification
    rules: SettlementRules
    kind: str
    sha256: str


@transaction.atomic
def settlement_run_execute(*, auction_id: UUID, kind: str | None = None) -> SettlementRun:
    """Write the lines of one auction from its latest verification, unposted.

    The same inputs give the run that is there already: nothing is written twice. Other inputs
    (corrected readings) give the next revision, whose lines stand beside the old ones.

    Parameters
    ----------
    auction_id
        A published auction.
    kind
        PROVISIONAL or FINAL; None takes that of the latest verification.

    Raises
    ------
    NotFound
        If there is no such auction, or it has no published result.
    DeliveryNotVerified
        If its delivery has not been verified, or for FINAL not on final readings.
    BrokenInvariant
        If the lines leave more in the clearing account than the result published as residual.
    """
    bulk_limits_set()
    inputs = _inputs(auction_id, kind)
    latest = (
        SettlementRun.objects.filter(auction=inputs.auction, kind=inputs.kind)
        .order_by("-revision")
        .first()
    )
    if latest is not None and latest.input_sha256 == inputs.sha256:
        return latest
    return _written(inputs, revision=1 if latest is None else latest.revision + 1)


def _inputs(auction_id: UUID, kind: str | None) -> Inputs:
    auction = Auction.objects.select_related("ruleset").filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="an auction")
    published = run_published_of(auction)
    if published is None:
        raise NotFound(field="auction", value=auction.code, rule="has a published result")
    stage = None if kind is None else _stage_of(RunKind(kind))
    verification = verification_latest(auction_id=auction.id, stage=stage)
    if verification is None:
        raise DeliveryNotVerified(
            field="auction",
            value=auction.code,
            rule="is verified on final readings" if stage else "is verified",
        )
    is_final = verification.stage == VerificationStage.FINAL
    rules = rules_from_mapping(auction.ruleset.rules.get("settlement", {}))
    known = f"{published.result_sha256} {verification.input_sha256} {auction.ruleset_id} {rules}"
    return Inputs(
        auction=auction,
        run=published,
        verification=verification,
        rules=rules,
        kind=RunKind.FINAL if is_final else RunKind.PROVISIONAL,
        sha256=hashlib.sha256(known.encode()).hexdigest(),
    )


def _stage_of(kind: RunKind) -> str | None:
    # A provisional run takes whatever was verified last.
    return VerificationStage.FINAL if kind == RunKind.FINAL else None


def _written(inputs: Inputs, *, revision: int) -> SettlementRun:
    parties = MarketParties(inputs.run)
    result = result_of(inputs.run, parties)
    house = parties.house
    starts_at = interval_starts_at(inputs.auction.delivery_on)
    run = SettlementRun.objects.create(
        auction=inputs.auction,
        verification=inputs.verification,
        kind=inputs.kind,
        revision=revision,
        input_sha256=inputs.sha256,
        ruleset_version=inputs.auction.ruleset_id,
        executed_at=market_now(),
    )
    count = award_lines_insert(
        run_ids=[run.id],
        rules=inputs.rules,
        house=house,
        sellers=parties.accounts_of_sellers,
        splits=parties.splits,
    )
    lines, uncredited_jpy = _market_lines(inputs, result)
    count += lines_copy(run_id=run.id, lines=lines, starts_at=starts_at)
    left = clearing_left(run_id=run.id, clearing=house.clearing)
    _check_residual(left, result, uncredited_jpy)
    count += lines_copy(run_id=run.id, lines=residual_lines(left, house=house), starts_at=starts_at)
    left = clearing_left(run_id=run.id, clearing=house.clearing)
    ensure(not any(left.values()), "a settlement run leaves money in the clearing account")
    entry_append(
        action="settlement.run.executed",
        subject=run,
        detail={
            "auction": inputs.auction.code,
            "kind": inputs.kind,
            "revision": revision,
            "lines": count,
        },
    )
    return run


def _market_lines(inputs: Inputs, result: PublishedResult) -> tuple[list[Line], Decimal]:
    """Lines of needs, rents, paths and credits; also what shortfalls took that nobody gets."""
    house = result.parties.house
    lines: list[Line] = []
    for need in result.needs():
        lines += need_lines(need, house=house)
    for rent in result.rents():
        lines += rent_lines(rent, house=house)
    for charge in result.paths():
        lines += path_lines(charge, house=house)
    lines += charge_lines(charges_of(result), house=house)
    uncredited_jpy = Decimal(0)
    for position in _short_positions(inputs, result):
        credited = credit_lines(position, rules=inputs.rules, house=house)
        lines += credited
        if not credited:
            uncredited_jpy += _taken_jpy(position, inputs.rules, result)
    return lines, uncredited_jpy


def _taken_jpy(position: AwardPosition, rules: SettlementRules, result: PublishedResult) -> Decimal:
    taken = award_lines(position, rules=rules, house=result.parties.house)
    return sum_exact_jpy(
        [line.amount_exact_jpy for line in taken if line.item is not Item.SELLER_ENERGY]
    )


def _short_positions(inputs: Inputs, result: PublishedResult) -> list[AwardPosition]:
    """Return the award half hours that fell short, with the buyers they let down."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.award_id, d.t, a.direction, i.price_jpy_per_kwh, d.ordered_kwh,
                   d.shortfall_kwh, site.code, site.area_id
            FROM metering_delivery d
            JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
            JOIN clearing_award a ON a.id = d.award_id
            JOIN registry_resource r ON r.id = a.resource_id
            JOIN registry_site site ON site.id = r.site_id
            WHERE d.verification_id = %s AND d.shortfall_kwh > 0
            ORDER BY d.award_id, d.t
            """,
            [inputs.verification.id],
        )
        rows = cursor.fetchall()
    sellers = result.parties.sellers
    return [
        AwardPosition(
            award=str(award_id),
            t=t,
            direction=Direction(direction),
            price_jpy_per_kwh=price,
            ordered_kwh=ordered_kwh,
            shortfall_kwh=shortfall_kwh,
            seller=sellers[award_id],
            credits=result.credits(site=site, area=area, direction=direction, t=t),
        )
        for award_id, t, direction, price, ordered_kwh, shortfall_kwh, site, area in rows
    ]


def _check_residual(
    left: dict[int | None, Decimal], result: PublishedResult, uncredited_jpy: Decimal
) -> None:
    """Hold what is left against the residual that the engine published beside its prices."""
    found_jpy = sum_exact_jpy([amount for t, amount in left.items() if t is not None])
    published_jpy = result.residual_exact_jpy - computing_left_jpy(result)
    unexplained_jpy = found_jpy - uncredited_jpy - published_jpy
    ensure(
        abs(unexplained_jpy) <= RESIDUAL_TOLERANCE_JPY,
        f"settlement is {unexplained_jpy} yen off the published money identity",
    )
