"""The terms of capacity, retailers, imbalance and standing in, as rulesets say them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from accounts.core.errors import Refused
from aggregator.core.terms import (
    ExchangeFee,
    PenaltyRules,
    SettlementRules,
    rules_from_mapping,
)


def test_the_exchange_s_fee_is_that_of_the_latest_row_by_delivery_date() -> None:
    rules = rules_from_mapping(
        {
            "exchange_fees": [
                {
                    "product": "3-1",
                    "valid_from_on": "2025-04-01",
                    "price_jpy_per_kw_30min": "0.03",
                },
                {
                    "product": "3-1",
                    "valid_from_on": "2027-04-01",
                    "price_jpy_per_kw_30min": "0.04",
                },
            ]
        }
    )
    fee = rules.exchange_fee_jpy_per_kw_30min
    assert [
        fee("3-1", date(2025, 3, 31)),
        fee("3-1", date(2025, 4, 1)),
        fee("3-1", date(2027, 3, 31)),
        fee("3-1", date(2027, 4, 1)),
        fee("3-2", date(2027, 4, 1)),
    ] == [Decimal(0), Decimal("0.03"), Decimal("0.03"), Decimal("0.04"), Decimal(0)]


def test_every_term_of_the_new_items_is_read() -> None:
    rules = rules_from_mapping(
        {
            "negawatt_borne_by": "HOUSE",
            "imbalance_borne_by": "SELLER",
            "replacement_pay": "ASK",
            "composites": [["1-0", "2-1"], ["3-1", "3-2"]],
            "assessment": {
                "tolerance_ratio": "0.1",
                "penalty_i_factor_ratio": "2",
                "declared_factor_ratio": 0,
                "penalty_ii_factor_ratio": "3",
                "repeat_failures": 5,
            },
            "exchange_fees": [
                {"product": "1-0", "valid_from_on": "2026-03-14", "price_jpy_per_kw_30min": "0.03"}
            ],
        }
    )
    assert rules == SettlementRules(
        negawatt_borne_by="HOUSE",
        imbalance_borne_by="SELLER",
        replacement_pay="ASK",
        composites=(("1-0", "2-1"), ("3-1", "3-2")),
        penalties=PenaltyRules(
            penalty_i_factor_ratio=Decimal(2),
            declared_factor_ratio=Decimal(0),
            penalty_ii_factor_ratio=Decimal(3),
            repeat_failures=5,
        ),
        exchange_fees=(
            ExchangeFee(
                product="1-0",
                valid_from_on=date(2026, 3, 14),
                price_jpy_per_kw_30min=Decimal("0.03"),
            ),
        ),
    )


FEE = {"product": "1-0", "valid_from_on": "2026-03-14", "price_jpy_per_kw_30min": "0.03"}


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"negawatt_borne_by": "TSO"}, "negawatt_borne_by"),
        ({"imbalance_borne_by": "BUYER"}, "imbalance_borne_by"),
        ({"replacement_pay": "LOWER"}, "replacement_pay"),
        ({"composites": "1-0"}, "composites"),
        ({"composites": [["1-0"]]}, r"composites\[0\]"),
        ({"composites": [["1-0", "1-0"]]}, r"composites\[0\]"),
        ({"composites": [["1-0", 2]]}, r"composites\[0\]"),
        ({"composites": [["1-0", "2-1"], ["2-1", "3-1"]]}, "in one group"),
        ({"assessment": []}, "assessment"),
        ({"assessment": {"factor": 1}}, "assessment.factor"),
        ({"assessment": {"repeat_failures": 0}}, "repeat_failures"),
        ({"assessment": {"repeat_failures": 1_489}}, "repeat_failures"),
        ({"assessment": {"repeat_failures": "3"}}, "repeat_failures"),
        ({"assessment": {"penalty_i_factor_ratio": "-1"}}, "penalty_i_factor_ratio"),
        ({"assessment": {"penalty_ii_factor_ratio": 11}}, "penalty_ii_factor_ratio"),
        ({"assessment": {"declared_factor_ratio": 1.0}}, "declared_factor_ratio"),
        ({"exchange_fees": {}}, "exchange_fees"),
        ({"exchange_fees": [{}]}, r"exchange_fees\[0\]"),
        ({"exchange_fees": [FEE, FEE]}, "one row per product"),
        ({"exchange_fees": [{**FEE, "product": ""}]}, "product"),
        ({"exchange_fees": [{**FEE, "valid_from_on": "soon"}]}, "valid_from_on"),
        ({"exchange_fees": [{**FEE, "price_jpy_per_kw_30min": "-1"}]}, "price_jpy_per_kw_30min"),
    ],
)
def test_a_term_of_the_new_items_out_of_bounds_is_refused(
    mapping: dict[str, object], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        rules_from_mapping(mapping)
