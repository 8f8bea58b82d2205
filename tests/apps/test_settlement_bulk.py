"""The set-based lines are the lines of the pure core, one by one."""

import uuid
from dataclasses import dataclass
from decimal import Decimal

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.core.delivery import Direction
from aggregator.core.settlement import (
    AwardPosition,
    House,
    Line,
    Share,
    award_lines,
    share_lines,
)
from aggregator.core.terms import SettlementRules
from aggregator.metering.models import Delivery, DeliveryVerification
from aggregator.settlement.lines import Terms, award_lines_insert
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.positions import tables_ensure
from market.clearing.models import Award, AwardInterval, Leg
from tests import cast, settled_day

pytestmark = pytest.mark.django_db

HOUSE = House(clearing="1", fee="2", rounding="3")
OWNER = "900"
ratios = st.decimals(min_value=0, max_value=1, places=4)


@dataclass(frozen=True)
class Piece:
    """One award half hour as drawn."""

    t: int
    quantity_kw: Decimal
    price: Decimal
    missing: Decimal


pieces = st.lists(
    st.builds(
        Piece,
        t=st.integers(0, 47),
        quantity_kw=st.decimals(min_value=Decimal("0.1"), max_value=50_000, places=1),
        price=st.decimals(min_value=-999, max_value=999, places=2),
        missing=st.sampled_from([Decimal(0), Decimal(1)]) | ratios,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda piece: piece.t,
)
drawn_awards = st.lists(
    st.tuples(st.sampled_from(["UP", "DOWN"]), st.sampled_from(["inzai", "shiroi"]), pieces),
    min_size=1,
    max_size=4,
)
rules = st.builds(
    SettlementRules,
    tolerance_ratio=ratios,
    penalty_factor_ratio=st.decimals(min_value=1, max_value=5, places=3),
    fee_ratio=st.just(Decimal(0)) | ratios,
)
Key = tuple[str, str, str, str | None, int | None, Decimal | None, Decimal | None, Decimal]


def _key(line: Line) -> Key:
    return (
        line.item.value,
        line.payer,
        line.payee,
        line.award,
        line.t,
        line.quantity_kwh,
        line.price_jpy_per_kwh,
        line.amount_exact_jpy,
    )


def _stored_key(line: SettlementLine) -> Key:
    return (
        line.item,
        str(line.payer_id),
        str(line.payee_id),
        str(line.award_id),
        line.t,
        line.quantity_kwh,
        line.price_jpy_per_kwh,
        line.amount_exact_jpy,
    )


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=drawn_awards, terms=rules, weight=ratios)
def test_every_line_of_the_statement_is_the_core_s(
    day: cast.MarketDay,
    drawn: list[tuple[str, str, list[Piece]]],
    terms: SettlementRules,
    weight: Decimal,
) -> None:
    with transaction.atomic():
        run, positions = _day_of(day, drawn, weight)
        tables_ensure()
        written = award_lines_insert(
            run_ids=[run.pk],
            terms=Terms(
                rules=terms,
                house=HOUSE,
                sellers={
                    site.organisation_id: _account(site) for site in day.places.sites.values()
                },
                splits={
                    day.places.sites["inzai"].id: [Share(account=OWNER, weight=weight)],
                },
            ),
        )
        stored = sorted(
            (_stored_key(line) for line in SettlementLine.objects.filter(run=run)), key=repr
        )
        expected: list[Key] = []
        for of_award in positions:
            for position in of_award:
                expected += map(_key, award_lines(position, rules=terms, house=HOUSE))
            expected += map(_key, share_lines(of_award, rules=terms, house=HOUSE))
        assert stored == sorted(map(_padded, expected), key=repr)
        assert written == len(stored)
        transaction.set_rollback(True)


def _padded(key: Key) -> Key:
    """Write numbers with the places of their columns, as the database gives them back."""
    *names, t, quantity, price, amount = key
    millionth = Decimal("0.000001")
    return (  # type: ignore[return-value]
        *names,
        t,
        None if quantity is None else quantity.quantize(millionth),
        None if price is None else price.quantize(millionth),
        amount.quantize(millionth),
    )


