"""Whole runs and corrections in SQL are the pure core's, line by line, with every item."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given, settings

from aggregator.core.capacities import CapacityPosition, capacity_lines
from aggregator.core.causes import Compensation, compensation_lines, imbalance_lines
from aggregator.core.delivery import Direction
from aggregator.core.deltas import delta_lines
from aggregator.core.settlement import (
    AwardPosition,
    Line,
    Share,
    award_lines,
    credit_lines,
    share_lines,
)
from aggregator.core.terms import SettlementRules
from aggregator.metering.models import CapacityAssessment, Delivery, DeliveryVerification
from aggregator.settlement.lines import Terms, award_lines_insert, correction_lines_insert
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.positions import changes_stage, tables_ensure, whole_stage
from market.clearing.models import Award, AwardInterval, CapacityInterval, Leg
from market.registry.models import MarketProduct
from tests import cast, settled_day
from tests.settling_markets import (
    HOUSE,
    IMBALANCE,
    LOSS,
    OWNER,
    RETAILER,
    SELLERS,
    Held,
    Market,
    Piece,
    Side,
    awards,
    markets,
    reserved,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def day() -> cast.MarketDay:
    where = settled_day.settled_places()
    MarketProduct.objects.create(
        code="3-1", name="三次①", name_en="RR", response_s=900, quantity_min_kw=1,
        quantity_tick_kw=Decimal("0.1"),
    )  # fmt: skip
    return settled_day.published(where)


COVERED = Piece(
    t=3,
    quantity_kw=Decimal(100),
    price=Decimal(10),
    before=Side(Decimal(1), is_excused=False),
    after=Side(Decimal("0.8"), is_excused=False),
    stand_in_jpy=Decimal(5),
    covered_kwh=Decimal(30),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=awards, drawn_held=reserved, market=markets)
# 50 kWh did not come, read anew 40, and 30 were made up for: 20 kWh of imbalance, then 10
@example(
    drawn=[("UP", "inzai", [COVERED])],
    drawn_held=[],
    market=Market(
        terms=SettlementRules(imbalance_borne_by="SELLER"),
        weights=(Decimal(1),),
        weight=Decimal(0),
        negawatt=None,
        imbalance=Decimal(200),
    ),
)
def test_every_item_of_whole_runs_and_corrections_is_the_core_s(
    day: cast.MarketDay,
    drawn: list[tuple[str, str, list[Piece]]],
    drawn_held: list[tuple[str, list[Held], Decimal, Decimal]],
    market: Market,
) -> None:
    with transaction.atomic():
        first = _verification(day, None)
        second = _verification(day, first)
        run = _run(day, first, None)
        correction = _run(day, second, run)
        awarded = _awarded(day, drawn, market, (first, second))
        held = _held(day, drawn_held, market, (first, second))
        whole = _pure(awarded, held, market, at=0)
        _staged(day, (run, None), awarded, held, market)
        written = award_lines_insert(run_ids=[run.pk], terms=_terms(day, market))
        assert _stored(run) == Counter(map(_key, whole))
        assert written == len(whole)
        _staged(day, (run, correction), awarded, held, market)
        correction_lines_insert(run_ids=[correction.pk], terms=_terms(day, market))
        changed = delta_lines(whole, _pure(awarded, held, market, at=1))
        assert _nets(_stored(correction)) == _nets(Counter(map(_key, changed)))
        transaction.set_rollback(True)


Key = tuple[Any, ...]


def _key(line: Line) -> Key:
    quantity = line.quantity_kwh
    return (
        line.item.value,
        line.payer,
        line.payee,
        line.award,
        line.need,
        line.t,
        None if quantity is None else quantity + 0,
        None if line.price_jpy_per_kwh is None else line.price_jpy_per_kwh + 0,
        line.amount_exact_jpy,
    )


def _stored(run: SettlementRun) -> Counter[Key]:
    return Counter(
        (
            line.item,
            str(line.payer_id),
            str(line.payee_id),
            None if line.award_id is None else str(line.award_id),
            None if line.need_id is None else str(line.need_id),
            line.t,
            line.quantity_kwh,
            line.price_jpy_per_kwh,
            line.amount_exact_jpy,
        )
        for line in SettlementLine.objects.filter(run=run)
    )


def _nets(keys: Counter[Key]) -> dict[Key, Decimal]:
    """Leave out the quantities: of differences they inform only."""
    nets: dict[Key, Decimal] = {}
    for key, count in keys.items():
        assert count == 1, key
        nets[key[:6]] = nets.get(key[:6], Decimal(0)) + key[-1]
    return nets


def _terms(day: cast.MarketDay, market: Market) -> Terms:
    inzai = day.places.sites["inzai"]
    return Terms(
        rules=market.terms,
        house=HOUSE,
        sellers={site.organisation_id: SELLERS[name] for name, site in day.places.sites.items()},
        splits={inzai.id: [Share(account=OWNER, weight=market.weight)]},
    )


def _verification(day: cast.MarketDay, before: DeliveryVerification | None) -> DeliveryVerification:
    return DeliveryVerification.objects.create(
        auction=day.auction,
        revision=1 if before is None else 2,
        stage="FINAL",
        as_of=day.auction.delivery_start,
        ruleset=day.auction.ruleset,
        input_sha256="",
        corrects=before,
        cause_kind="" if before is None else "READING",
    )


def _run(
    day: cast.MarketDay, verification: DeliveryVerification, before: SettlementRun | None
) -> SettlementRun:
    return SettlementRun.objects.create(
        auction=day.auction,
        verification=verification,
        kind="FINAL" if before is None else "CORRECTION",
        revision=1,
        input_sha256="",
        ruleset_version="x",
        executed_at=day.auction.delivery_start,
        corrects=before,
        cause_kind="" if before is None else "READING",
        cause_id="" if before is None else "x",
    )


Sides = tuple[AwardPosition, AwardPosition]


def _awarded(
    day: cast.MarketDay,
    drawn: Sequence[tuple[str, str, list[Piece]]],
    market: Market,
    verifications: tuple[DeliveryVerification, DeliveryVerification],
) -> list[list[Sides]]:
    found = []
    for leg, (direction, where, intervals) in zip(list(Leg)[1:], drawn, strict=False):
        award = _award(day, leg, direction, where)
        positions = []
        for piece in intervals:
            AwardInterval.objects.create(
                award=award,
                t=piece.t,
                start_at=settled_day.half_hour(day, piece.t),
                quantity_kw=piece.quantity_kw,
                price_jpy_per_kwh=piece.price,
            )
            splits = (Share(account=OWNER, weight=market.weight),) if where == "inzai" else ()
            base = AwardPosition(
                award=str(award.id),
                t=piece.t,
                direction=Direction(direction),
                price_jpy_per_kwh=piece.price,
                ordered_kwh=piece.quantity_kw / 2,
                shortfall_kwh=Decimal(0),
                seller=SELLERS[where],
                splits=splits,
                credits=market.buyers,
            )
            first = _delivered(base, piece, piece.before, verifications[0], award)
            last = first
            if piece.after is not None:
                last = _delivered(base, piece, piece.after, verifications[1], award)
            positions.append((first, last))
        found.append(positions)
    return found


def _award(day: cast.MarketDay, leg: str, direction: str, where: str, **more: Any) -> Award:
    return Award.objects.create(
        id=uuid.uuid4(),
        run=day.run,
        auction=day.auction,
        bid=next(iter(day.bids.values())),
        organisation=day.places.sites[where].organisation,
        resource=day.places.resources[f"{where}-load"],
        leg=leg,
        direction=direction,
        **more,
    )


def _delivered(
    base: AwardPosition,
    piece: Piece,
    side: Side,
    verification: DeliveryVerification,
    award: Award,
) -> AwardPosition:
    short_kwh = (base.ordered_kwh * side.missing).quantize(Decimal("0.001"), "ROUND_DOWN")
    Delivery.objects.create(
        verification=verification,
        award=award,
        t=base.t,
        start_at=award.auction.delivery_start,
        ordered_kwh=base.ordered_kwh,
        delivered_kwh=base.ordered_kwh - short_kwh,
        shortfall_kwh=short_kwh,
        over_kwh=0,
        is_excused=side.is_excused,
    )
    return replace(
        base,
        shortfall_kwh=short_kwh,
        is_excused=side.is_excused,
        stand_in_jpy=piece.stand_in_jpy if short_kwh else Decimal(0),
        covered_kwh=piece.covered_kwh if short_kwh and piece.stand_in_jpy else Decimal(0),
    )


def _held(
    day: cast.MarketDay,
    drawn: Sequence[tuple[str, list[Held], Decimal, Decimal]],
    market: Market,
    verifications: tuple[DeliveryVerification, DeliveryVerification],
) -> list[tuple[CapacityPosition, CapacityPosition]]:
    found = []
    sites = ["inzai", "shiroi"]
    for where, (direction, intervals, v1, v2) in zip(sites, drawn, strict=False):
        award = _award(day, "RESERVED", direction, where, product_id="3-1")
        for held in intervals:
            CapacityInterval.objects.create(
                award=award,
                t=held.t,
                start_at=settled_day.half_hour(day, held.t),
                quantity_kw=held.kw,
                price_jpy_per_kw_30min=held.price,
            )
            inzai = where == "inzai"
            base = CapacityPosition(
                award=str(award.id),
                t=held.t,
                direction=Direction(direction),
                seller=SELLERS[where],
                reserved_kw=held.kw,
                price_jpy_per_kw_30min=held.price,
                call_jpy_per_kwh=v1 if direction == "UP" else v2,
                loss_ratio=LOSS if inzai else day.places.sites["shiroi"].loss_ratio,
                splits=(Share(account=OWNER, weight=market.weight),) if inzai else (),
                buyers=market.buyers,
            )
            first = _assessed(base, held.before, verifications[0], award)
            last = first
            if held.after is not None:
                last = _assessed(base, held.after, verifications[1], award)
            found.append((first, last))
    return found


def _assessed(
    base: CapacityPosition,
    side: tuple[Decimal, bool, bool, Decimal | None, Decimal, bool],
    verification: DeliveryVerification,
    award: Award,
) -> CapacityPosition:
    lacking, is_declared, is_excused, instructed_kwh, responded_kwh, is_responsive = side
    short_kw = (base.reserved_kw * lacking).quantize(Decimal("0.1"), "ROUND_DOWN")
    called = instructed_kwh is not None
    facts: dict[str, Any] = {
        "shortfall_kw": short_kw,
        "is_declared": is_declared,
        "is_excused": is_excused,
        "instructed_kwh": instructed_kwh,
        "responded_kwh": responded_kwh if called else None,
        "is_responsive": is_responsive if called else None,
    }
    CapacityAssessment.objects.create(
        verification=verification,
        award=award,
        t=base.t,
        start_at=award.auction.delivery_start,
        reserved_kw=base.reserved_kw,
        available_kw=base.reserved_kw - short_kw,
        **facts,
    )
    return replace(base, **facts)


def _staged(
    day: cast.MarketDay,
    runs: tuple[SettlementRun, SettlementRun | None],
    awarded: Sequence[Sequence[Sides]],
    held: Sequence[tuple[CapacityPosition, CapacityPosition]],
    market: Market,
) -> None:
    """Fill the scratch tables by hand, as the results of an auction would."""
    base, correction = runs
    run = correction or base
    tables_ensure()
    if correction is None:
        whole_stage(run_ids=[run.pk])
    else:
        changes_stage(run_ids=[run.pk])
    places = {
        f"{day.places.sites[name].id}:{direction}"
        for name in SELLERS
        for direction in ("UP", "DOWN")
    } | {f"3-1:{day.places.area.code}"}
    total = sum(market.weights, Decimal(0))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO settlement_weight VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (run.pk, place, t, share.need, int(share.account), share.weight, n, total)
                for place in sorted(places)
                for t in range(48)
                for n, share in enumerate(market.buyers)
            ],
        )
        if market.negawatt is not None:
            cursor.execute(
                "INSERT INTO settlement_negawatt VALUES (%s, %s, %s, NULL, %s)",
                [run.pk, day.places.resources["inzai-load"].id, int(RETAILER), market.negawatt],
            )
        cursor.executemany(
            "INSERT INTO settlement_imbalance VALUES (%s, %s, %s, %s, %s)",
            [
                (run.pk, day.places.area.code, int(IMBALANCE), t, market.imbalance)
                for t in range(48)
            ],
        )
        cursor.executemany(
            "INSERT INTO settlement_call VALUES (%s, %s, %s, %s)",
            [
                (run.pk, award, price, price)
                for award, price in {p.award: p.call_jpy_per_kwh for p, _ in held}.items()
            ],
        )
        cursor.executemany(
            "INSERT INTO settlement_standin VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    run.pk, sign, position.award, position.t, None, position.stand_in_jpy,
                    position.covered_kwh,
                )
                for of_award in awarded
                for sides in of_award
                for sign, position in ((1, sides[correction is not None]), (-1, sides[0]))
                if position.stand_in_jpy
            ],
        )  # fmt: skip
        cursor.executemany(
            "INSERT INTO settlement_loss VALUES (%s, %s, %s)",
            [
                (run.pk, site.id, LOSS if name == "inzai" else site.loss_ratio)
                for name, site in day.places.sites.items()
            ],
        )


def _pure(
    awarded: Iterable[Sequence[Sides]],
    held: Iterable[tuple[CapacityPosition, CapacityPosition]],
    market: Market,
    *,
    at: int,
) -> list[Line]:
    lines: list[Line] = []
    terms: dict[str, Any] = {"rules": market.terms, "house": HOUSE}
    for of_award in awarded:
        positions = [sides[at] for sides in of_award]
        for position in positions:
            lines += award_lines(position, **terms)
            lines += credit_lines(position, **terms)
            lines += imbalance_lines(
                position,
                area="03",
                account=IMBALANCE,
                price_jpy_per_kwh=market.imbalance,
                **terms,
            )
        lines += share_lines(positions, **terms)
        if market.negawatt is not None and positions[0].seller == SELLERS["inzai"]:
            owed = Compensation(
                retailer=RETAILER, price_jpy_per_kwh=dict.fromkeys(range(48), market.negawatt)
            )
            lines += compensation_lines(positions, owed, **terms)
    for sides in held:
        lines += capacity_lines(sides[at], **terms)
    return lines
