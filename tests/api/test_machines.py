"""Bearers of tokens go past the middleware for people and get the same answers."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory, override_settings

from accounts.parties.keys import api_client_create
from accounts.parties.roles import Role
from aggregator.config.machines import MachineHandler, PeopleAndMachines
from market.trading.models import Bid
from tests import cast
from tests.api.conftest import DoorClient
from tests.api.test_bid_doors import STEPS

Answer = tuple[int, dict[str, str], bytes]


def _asked(application: Any, method: str, path: str, body: bytes = b"", **more: str) -> Answer:
    told: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        told.update(status=int(status[:3]), headers=dict(headers))

    environ = RequestFactory().generic(method, path).environ | {
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }
    environ.pop("HTTP_COOKIE", None)
    environ |= {name: value for name, value in more.items() if name == "HTTP_COOKIE"}
    answer = application(environ, start_response)
    text = b"".join(answer)
    answer.close()
    return told["status"], told["headers"], text


@pytest.fixture
def bearer(transactional_db: None) -> dict[str, str]:
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    client, secret = api_client_create(
        organisation=where.people.inzai_dc, client_id="machine", role=Role.OPERATOR_TRADER
    )
    answer = DoorClient().post(
        "/oauth/token",
        f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}",
        content_type="application/x-www-form-urlencoded",
    )
    return {"HTTP_AUTHORIZATION": f"Bearer {answer.json()['access_token']}", "code": auction.code}


def test_who_bears_a_token_and_no_cookie_is_a_machine() -> None:
    told: list[str] = []

    def application(name: str) -> Any:
        return lambda _environ, _start: told.append(name) or []  # type: ignore[func-returns-value]

    doors = PeopleAndMachines(application("people"), application("machines"))
    token = {"HTTP_AUTHORIZATION": "bEARER x"}
    for environ in (
        {"PATH_INFO": "/api/v1/bids", **token},
        {"PATH_INFO": "/api/v1/bids", **token, "HTTP_COOKIE": "sessionid=1"},
        {"PATH_INFO": "/api/v1/bids"},
        {"PATH_INFO": "/api/v1/bids", "HTTP_AUTHORIZATION": "Basic x"},
        {"PATH_INFO": "/desk/", **token},
    ):
        list(doors(environ, lambda *_: None))
    assert told == ["machines", "people", "people", "people", "people"]


def test_a_machine_is_answered_as_through_the_whole_chain(bearer: dict[str, str]) -> None:
    door = f"/api/v1/auctions/{bearer.pop('code')}/bids"
    short, whole = MachineHandler(), get_wsgi_application()
    for number, (method, path, body, more) in enumerate(
        (
            ("POST", door, STEPS, {"HTTP_IDEMPOTENCY_KEY": "k"}),
            ("POST", door, STEPS, {}),
            ("POST", door, {**STEPS, "form": "X"}, {"HTTP_IDEMPOTENCY_KEY": "l"}),
            ("GET", "/api/v1/bids", None, {}),
            ("GET", "/api/v1/bids", None, {"HTTP_ACCEPT_LANGUAGE": "en"}),
            ("GET", "/api/v1/bids", None, {"HTTP_AUTHORIZATION": "Bearer wrong"}),
            ("GET", "/api/v1/no-such-door", None, {}),
            ("DELETE", "/api/v1/bids", None, {}),
            ("GET", "/api/v1/bids", None, {"HTTP_HOST": "elsewhere.example"}),
        )
    ):
        text = b"" if body is None else json.dumps(body).encode()
        first = _asked(short, method, path, text, **{**bearer, **more})
        second = _asked(whole, method, path, text, **{**bearer, **more})
        assert first[0] == second[0], (number, first, second)
        if second[0] < 300 and method == "POST":
            assert second[1].pop("Idempotency-Replayed") == "true"
            assert first[2] == second[2]
        else:
            shown = [json.loads(one[2]) if number < 8 else {} for one in (first, second)]
            assert [{**one, "instance": ""} for one in shown][:1] == [
                {**one, "instance": ""} for one in shown
            ][1:], number
        # what is not there are headers that only a browser reads
        gone = {"Content-Security-Policy", "Content-Security-Policy-Report-Only"}
        assert set(second[1]) - set(first[1]) <= gone, number
        assert set(first[1]) <= set(second[1]), number
        for name in {"Content-Language", "X-Content-Type-Options"} & set(second[1]):
            assert first[1][name] == second[1][name]
    assert Bid.objects.count() == 1


@override_settings(SECURE_SSL_REDIRECT=True)
def test_a_machine_that_does_not_encrypt_is_sent_away(transactional_db: None) -> None:
    status, headers, _ = _asked(
        MachineHandler(), "GET", "/api/v1/bids", HTTP_AUTHORIZATION="Bearer x"
    )
    assert (status, headers["Location"]) == (301, "https://testserver/api/v1/bids")