def _account(site: cast.Site) -> str:
    return {"inzai-dc-1": "101", "shiroi-dc-1": "102"}[site.code]


def _run_of(day: cast.MarketDay) -> SettlementRun:
    verification = DeliveryVerification.objects.create(
        auction=day.auction,
        revision=1,
        stage="FINAL",
        as_of=day.auction.delivery_start,
        ruleset=day.auction.ruleset,
        input_sha256="",
    )
    return SettlementRun.objects.create(
        auction=day.auction,
        verification=verification,
        kind="FINAL",
        revision=1,
        input_sha256="",
        ruleset_version="x",
        executed_at=day.auction.delivery_start,
    )


def _day_of(
    day: cast.MarketDay, drawn: list[tuple[str, str, list[Piece]]], weight: Decimal
) -> tuple[SettlementRun, list[list[AwardPosition]]]:
    """Store the drawn awards with their deliveries; return their run and positions."""
    run = _run_of(day)
    positions = []
    # An award is one of a bid, a leg and a direction: the leg sets the drawn ones apart.
    for leg, (direction, where, intervals) in zip(list(Leg)[1:], drawn, strict=False):
        site = day.places.sites[where]
        award = Award.objects.create(
            id=uuid.uuid4(),
            run=day.run,
            auction=day.auction,
            bid=next(iter(day.bids.values())),
            organisation=site.organisation,
            resource=day.places.resources[f"{where}-load"],
            leg=leg,
            direction=direction,
        )
        splits = (Share(account=OWNER, weight=weight),) if where == "inzai" else ()
        positions.append([_stored(day, run, award, piece, splits) for piece in intervals])
    return run, positions


def _stored(
    day: cast.MarketDay,
    run: SettlementRun,
    award: Award,
    piece: Piece,
    splits: tuple[Share, ...],
) -> AwardPosition:
    """Store one half hour of an award and its delivery; return its position."""
    ordered_kwh = piece.quantity_kw / 2
    shortfall_kwh = (ordered_kwh * piece.missing).quantize(Decimal("0.001"), "ROUND_DOWN")
    common = {"award": award, "t": piece.t, "start_at": settled_day.half_hour(day, piece.t)}
    AwardInterval.objects.create(
        **common, quantity_kw=piece.quantity_kw, price_jpy_per_kwh=piece.price
    )
    Delivery.objects.create(
        **common,
        verification=run.verification,
        ordered_kwh=ordered_kwh,
        delivered_kwh=ordered_kwh - shortfall_kwh,
        shortfall_kwh=shortfall_kwh,
        over_kwh=0,
    )
    return AwardPosition(
        award=str(award.id),
        t=piece.t,
        direction=Direction(award.direction),
        price_jpy_per_kwh=piece.price,
        ordered_kwh=ordered_kwh,
        shortfall_kwh=shortfall_kwh,
        seller=_account(award.resource.site),
        splits=splits,
    )


def test_the_statement_settles_several_runs_at_once(day: cast.MarketDay) -> None:
    piece = Piece(36, Decimal(10), Decimal("20.00"), Decimal(0))
    run, _ = _day_of(day, [("UP", "inzai", [piece])], Decimal("0.1"))
    later = SettlementRun.objects.create(
        auction=day.auction,
        verification=run.verification,
        kind="FINAL",
        revision=2,
        input_sha256="",
        ruleset_version="x",
        executed_at=day.auction.delivery_start,
    )
    inzai = day.places.sites["inzai"]
    terms = Terms(
        rules=SettlementRules(fee_ratio=Decimal("0.02")),
        house=HOUSE,
        sellers={inzai.organisation_id: "101"},
        splits={},
    )
    tables_ensure()
    written = [
        award_lines_insert(run_ids=run_ids, terms=terms)
        for run_ids in ([run.pk, later.pk], [run.pk + 1_000_000])
    ]
    # 5 kWh at 20 yen in each run and 2 % of them; a run that is not there settles nothing, and
    # takes no second fee from those that are.
    assert written == [4, 0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT run_id, amount_exact_jpy FROM settlement_settlementline")
        assert sorted(cursor.fetchall()) == [
            (run.pk, 2),
            (run.pk, 100),
            (later.pk, 2),
            (later.pk, 100),
        ]
