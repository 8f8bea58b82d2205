"""Conditional connections in the portal: opened, limited after a look, watched, ended."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.clock.selectors import market_now
from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from aggregator.core.envelopes import Span
from aggregator.dispatch.connections import heartbeat_note
from aggregator.dispatch.models import ConnectionLimit, ConnectionOutage, FlexibleConnection
from aggregator.portal.tso.limit_chart import limit_chart
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_tso import connection_of

JAPANESE = re.compile(r"[぀-ヿ一-鿿、-〟（）]+")
QUERIES_MAX = 18
D = Decimal


def posted(client: Client, url: str, **fields: Any) -> Any:
    """Fill in the form of a page and send it."""
    page = client.get(url).content.decode()
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token is not None
    return client.post(url, {"form_token": token[1], **fields})


def planner(day: cast.MarketDay, language: str = "ja") -> Client:
    return client_of(day.places.people.planner, language)


def limits_of(row: FlexibleConnection) -> list[tuple[Any, ...]]:
    said = ConnectionLimit.objects.filter(connection=row).order_by("number")
    return list(said.values_list("starts_at", "ends_at", "limit_kw", "reason"))


def evening(market: cast.MarketDay, **changes: Any) -> dict[str, Any]:
    """Ask for 1,200 kW from 17:00 to 18:00 of the delivery day."""
    on = f"{market.auction.delivery_on:%Y-%m-%d}"
    return {
        "day": on, "koma_first": "34", "day_end": on, "koma_end": "36", "limit_kw": "１，２００",
        "reason": "線路3", **changes,
    }  # fmt: skip


def test_a_connection_is_opened_from_an_empty_list(day: cast.MarketDay) -> None:
    client = planner(day)
    empty = client.get("/tso/connections/").content.decode()
    assert "条件付き接続はまだありません。" in empty
    site = day.places.sites["inzai"]
    address = f"/tso/connections/new/{site.id}/"
    assert address in client.get("/tso/connections/new/").content.decode()
    fields = {"firm_kw": "1000", "flexible_kw": "2千", "heartbeat_s": "60", "failsafe_s": "119"}
    short = posted(client, address, **fields)
    assert short.status_code == 422
    assert list(short.context["form"].errors) == ["failsafe_s"]
    assert "119：生存通知2回分以上、86400 秒以下" in short.content.decode()
    done = posted(client, address, **{**fields, "failsafe_s": "120"})
    row = FlexibleConnection.objects.get()
    assert (done.status_code, done["Location"]) == (303, f"/tso/connections/{row.id}/")
    assert (row.firm_kw, row.flexible_kw, row.heartbeat_s, row.failsafe_s) == (1000, 2000, 60, 120)
    # a site has one
    assert address not in client.get("/tso/connections/new/").content.decode()
    again = posted(client, address, **{**fields, "failsafe_s": "120"})
    assert again.status_code == 409
    assert "条件付き接続のない拠点" in again.content.decode()


def test_a_limit_is_shown_before_it_is_said_and_then_stands(day: cast.MarketDay) -> None:
    row = connection_of(day)
    client = planner(day)
    address = f"/tso/connections/{row.id}/limits/new/"
    looked = posted(client, address, count="1", **evening(day))
    text = looked.content.decode()
    assert looked.status_code == 200
    assert '<s class="muted">3,000 kW</s> → <b>1,200 kW</b>' in text
    assert [(one.times, one.span.limit_kw) for one in looked.context["after"]] == [
        ("11月24日(火) 20:00–11月25日(水) 17:00", 3_000),
        ("11月25日(水) 17:00–18:00", 1_200),
        ("11月25日(水) 18:00 から", 3_000),
    ]
    row.refresh_from_db()
    assert (limits_of(row), row.revision) == ([], 1)
    done = posted(client, address, **evening(day))
    assert (done.status_code, done["Location"]) == (303, f"/tso/connections/{row.id}/")
    start = day.auction.delivery_start
    assert limits_of(row) == [
        (start + timedelta(hours=17), start + timedelta(hours=18), 1_200, "線路3"),
    ]
    listed = client.get("/tso/connections/").content.decode()
    assert "11月25日(水) 17:00</span> → <b>1,200 kW</b>" in listed


def test_a_span_is_lifted_from_its_row_whole(day: cast.MarketDay) -> None:
    row = connection_of(day)
    client = planner(day)
    posted(client, f"/tso/connections/{row.id}/limits/new/", **evening(day, koma_end="48"))
    (free, less, _) = client.get(f"/tso/connections/{row.id}/").context["spans"]
    assert (free.lift_url, less.times) == ("", "11月25日(水) 17:00–24:00")
    form = client.get(less.lift_url).context["form"]
    on = day.auction.delivery_on
    assert form.initial == {
        "day": on, "koma_first": 34, "day_end": on, "koma_end": 48, "limit_kw": 3_000,
    }  # fmt: skip
    assert client.get(less.replace_url).context["form"].initial["limit_kw"] == 1_000
    fields = {name: str(value) for name, value in form.initial.items()}
    assert posted(client, less.lift_url, **fields, reason="").status_code == 303
    shown = client.get(f"/tso/connections/{row.id}/").context
    assert [one.span.limit_kw for one in shown["spans"]] == [3_000]
    assert len(shown["said"]) == 2


def test_what_takes_the_firm_part_or_is_over_is_refused_at_its_field(day: cast.MarketDay) -> None:
    row = connection_of(day)
    client = planner(day)
    address = f"/tso/connections/{row.id}/limits/new/"
    before = f"{day.auction.delivery_on - timedelta(days=2):%Y-%m-%d}"
    wrong = {
        "limit_kw": evening(day, limit_kw="999"),
        "koma_end": evening(day, koma_end="34"),
        "koma_first": evening(day, day=before, day_end=before),
    }
    for field, fields in wrong.items():
        for step in ({"count": "1"}, {}):
            answer = posted(client, address, **step, **fields)
            assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert limits_of(row) == []


def test_the_list_tells_who_is_heard_silent_and_fallen_back(day: cast.MarketDay) -> None:
    row = connection_of(day)
    client = planner(day)

    def told() -> tuple[str, Any]:
        (one,) = client.get("/tso/connections/").context["connections"]
        return one.state.word, one.now_kw

    assert told() == ("未接続", 3_000)
    heartbeat_note(connection_id=row.id)
    assert told() == ("監視中", 3_000)
    heard = market_now()
    cast.market_time(heard + timedelta(seconds=90))
    assert told() == ("監視中", 3_000)
    cast.market_time(heard + timedelta(seconds=92))
    assert told() == ("20:00:00 から無応答", 3_000)
    FlexibleConnection.objects.filter(id=row.id).update(state="LOST")
    ConnectionOutage.objects.create(
        connection=row, heard_at=heard, lost_at=heard + timedelta(seconds=181)
    )
    cast.market_time(heard + timedelta(minutes=9))
    assert told() == ("フェイルセーフ中", 1_000)
    page = client.get(f"/tso/connections/{row.id}/")
    assert [minutes for _, minutes in page.context["outages"]] == ["9.0"]
    assert "途絶中" in page.content.decode()


def test_an_ended_connection_takes_no_limit_and_no_second_end(day: cast.MarketDay) -> None:
    row = connection_of(day)
    client = planner(day)
    address = f"/tso/connections/{row.id}/"
    done = posted(client, f"{address}close/")
    row.refresh_from_db()
    assert (done.status_code, row.state) == (303, "ENDED")
    page = client.get(address)
    assert "上限を公表" not in page.content.decode()
    assert page.context["drawn"] is None
    assert client.get(f"{address}close/").status_code == 404
    assert client.get(f"{address}limits/new/").status_code == 404


def test_another_operator_finds_nothing_and_the_desk_no_buttons(day: cast.MarketDay) -> None:
    row = connection_of(day)
    other = cast.organisation("grid-o", OrganisationKind.TSO, "グリッドO", "Grid-O")
    stranger = client_of(cast.member("planner-o", other, Role.GRID_PLANNER))
    assert stranger.get("/tso/connections/").context["connections"] == []
    assert stranger.get("/tso/connections/new/").context["sites"] == []
    for page in ("", "limits/new/", "close/"):
        assert stranger.get(f"/tso/connections/{row.id}/{page}").status_code == 404
    site = day.places.sites["shiroi"]
    assert stranger.get(f"/tso/connections/new/{site.id}/").status_code == 404
    desk = client_of(day.places.people.desk).get(f"/tso/connections/{row.id}/").content.decode()
    assert "1,000" in desk
    assert "limits/new/" not in desk


def test_connections_are_whole_in_english_and_ask_the_database_seldom(
    day: cast.MarketDay,
) -> None:
    row = connection_of(day)
    posted(planner(day), f"/tso/connections/{row.id}/limits/new/", **evening(day, reason="line"))
    client = planner(day, "en")
    site = day.places.sites["shiroi"]
    pages = ("/tso/connections/", "/tso/connections/new/", f"/tso/connections/new/{site.id}/",
             f"/tso/connections/{row.id}/", f"/tso/connections/{row.id}/limits/new/",
             f"/tso/connections/{row.id}/close/")  # fmt: skip
    for page in pages:
        with CaptureQueriesContext(connection) as queries:
            text = client.get(page).content.decode()
        assert len(queries) <= QUERIES_MAX, page
        told = re.sub(
            r"<button[^>]*lang=.*?</button>|<title>.*?</title>", "", text, flags=re.DOTALL
        )
        assert set(JAPANESE.findall(told)) <= {"ワットビット"}, page


def test_the_list_asks_as_much_of_many_connections_as_of_one(day: cast.MarketDay) -> None:
    row = connection_of(day)
    client = planner(day)
    client.get("/tso/connections/")
    with CaptureQueriesContext(connection) as few:
        client.get("/tso/connections/")
    FlexibleConnection.objects.bulk_create(
        FlexibleConnection(
            site=row.site, organisation=row.organisation, firm_kw=n, flexible_kw=1,
            heartbeat_s=60, failsafe_s=180, state="ENDED", created_at=row.created_at,
        )
        for n in range(40)
    )  # fmt: skip
    with CaptureQueriesContext(connection) as many:
        answer = client.get("/tso/connections/")
    assert len(answer.context["connections"]) == 41
    assert len(many) == len(few)


def test_the_chart_steps_where_the_limit_does() -> None:
    from_at = cast.datetime(2026, 11, 25, 0, tzinfo=cast.UTC)
    day_after = from_at + timedelta(hours=24)
    spans = (
        Span(starts_at=from_at, ends_at=day_after, limit_kw=D(3_000)),
        Span(starts_at=day_after, ends_at=None, limit_kw=D(1_500)),
    )
    drawn = limit_chart(
        spans, from_at=from_at, levels_kw=[(D(1_500), "1,500")], top_kw=D(3_000), tick_words=[]
    )
    # 872 wide from 76: half is 512; 148 high down to 162: half is 88
    assert drawn.line == "M76.0 14.0V14.0H512.0V88.0H948.0"
    assert drawn.area == "M76.0 14.0V14.0H512.0V88.0H948.0V162.0H76.0Z"
    assert [(one.at, one.text) for one in drawn.levels] == [("88.0", "1,500")]
