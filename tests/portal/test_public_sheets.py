"""The file of a day's prices: kept with the result, right when a site moves, not sent twice."""

from __future__ import annotations

import csv
import io

from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregator.portal.public.price_sheets import KEPT
from market.clearing.models import ClearingPrice
from market.registry.models import Site
from tests import cast
from tests.portal.conftest import client_of

ADDRESS = "/results/2026-11-25/prices.csv"


def read() -> list[dict[str, str]]:
    answer = client_of(None).get(ADDRESS)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_every_price_of_a_day_stands_once_in_its_file(day: cast.MarketDay) -> None:
    rows = read()
    assert list(rows[0]) == [
        "auction", "delivery_on", "of", "code", "koma", "price_jpy_per_kwh",
    ]  # fmt: skip
    keys = [(row["of"], row["code"], row["koma"]) for row in rows]
    assert len(set(keys)) == len(keys)
    found = {row["koma"]: row["price_jpy_per_kwh"] for row in rows if row["of"] == "area"}
    assert len(found) == 48
    prices = [float(cast.area_price(t)) for t in range(48)]
    assert [float(found[str(t + 1)]) for t in range(48)] == prices
    assert rows[0]["auction"] == day.auction.code


def test_prices_are_read_once_and_a_known_file_is_not_sent_again(day: cast.MarketDay) -> None:
    KEPT.forget()
    first = client_of(None).get(ADDRESS)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        again = client_of(None).get(ADDRESS, headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert not [one for one in seen if "clearing_clearingprice" in one["sql"]]
    assert first["Cache-Control"] == "no-cache"
    assert client_of(None).get(ADDRESS).content == first.content


def test_a_site_that_moves_to_another_bus_is_not_told_at_its_old_one(
    day: cast.MarketDay,
) -> None:
    place = ClearingPrice.objects.filter(run=day.run, kind="PLACE").order_by("id").first()
    assert place is not None
    site = Site.objects.get(id=place.site_id)
    before = {row["code"] for row in read() if row["of"] == "place"}
    assert site.bus_code in before
    Site.objects.filter(id=site.id).update(bus_code="elsewhere")
    after = {row["code"] for row in read() if row["of"] == "place"}
    assert "elsewhere" in after
