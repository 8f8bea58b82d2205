"""Two requests about one bid at once end in order or are told so; none ends in an error of ours."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from accounts.parties.roles import Role
from market.trading.models import Bid, BidState
from tests import cast
from tests.api.conftest import AsMember
from tests.api.test_bid_doors import STEPS

pytestmark = pytest.mark.django_db(transaction=True)
TWINS = 4


def _at_once(work: Any) -> list[Any]:
    start = Barrier(TWINS)

    def run(number: int) -> Any:
        try:
            start.wait(timeout=20)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(TWINS) as pool:
        return list(pool.map(run, range(TWINS)))


@pytest.fixture
def day(transactional_db: None) -> cast.MarketDay:
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def _offer(number: int) -> dict[str, Any]:
    bid = deepcopy(STEPS)
    bid["curves"][0]["steps"][0]["ask_jpy_per_kwh"] = str(10 + number)
    return bid


def test_submissions_of_one_id_become_versions_in_order(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    clients = [as_member(Role.OPERATOR_TRADER, "inzai-dc") for _ in range(TWINS)]
    address = f"/api/v1/auctions/{day.auction.code}/bids"
    answers = _at_once(lambda i: clients[i].post(address, _offer(i)))
    assert [answer.status_code for answer in answers] == [201] * TWINS
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4]
    assert Counter(Bid.objects.values_list("state", flat=True)) == {
        BidState.SUPERSEDED: TWINS - 1,
        BidState.SUBMITTED: 1,
    }


def test_of_edits_of_one_version_one_wins(day: cast.MarketDay, as_member: AsMember) -> None:
    clients = [as_member(Role.OPERATOR_TRADER, "inzai-dc") for _ in range(TWINS)]
    first = clients[0].post(f"/api/v1/auctions/{day.auction.code}/bids", STEPS).json()
    address = f"/api/v1/bids/{first['bid_id']}"
    match = {"If-Match": '"1"'}
    answers = _at_once(lambda i: clients[i].put(address, _offer(5 + i), headers=match))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: TWINS - 1}, [
        answer.content for answer in answers
    ]
    match = {"If-Match": '"2"'}
    answers = _at_once(
        lambda i: (
            clients[i].delete(address, headers=match)
            if i % 2
            else clients[i].put(address, _offer(10 + i), headers=match)
        )
    )
    codes = Counter(answer.status_code for answer in answers)
    assert sum(codes[code] for code in (200, 204)) == 1
    assert set(codes) <= {200, 204, 404, 412}


def test_a_template_of_one_code_is_there_once(day: cast.MarketDay, as_member: AsMember) -> None:
    del day
    clients = [as_member(Role.OPERATOR_TRADER, "inzai-dc") for _ in range(TWINS)]
    bid = {name: value for name, value in STEPS.items() if name != "client_bid_id"}
    body = {"code": "twin", "bid": bid, "valid_from_on": "2026-11-01"}
    answers = _at_once(lambda i: clients[i].post("/api/v1/standing-bids", body))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: TWINS - 1}
