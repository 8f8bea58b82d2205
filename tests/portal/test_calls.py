"""Calls of reserved capacity on the pages of the desk and of who bought it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.calls import called_kw
from aggregator.metering.models import CapacityActivation
from market.registry.models import Area
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_desk import reserved_of
from tests.portal.test_desk_drills import posted

QUERIES_MAX = 22


def orders() -> list[tuple[int, str]]:
    rows = DispatchInstruction.objects.order_by("version")
    return list(rows.filter(call__isnull=False).values_list("version", "state"))


def test_the_desk_looks_at_a_call_before_it_is_told_and_takes_it_back(day: cast.MarketDay) -> None:
    award = reserved_of(day)
    client = client_of(day.places.people.desk)
    url = f"/desk/calls/{award.id}/"
    assert url in client.get("/desk/calls/").content.decode()
    looked = posted(client, url, {"count": "1", "kw_10": "４，０００", "kw_11": "2,000"})
    page = looked.content.decode()
    assert looked.status_code == 200
    # 4 MW and 2 MW for half an hour each
    assert "3,000 kWh を呼び出す" in page
    assert not CapacityActivation.objects.exists()
    assert orders() == []
    made = posted(client, url, {"kw_10": "4,000", "kw_11": "2,000"})
    assert (made.status_code, made.headers["Location"]) == (303, url)
    assert called_kw([award.id]) == {award.id: {10: Decimal(4_000), 11: Decimal(2_000)}}
    assert orders() == [(1, "PLANNED")]
    with CaptureQueriesContext(connection) as queries:
        assert "呼び出しました。" in client.get(url).content.decode()
    assert len(queries) <= QUERIES_MAX
    # less, and later: what the new call leaves out is called no more
    assert posted(client, url, {"kw_11": "1,000"}).status_code == 303
    assert called_kw([award.id]) == {award.id: {10: Decimal(0), 11: Decimal(1_000)}}
    assert orders() == [(1, "CANCELLED"), (2, "PLANNED")]
    back = posted(client, url, {"count": "1"})
    assert "呼び出しを取り消す</button>" in back.content.decode()
    typed = {"kw_11": "0", "kw_12": ""}
    assert posted(client, url, typed).status_code == 303
    assert called_kw([award.id]) == {award.id: {10: Decimal(0), 11: Decimal(0)}}
    assert orders() == [(1, "CANCELLED"), (2, "CANCELLED")]


def test_nothing_and_too_much_are_told_where_they_were_typed(day: cast.MarketDay) -> None:
    award = reserved_of(day)
    client = client_of(day.places.people.desk)
    url = f"/desk/calls/{award.id}/"
    none = posted(client, url, {"count": "1"})
    assert none.status_code == 422
    assert "少なくとも1つの30分" in none.content.decode()
    much: dict[str, Any] = {"kw_10": "9,000"}
    for sent in (much, {**much, "count": "1"}):
        answer = posted(client, url, sent)
        assert answer.status_code == 422
        page = answer.content.decode()
        assert 'id="id_kw_10_error"' in page
        assert 'value="9,000"' in page
    assert not CapacityActivation.objects.exists()


def test_only_who_bought_capacity_sees_and_calls_it(day: cast.MarketDay) -> None:
    award = reserved_of(day)
    client = client_of(day.places.people.planner)
    url = f"/tso/calls/{award.id}/"
    assert url in client.get("/tso/calls/").content.decode()
    assert posted(client, url, {"kw_10": "4,000"}).status_code == 303
    Area.objects.update(tso=None)
    assert url not in client.get("/tso/calls/").content.decode()
    assert client.get(url).status_code == 404
    assert client.post(url, {"kw_10": "0"}).status_code == 404
    assert called_kw([award.id]) == {award.id: {10: Decimal(4_000)}}


def test_past_days_are_found_by_their_day_alone(day: cast.MarketDay) -> None:
    award = reserved_of(day)
    client = client_of(day.places.people.desk)
    cast.market_time(day.auction.delivery_start + timedelta(days=1))
    assert str(award.id) not in client.get("/desk/calls/").content.decode()
    past = client.get(f"/desk/calls/?day={day.auction.delivery_on}").content.decode()
    assert str(award.id) in past
    page = client.get(f"/desk/calls/{award.id}/").content.decode()
    assert "確保した30分はすべて終わりました。" in page
