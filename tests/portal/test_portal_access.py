"""Who sees what, on every address, chart answers included."""

from __future__ import annotations

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from aggregator.portal.urls import urlpatterns
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrices import matrix_of

DAY = "/day/2026-11-25/"
WHO = ("anonymous", "owner", "rival", "stranger", "planner", "desk")

# address: status for anonymous, owner, rival, stranger, planner, desk
MATRIX = {
    "/": (302, 302, 302, 302, 302, 302),
    DAY: (200, 200, 200, 200, 200, 200),
    DAY + "need.json": (200, 200, 200, 200, 200, 200),
    DAY + "price.json": (200, 200, 200, 200, 200, 200),
    DAY + "price.json?place=bus:inzai": (200, 200, 200, 200, 200, 200),
    DAY + "price.json?place=site:inzai-dc-1": (404, 200, 404, 404, 404, 200),
    DAY + "price.json?place=site:shiroi-dc-1": (404, 404, 200, 404, 404, 200),
    DAY + "?place=site:inzai-dc-1": (404, 200, 404, 404, 404, 200),
    DAY + "loading.json": (200, 200, 200, 200, 200, 200),
    DAY + "network.json": (200, 200, 200, 200, 200, 200),
    DAY + "needs.csv": (200, 200, 200, 200, 200, 200),
    DAY + "?auction=NONE": (404, 404, 404, 404, 404, 404),
    DAY + "?need=NONE": (404, 404, 404, 404, 404, 404),
    "/day/2026-11-24/": (404, 404, 404, 404, 404, 404),
    "/day/2026-02-30/": (404, 404, 404, 404, 404, 404),
    "/statements/": (302, 200, 200, 200, 200, 403),
    "/statements/?organisation=inzai-dc": (302, 200, 404, 404, 404, 403),
    "/statements/inzai-dc.csv": (302, 200, 404, 404, 404, 404),
    "/statements/shiroi-dc.csv": (302, 404, 200, 404, 404, 404),
    "/statements/grid-t.csv": (302, 404, 404, 404, 200, 404),
    "/login/": (200, 302, 302, 302, 302, 302),
    "/logout/": (405, 405, 405, 405, 405, 405),
    "/admin/": (302, 302, 302, 302, 302, 200),
}


def person(day: cast.MarketDay, who: str) -> cast.User | None:
    return None if who == "anonymous" else getattr(day.places.people, who)


@pytest.mark.parametrize("who", WHO)
def test_every_address_answers_each_person_as_written_in_the_matrix(
    day: cast.MarketDay, who: str
) -> None:
    client = client_of(person(day, who))
    column = WHO.index(who)
    matrix = {**MATRIX, **matrix_of(day)}
    answers = {address: client.get(address).status_code for address in matrix}
    assert answers == {address: row[column] for address, row in matrix.items()}


def names_of(patterns: list[URLPattern | URLResolver]) -> set[str]:
    names = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            names |= names_of(pattern.url_patterns)
        else:
            names.add(str(pattern.name))
    return names


def test_the_matrix_holds_every_route_of_the_portal(day: cast.MarketDay) -> None:
    covered = {get_resolver().resolve(address.split("?")[0]).url_name
               for address in (*MATRIX, *matrix_of(day)) if "02-30" not in address}  # fmt: skip
    assert names_of(urlpatterns) <= covered


def test_awards_are_shown_to_their_owner_and_the_market_only(day: cast.MarketDay) -> None:
    people = day.places.people
    seen = {who: client_of(person(day, who)).get(DAY).content.decode() for who in WHO}
    assert "inzai-defer-1125" in seen["owner"]
    assert "shiroi-cap-1125" not in seen["owner"]
    assert "shiroi-cap-1125" in seen["rival"]
    assert "inzai-defer-1125" not in seen["rival"]
    assert "inzai-defer-1125" in seen["desk"]
    assert "shiroi-cap-1125" in seen["desk"]
    for who in ("anonymous", "stranger", "planner"):
        assert "inzai-defer-1125" not in seen[who]
        assert "shiroi-cap-1125" not in seen[who]
        assert people.inzai_dc.name not in seen[who]
        assert people.shiroi_dc.name not in seen[who]


