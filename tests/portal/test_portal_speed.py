"""Pages ask as many statements of a large market as of a small one, and read a result once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from aggregator.dispatch.models import DispatchInstruction, InstructionInterval
from aggregator.metering.models import Delivery, DeliveryVerification
from aggregator.ops.bench.portal_books import key, moment
from aggregator.portal import run_facts, selectors
from aggregator.portal.award_sums import award_sums
from aggregator.portal.run_facts import Kept
from market.clearing.models import AwardInterval
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_desk import instruction_of

MORE = 120
# address, who opens it, statements it may ask at most
PAGES = (
    ("/dc/", "owner", 28),
    ("/dc/bids/", "owner", 18),
    ("/dc/awards/", "owner", 14),
    ("/dc/instructions/", "owner", 14),
    ("/dc/deliveries/", "owner", 14),
    ("/dc/sites/", "owner", 16),
    ("/tso/", "planner", 22),
    ("/tso/results/2026-11-25/", "planner", 20),
    ("/desk/", "desk", 36),
    ("/desk/instructions/", "desk", 14),
    ("/day/2026-11-25/", "desk", 24),
    ("/day/2026-11-25/", "anonymous", 16),
    ("/results/2026-11-25/", "anonymous", 14),
)


def copied(row: Model, count: int, change: Callable[[int], dict[str, Any]]) -> list[Any]:
    """Store copies of a row that differ by what `change` says."""
    same = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if not field.primary_key
    }
    model = type(row)
    return model._default_manager.bulk_create(
        model(**same | {"pk": uuid.uuid4()} | change(n)) for n in range(count)
    )


def grown(day: cast.MarketDay, order: DispatchInstruction, *, first: int = 0) -> None:
    """Give the owner `MORE` sites, each with a resource, a bid, an award and an instruction."""
    sites = copied(
        day.places.sites["inzai"], MORE,
        lambda n: {"code": f"more-{first + n:03d}", "point_number": f"039{first + n:019d}"},
    )  # fmt: skip
    resources = copied(
        day.places.resources["inzai-load"], MORE,
        lambda n: {"code": f"more-{first + n:03d}-load", "site_id": sites[n].pk},
    )  # fmt: skip
    bids = copied(
        day.bids["inzai-defer"], MORE,
        lambda n: {"client_bid_id": f"more-{first + n:03d}", "resource_id": resources[n].pk},
    )  # fmt: skip
    awards = copied(
        day.awards["inzai-defer"], MORE,
        lambda n: {"bid_id": bids[n].pk, "resource_id": resources[n].pk},
    )  # fmt: skip
    at = day.auction.delivery_start + timedelta(hours=17)
    AwardInterval.objects.bulk_create(
        AwardInterval(award=award, t=34, start_at=at, quantity_kw=10, price_jpy_per_kwh=30)
        for award in awards
    )
    orders = copied(
        order, MORE,
        lambda n: {
            "award_id": awards[n].pk, "bid_id": bids[n].pk, "resource_id": resources[n].pk,
        },
    )  # fmt: skip
    InstructionInterval.objects.bulk_create(
        InstructionInterval(instruction=row, t=34, start_at=at, quantity_kw=10) for row in orders
    )
    # as autovacuum will: what it saw of a table while that was empty makes plans that never end
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def statements_of(day: cast.MarketDay) -> dict[tuple[str, str], int]:
    found = {}
    for address, who, _ in PAGES:
        client = client_of(None if who == "anonymous" else getattr(day.places.people, who))
        client.get(address)  # what is kept is kept
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).status_code == 200, address
        found[address, who] = len(asked)
    return found


@pytest.fixture
def order(day: cast.MarketDay) -> DispatchInstruction:
    return instruction_of(day)


def test_statements_do_not_grow_with_sites_bids_awards_and_orders(
    day: cast.MarketDay, order: DispatchInstruction
) -> None:
    grown(day, order)  # beyond what a page shows: the rest is counted and summed
    few = statements_of(day)
    grown(day, order, first=MORE)
    many = statements_of(day)
    assert many == few
    too_many = {
        (address, who): many[address, who]
        for address, who, most in PAGES
        if many[address, who] > most
    }
    assert too_many == {}


def test_the_page_of_a_day_shows_fifty_awards_and_sums_all(
    day: cast.MarketDay, order: DispatchInstruction
) -> None:
    grown(day, order)
    body = client_of(day.places.people.desk).get("/day/2026-11-25/").content.decode()
    # 4 awards and 120 more; 1 instruction and 120 more
    assert "124件・はじめの 50 件を表示" in body
    assert "121件・はじめの 50 件を表示" in body
    assert body.count('<span class="sub">more-') == 47  # three of the fifty are the cast's


def test_sums_of_awards_are_those_of_all_half_hours(day: cast.MarketDay) -> None:
    from accounts.parties.sight import sight_of

    assert day.run is not None
    found = award_sums(day.run, seen_by=sight_of(day.places.people.rival))
    # 6 half hours of 6,000 kW: at 30 + 45/3 = 45 yen, but at t = 36 at 30 + 180/3 = 90 yen
    assert found.count == 1
    assert found.up_kwh == Decimal(18_000)
    assert found.down_kwh == 0
    assert found.receipt_jpy == Decimal(3_000) * (5 * 45 + 90)


def test_a_result_is_read_once_by_a_process(day: cast.MarketDay) -> None:
    assert day.run is not None
    result = next(
        row for row in selectors.need_results(day.auction, day.run, at=day.auction.delivery_start)
        if row.need.code == "inzai-line-up"
    )  # fmt: skip
    first = selectors.contributions(result, day.run)
    with CaptureQueriesContext(connection) as asked:
        again = selectors.contributions(result, day.run)
    assert len(asked) == 0
    assert again == first
    run_facts.injected.forget()
    assert selectors.contributions(result, day.run) == first


def test_what_is_kept_is_bounded_and_the_latest_used_stay() -> None:
    reads: list[int] = []

    def read(number: int) -> int:
        reads.append(number)
        return 10 * number

    kept = Kept(read, most=2)
    assert [kept.of(1), kept.of(2), kept.of(1), kept.of(3), kept.of(1), kept.of(2)] == [
        10, 20, 10, 30, 10, 20,
    ]  # fmt: skip
    assert reads == [1, 2, 3, 2]  # 2 was used least when 3 came


def test_a_seller_of_many_resources_narrows_the_select(
    open_day: cast.MarketDay,
) -> None:
    client = client_of(open_day.places.people.owner)
    assert 'name="resource"' not in client.get("/dc/bids/").content.decode()
    site = open_day.places.sites["inzai"]
    copied(
        open_day.places.resources["inzai-load"], 40,
        lambda n: {"code": f"more-{n:03d}-load", "site_id": site.pk, "name": f"追加{n:03d}"},
    )  # fmt: skip
    body = client.get("/dc/bids/").content.decode()
    assert 'name="resource"' in body
    assert body.count("<optgroup") == 30
    found = client.get("/dc/bids/?resource=追加017").content.decode()
    assert found.count("<optgroup") == 1
    assert "more-017-load|" in found
    nothing = client.get("/dc/bids/?resource=zzz").content.decode()
    assert "このリソースは見つかりません。" in nothing


def test_keys_of_the_bench_are_those_the_server_makes(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT md5('award0-2')::uuid")
        assert cursor.fetchone()[0] == key("award0-2")
    assert moment(cast.DAY, 13.5).isoformat() == "2026-11-25T04:30:00+00:00"


def test_deliveries_are_summed_by_resource_and_in_all(day: cast.MarketDay) -> None:
    look = DeliveryVerification.objects.create(
        auction=day.auction, revision=1, stage="FINAL", as_of=day.auction.delivery_start,
        ruleset=day.places.ruleset, input_sha256="",
    )  # fmt: skip
    # two half hours of 4,500 kWh ordered with 4,000 given; the battery gives its 3,000 whole
    given = (
        ("inzai-defer", 34, 4500, 4000), ("inzai-defer", 35, 4500, 4000),
        ("inzai-battery-up", 34, 3000, 3000),
    )  # fmt: skip
    Delivery.objects.bulk_create(
        Delivery(
            verification=look, award=day.awards[name], t=t, over_kwh=0, ordered_kwh=ordered,
            start_at=day.auction.delivery_start + timedelta(minutes=30 * t),
            delivered_kwh=delivered, shortfall_kwh=ordered - delivered,
        )
        for name, t, ordered, delivered in given
    )  # fmt: skip
    answer = client_of(day.places.people.owner).get("/dc/deliveries/")
    sums = {
        row["resource"].code: (row["ordered"], row["delivered"], row["missing"], row["ratio"])
        for row in answer.context["rows"]
    }
    assert sums == {
        "inzai-dc-1-battery": (3000, 3000, 0, 1),
        "inzai-dc-1-load": (9000, 8000, 1000, Decimal(8000) / Decimal(9000)),
    }
    assert answer.context["totals"] == {
        "ordered": 12_000, "delivered": 11_000, "missing": 1000,
        "ratio": Decimal(11_000) / Decimal(12_000),
    }  # fmt: skip
    home = client_of(day.places.people.owner).get("/dc/").context
    assert home["last"]["missing"] == 1000
    assert home["last_resource"].code == "inzai-dc-1-load"
    rival = client_of(day.places.people.rival).get("/dc/deliveries/").context
    assert rival["rows"] == []
