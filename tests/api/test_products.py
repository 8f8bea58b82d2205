"""Areas and products: public, and what the rules in force say of products."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from market.registry.models import MarketProduct, Ruleset
from tests import cast
from tests.api.conftest import DoorClient

pytestmark = pytest.mark.django_db


def test_areas_are_public(anonymous: DoorClient) -> None:
    cast.area(tso=cast.people().grid_t)
    assert anonymous.get("/api/v1/areas").json() == {
        "items": [
            {
                "code": "03",
                "name": "東京",
                "name_en": "Tokyo",
                "frequency_hz": 50,
                "tso": "grid-t",
            }
        ],
        "next": None,
    }


def test_products_stand_with_the_rules_in_force(anonymous: DoorClient) -> None:
    for code in ("dkw-up", "energy"):
        MarketProduct.objects.create(
            code=code,
            name=code,
            name_en=code,
            response_s=1_800,
            quantity_min_kw=1,
            quantity_tick_kw="0.1",
        )
    rules = {
        **cast.RULES,
        "products": [{"id": "dkw-up", "direction": "UP", "sustained_h": 3.0}],
        "prequalification": {"capacity_products": ["dkw-up"]},
    }
    Ruleset.objects.create(version="1", valid_from_on=cast.DAY, rules=rules)
    cast.market_time(datetime(2026, 11, 24, 14, 59, tzinfo=UTC))  # 23:59 of the day before
    before = anonymous.get("/api/v1/products").json()["items"]
    assert [(row["direction"], row["is_prequalification_asked"]) for row in before] == [
        (None, False),
        (None, False),
    ]
    cast.market_time(datetime(2026, 11, 24, 15, tzinfo=UTC))
    assert anonymous.get("/api/v1/products").json()["items"] == [
        {
            "code": "dkw-up",
            "name": "dkw-up",
            "name_en": "dkw-up",
            "response_s": 1800,
            "quantity_min_kw": "1.0",
            "quantity_tick_kw": "0.1",
            "direction": "UP",
            "sustained_h": "3.0",
            "is_prequalification_asked": True,
        },
        {
            "code": "energy",
            "name": "energy",
            "name_en": "energy",
            "response_s": 1800,
            "quantity_min_kw": "1.0",
            "quantity_tick_kw": "0.1",
            "direction": None,
            "sustained_h": None,
            "is_prequalification_asked": False,
        },
    ]