@pytest.mark.parametrize("who", ["anonymous", "rival", "stranger", "planner"])
def test_no_answer_names_the_owner_to_others(day: cast.MarketDay, who: str) -> None:
    client = client_of(person(day, who))
    matrix = {**MATRIX, **matrix_of(day)}
    addresses = [a for a, row in matrix.items() if row[WHO.index(who)] == 200]
    for address in addresses:
        if who == "planner" and address.startswith(("/tso/connections/", "/tso/calls/")):
            continue  # whose sites are connected in its area, and which it calls, it knows
        body = client.get(address).content.decode()
        assert day.places.people.inzai_dc.name not in body, address
        assert "inzai-dc-1" not in body, address


def test_nobody_is_shown_an_ask(day: cast.MarketDay) -> None:
    # the asks are 9, 4, 21 and 28 yen; only 21 and 28 are no published price or quantity
    for who in WHO:
        for address in (DAY + "price.json", DAY + "need.json", DAY + "needs.csv"):
            body = client_of(person(day, who)).get(address).content.decode()
            assert "28.00" not in body
            assert "ask" not in body


def test_before_the_result_flows_are_for_the_grid_operator_and_the_market(
    open_day: cast.MarketDay,
) -> None:
    statuses = {
        who: client_of(person(open_day, who)).get(DAY + "loading.json").status_code for who in WHO
    }
    assert statuses == {
        "anonymous": 404, "owner": 404, "rival": 404, "stranger": 404, "planner": 200, "desk": 200,
    }  # fmt: skip


def test_before_the_result_there_is_no_price(open_day: cast.MarketDay) -> None:
    for who in WHO:
        assert client_of(person(open_day, who)).get(DAY + "price.json").status_code == 404


def test_a_need_not_yet_available_is_not_shown(db: None) -> None:
    made = cast.open_day()
    cast.market_time(made.needs["local"].available_at.replace(microsecond=0))
    later = made.needs["local"].available_at
    cast.market_time(later)
    assert b"inzai-line-up" in client_of(None).get(DAY).content


def test_a_need_of_the_future_is_not_shown(db: None) -> None:
    from datetime import timedelta

    made = cast.open_day()
    cast.market_time(made.needs["local"].available_at - timedelta(seconds=1))
    body = client_of(None).get(DAY).content
    assert b"inzai-line-up" not in body
    assert b"inzai-line-up" not in client_of(None).get(DAY + "needs.csv").content


def test_a_suspended_person_sees_what_everybody_sees(day: cast.MarketDay) -> None:
    owner = day.places.people.owner
    client = client_of(owner)
    owner.is_active = False
    owner.save(update_fields=["is_active"])
    assert "inzai-defer-1125" not in client.get(DAY).content.decode()


def test_signing_in_leads_back_and_a_wrong_password_is_refused_in_words(
    day: cast.MarketDay,
) -> None:
    client = client_of(None)
    wrong = client.post("/login/", {"username": "inzai", "password": "wrong"})
    assert wrong.status_code == 200
    assert "一致しません" in wrong.content.decode()
    right = client.post(
        "/login/?next=/statements/",
        {"username": "inzai", "password": cast.PASSWORD, "next": "/statements/"},
    )
    assert right.headers["Location"] == "/statements/"
    assert client.post("/logout/").status_code == 302
    assert client.get("/statements/").status_code == 302


def test_signing_in_never_leads_to_another_host(day: cast.MarketDay) -> None:
    right = client_of(None).post(
        "/login/", {"username": "inzai", "password": cast.PASSWORD, "next": "//evil.example/"}
    )
    assert right.headers["Location"] == "/"
