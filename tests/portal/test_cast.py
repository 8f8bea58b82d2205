"""The cast is what its docstring says."""

from decimal import Decimal

import pytest

from market.clearing.models import AwardInterval, ElementFlow
from tests import cast

pytestmark = pytest.mark.django_db


def test_relief_of_awards_covers_the_need_but_for_the_unserved() -> None:
    day = cast.published_day()
    flow = ElementFlow.objects.get(congestion_point__code="inzai-line", t=cast.SCARCE)
    # 194,000 before; 2/3 · 15,000 + 1/3 · 6,000 = 12,000 relieved; rating 180,000
    assert flow.before_kw - flow.after_kw == Decimal(12_000)
    assert flow.after_kw - day.places.points["inzai-line"].rating_kw == Decimal(2_000)


def test_no_award_pays_less_than_its_ask() -> None:
    day = cast.published_day()
    for name, award in day.awards.items():
        ask = cast.OFFERS[name][5]
        prices = AwardInterval.objects.filter(award=award).values_list(
            "price_jpy_per_kwh", flat=True
        )
        if award.direction == "UP":
            assert min(prices) >= ask


def test_an_open_day_has_no_result() -> None:
    day = cast.open_day()
    assert day.auction.runs.count() == 0
    assert day.auction.bids.count() == len(cast.OFFERS)
