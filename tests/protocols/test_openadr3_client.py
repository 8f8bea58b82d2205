"""The client against a server that fails in every ordinary way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from aggregator.protocols.openadr3.client import vtn
from aggregator.protocols.openadr3.client.vtn import Rejected, Unreachable, Vtn

Answer = httpx.Response | Exception


class Server:
    """Gives its answers to /events one after the other; the last one for ever."""

    def __init__(self, *answers: Callable[[], Answer]) -> None:
        self.answers = list(answers)
        self.tokens: list[str] = []
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("auth/server"):
            return httpx.Response(200, json={"tokenURL": "http://vtn/openadr3/3.1.0/auth/token"})
        if request.url.path.endswith("auth/token"):
            self.tokens.append(request.content.decode())
            return httpx.Response(200, json={"access_token": f"token-{len(self.tokens)}"})
        self.asked.append(request)
        answer = (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _ok(*rows: dict[str, Any]) -> Callable[[], Answer]:
    return lambda: httpx.Response(
        200, json=list(rows), headers={"Market-Time": "2026-11-25T08:00:00.5Z"}
    )


def _status(code: int) -> Callable[[], Answer]:
    return lambda: httpx.Response(code, json={"detail": "the reason", "status": code})


def _ask(server: Server, call: Callable[[Vtn], Any]) -> tuple[Any, Vtn]:
    async def run() -> tuple[Any, Vtn]:
        async with httpx.AsyncClient(
            base_url="http://vtn/openadr3/3.1.0/", transport=httpx.MockTransport(server)
        ) as http:
            client = Vtn(http, client_id="c", client_secret="s&x")
            return await call(client), client

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vtn, "PAUSE_FIRST_S", 0.0)


def test_errors_of_the_server_and_the_line_are_tried_again() -> None:
    server = Server(
        _status(503),
        lambda: httpx.ConnectError("refused"),
        _status(429),
        lambda: httpx.ReadTimeout("slow"),
        _ok({"id": "e"}),
    )
    found, client = _ask(server, lambda client: client.all("events"))
    assert found == [{"id": "e"}]
    assert len(server.asked) == 5
    assert client.market_at is not None
    assert client.market_at.isoformat() == "2026-11-25T08:00:00.500000+00:00"


def test_an_expired_token_is_renewed_once() -> None:
    server = Server(_status(401), _ok())
    _ask(server, lambda client: client.all("events"))
    assert server.tokens[0] == "grant_type=client_credentials&client_id=c&client_secret=s%26x"
    headers = [request.headers["Authorization"] for request in server.asked]
    assert headers == ["Bearer token-1", "Bearer token-2"]


def test_a_token_refused_twice_is_a_refusal() -> None:
    with pytest.raises(Rejected) as refusal:
        _ask(Server(_status(401)), lambda client: client.all("events"))
    assert refusal.value.status == 401


def test_a_no_is_not_asked_again() -> None:
    server = Server(_status(409))
    with pytest.raises(Rejected, match="409: the reason"):
        _ask(server, lambda client: client.make("reports", {}))
    assert len(server.asked) == 1


def test_a_server_that_never_answers_is_given_up() -> None:
    server = Server(_status(500))
    with pytest.raises(Unreachable):
        _ask(server, lambda client: client.all("events"))
    assert len(server.asked) == vtn.TRIES_MAX


def test_lists_are_read_to_their_end() -> None:
    rows = [{"id": str(i)} for i in range(50)]
    server = Server(_ok(*rows), _ok({"id": "50"}))
    found, _ = _ask(server, lambda client: client.all("events", programID="p"))
    assert [row["id"] for row in found] == [str(i) for i in range(51)]
    pages = [dict(request.url.params) for request in server.asked]
    assert pages == [
        {"programID": "p", "skip": "0", "limit": "50"},
        {"programID": "p", "skip": "50", "limit": "50"},
    ]
