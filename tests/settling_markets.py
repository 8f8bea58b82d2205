"""Random markets for settlement: awards and reserved capacity, verified first and corrected."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

from aggregator.core.settlement import House, Share
from aggregator.core.terms import PenaltyRules, SettlementRules

HOUSE = House(clearing="1", fee="2", rounding="3")
OWNER, RETAILER, IMBALANCE = "900", "901", "902"
SELLERS = {"inzai": "101", "shiroi": "102"}
NEEDS = tuple(str(uuid.UUID(int=n)) for n in range(1, 4))
BUYERS = ("201", "202", "203")
LOSS = Decimal("0.0370")
ratios = st.decimals(min_value=0, max_value=1, places=4)
missing = st.sampled_from([Decimal(0), Decimal(1)]) | ratios
prices = st.decimals(min_value=-999, max_value=999, places=2)


@dataclass(frozen=True)
class Side:
    """What one verification found of an award half hour."""

    missing: Decimal
    is_excused: bool


@dataclass(frozen=True)
class Piece:
    """One award half hour as drawn; `after` is None where it was not corrected."""

    t: int
    quantity_kw: Decimal
    price: Decimal
    before: Side
    after: Side | None
    stand_in_jpy: Decimal
    covered_kwh: Decimal


@dataclass(frozen=True)
class Held:
    """Reserved capacity of one half hour, as found first and after a correction."""

    t: int
    kw: Decimal
    price: Decimal
    before: tuple[Decimal, bool, bool, Decimal | None, Decimal, bool]
    after: tuple[Decimal, bool, bool, Decimal | None, Decimal, bool] | None


sides = st.builds(Side, missing, st.booleans())
pieces = st.lists(
    st.builds(
        Piece,
        t=st.integers(0, 47),
        quantity_kw=st.decimals(min_value=Decimal("0.1"), max_value=50_000, places=1),
        price=prices,
        before=sides,
        after=st.none() | sides,
        stand_in_jpy=st.just(Decimal(0)) | st.decimals(min_value=-999, max_value=99_999, places=5),
        covered_kwh=st.decimals(min_value=0, max_value=25_000, places=3),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda piece: piece.t,
)
awards = st.lists(
    st.tuples(st.sampled_from(["UP", "DOWN"]), st.sampled_from(["inzai", "shiroi"]), pieces),
    min_size=1,
    max_size=3,
)
assessed = st.tuples(
    missing,
    st.booleans(),
    st.booleans(),
    st.none() | st.decimals(min_value=0, max_value=9_999, places=3),
    st.decimals(min_value=0, max_value=9_999, places=3),
    st.booleans(),
)
helds = st.lists(
    st.builds(
        Held,
        t=st.integers(0, 47),
        kw=st.decimals(min_value=Decimal("0.1"), max_value=9_999, places=1),
        price=st.decimals(min_value=0, max_value=99, places=2),
        before=assessed,
        after=st.none() | assessed,
    ),
    max_size=4,
    unique_by=lambda held: held.t,
)
reserved = st.lists(st.tuples(st.sampled_from(["UP", "DOWN"]), helds, prices, prices), max_size=2)
rules = st.builds(
    SettlementRules,
    tolerance_ratio=ratios,
    penalty_factor_ratio=st.decimals(min_value=1, max_value=5, places=3),
    fee_ratio=st.just(Decimal(0)) | ratios,
    negawatt_borne_by=st.sampled_from(["SELLER", "BUYER", "HOUSE"]),
    imbalance_borne_by=st.sampled_from(["NOBODY", "SELLER", "HOUSE"]),
    penalties=st.builds(
        PenaltyRules,
        penalty_i_factor_ratio=st.decimals(min_value=0, max_value=3, places=2),
        declared_factor_ratio=st.decimals(min_value=0, max_value=3, places=2),
        penalty_ii_factor_ratio=st.decimals(min_value=0, max_value=3, places=2),
    ),
)
weights = st.lists(st.integers(1, 10**6).map(lambda n: Decimal(n) / 1000), max_size=3)


@dataclass(frozen=True)
class Market:
    """Everything around the awards."""

    terms: SettlementRules
    weights: tuple[Decimal, ...]
    weight: Decimal
    negawatt: Decimal | None
    imbalance: Decimal

    @property
    def buyers(self) -> tuple[Share, ...]:
        rows = zip(BUYERS, self.weights, NEEDS, strict=False)
        return tuple(Share(account=b, weight=w, need=n) for b, w, n in rows)


markets = st.builds(
    Market,
    terms=rules,
    weights=weights.map(tuple),
    weight=ratios,
    negawatt=st.none() | prices,
    imbalance=prices,
)
