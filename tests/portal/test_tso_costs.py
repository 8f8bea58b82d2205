"""A grid operator's costs: what each congestion cost it in a period, to the yen."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.ledger.models import LedgerAccount
from accounts.parties.models import User
from aggregator.metering.verifications import verification_execute
from aggregator.settlement.closes import period_close, period_of_auction_ensure, period_open
from aggregator.settlement.costs import cost_allocation, cost_allocation_csv
from aggregator.settlement.models import SettlementPeriod
from tests import settled_day
from tests.portal.conftest import client_of

JAPANESE = re.compile(r"[぀-ヿ一-鿿、-〟（）]+")
QUERIES_MAX = 20


@pytest.fixture
def period(db: None) -> SettlementPeriod:
    # an uneven price leaves a fraction of a yen to round
    where = settled_day.settled_places({**settled_day.SETTLEMENT, "fee_ratio": "0.0203"})
    day = settled_day.published(where)
    settled_day.metered(day, scarce_kwh=Decimal("6500.333"))
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    return period_close(period_id=period_of_auction_ensure(auction=day.auction).pk)


def planner(language: str = "ja") -> Client:
    return client_of(User.objects.get(username="planner"), language)


def test_each_place_and_item_has_its_yen_and_all_come_to_the_ledger(
    period: SettlementPeriod,
) -> None:
    page = planner().get(f"/tso/costs/{period.start_on}/")
    # The line: 2,430,000 less 153,059.94. The area: 1,890,000 paid, of which 90,000 came back as
    # the surplus' payment, less 38,264.985.
    shown = [(one.kind, one.total.borne_jpy) for one in page.context["places"]]
    assert shown[:2] == [
        ("設備", Decimal("2276940.06")),
        ("エリア", Decimal("1761735.015")),
    ]
    total = page.context["total"]
    assert total.borne_jpy == total.paid_jpy - total.received_jpy == sum(row[1] for row in shown)
    assert total.borne_jpy == int(total.borne_jpy)  # what the ledger holds has no fraction
    text = page.content.decode()
    assert "2,276,940" in text
    assert "締め済" in text


def test_the_way_leads_to_the_latest_closed_period_and_from_it_to_its_neighbours(
    period: SettlementPeriod,
) -> None:
    start = period.start_on
    later = period_open(start_on=start + timedelta(days=1), end_on=start + timedelta(days=2))
    client = planner()
    assert client.get("/tso/costs/")["Location"] == f"/tso/costs/{start}/"
    page = client.get(f"/tso/costs/{start}/")
    assert (page.context["before"], page.context["after"]) == (None, later)
    empty = client.get(f"/tso/costs/{later.start_on}/")
    assert empty.context["before"] == period
    assert "この期間の負担はありません。" in empty.content.decode()
    assert client.get(f"/tso/costs/{date(2020, 1, 1)}/").status_code == 404


def test_the_file_holds_ones_own_rows_to_the_fraction(period: SettlementPeriod) -> None:
    own = LedgerAccount.objects.filter(organisation__code="grid-t").values_list("id", flat=True)
    rows = cost_allocation(period=period, account_ids=list(own))
    every = cost_allocation(period=period)
    assert rows == [row for row in every if row.organisation == "grid-t"]
    answer = planner().get(f"/tso/costs/{period.start_on}/costs.csv")
    assert answer.content == cost_allocation_csv(rows)
    name = f'attachment; filename="cost-allocation-{period.start_on}.csv"'
    assert answer["Content-Disposition"] == name


def test_no_seller_comes_in_and_without_a_period_there_is_a_word(db: None) -> None:
    where = settled_day.settled_places()
    assert "精算期間がまだありません。" in planner().get("/tso/costs/").content.decode()
    owner = client_of(where.people.owner)
    assert owner.get("/tso/costs/").status_code == 404


def test_costs_are_whole_in_english_and_ask_the_database_seldom(period: SettlementPeriod) -> None:
    client = planner("en")
    with CaptureQueriesContext(connection) as queries:
        text = client.get(f"/tso/costs/{period.start_on}/").content.decode()
    assert len(queries) <= QUERIES_MAX
    told = re.sub(r"<button[^>]*lang=.*?</button>|<title>.*?</title>", "", text, flags=re.DOTALL)
    # names that the cast gives in Japanese only
    assert set(JAPANESE.findall(told)) <= {"ワットビット"}
