"""Too fast is told from too full, and one caller's flood shuts out nobody else."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
from django.test import override_settings
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from aggregator.api.v1 import limits
from aggregator.api.v1.access import PUBLIC, SIGNED_IN, Access
from aggregator.api.v1.base import Door
from aggregator.api.v1.limits import Admission, Buckets, Rate
from aggregator.api.v1.problem import Stopped

pytestmark = pytest.mark.django_db


class Clock:
    at_s = 1_000.0

    def __call__(self) -> float:
        return self.at_s


def _buckets(clock: Clock) -> Buckets:
    return Buckets({"write": Rate(per_s=2, burst=3), "slow": Rate(per_s=0.1, burst=1)}, clock=clock)


def test_a_burst_is_let_in_and_then_the_rate_holds() -> None:
    clock = Clock()
    buckets = _buckets(clock)
    for _ in range(3):
        buckets.spend("client:a", "write")
    with pytest.raises(Stopped) as stopped:
        buckets.spend("client:a", "write")
    # the next of 2 tokens a second comes in half a second, told as one
    assert (stopped.value.code, stopped.value.retry_after_s) == ("too-many-requests", 1)
    clock.at_s += 0.5
    buckets.spend("client:a", "write")
    with pytest.raises(Stopped):
        buckets.spend("client:a", "write")


def test_a_rest_fills_the_bucket_and_no_more() -> None:
    clock = Clock()
    buckets = _buckets(clock)
    buckets.spend("client:a", "write")
    clock.at_s += 3_600
    for _ in range(3):
        buckets.spend("client:a", "write")
    with pytest.raises(Stopped):
        buckets.spend("client:a", "write")


def test_what_is_asked_in_vain_does_not_delay_further() -> None:
    clock = Clock()
    buckets = _buckets(clock)
    buckets.spend("client:a", "slow")
    for _ in range(5):
        with pytest.raises(Stopped) as stopped:
            buckets.spend("client:a", "slow")
    # one token in 10 s
    assert stopped.value.retry_after_s == 10
    clock.at_s += 10
    buckets.spend("client:a", "slow")


def test_callers_and_kinds_have_buckets_of_their_own() -> None:
    buckets = _buckets(Clock())
    for _ in range(3):
        buckets.spend("client:a", "write")
    buckets.spend("client:b", "write")
    buckets.spend("client:a", "slow")


def test_buckets_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLERS_MAX", 10)
    buckets = _buckets(Clock())
    for i in range(100):
        buckets.spend(f"client:{i}", "write")
    assert len(buckets._held) == 10


def test_a_full_house_refuses_at_once_and_empties_again() -> None:
    admission = Admission(places=2, kept=1)
    with ExitStack() as held:
        held.enter_context(admission.place())
        held.enter_context(admission.place())
        with pytest.raises(Stopped) as stopped, admission.place():
            pass
        assert (stopped.value.code, stopped.value.retry_after_s) == ("unavailable", 1)
    assert admission.in_work == 0
    with admission.place(), admission.lane("a"):
        assert admission.in_work == 1


def test_the_last_places_are_kept_for_who_has_none() -> None:
    admission = Admission(places=4, kept=2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(admission.place())
            held.enter_context(admission.lane("flood"))
        with pytest.raises(Stopped), admission.place(), admission.lane("flood"):
            pass
        held.enter_context(admission.place())
        held.enter_context(admission.lane("other"))
        held.enter_context(admission.place())
        held.enter_context(admission.lane("third"))
        assert admission.in_work == 4
    with admission.place(), admission.lane("flood"):
        pass
    assert (admission.in_work, admission._of) == (0, {})


def test_counts_are_right_after_many_threads() -> None:
    admission = Admission(places=8, kept=2)
    buckets = Buckets({"write": Rate(per_s=1e-9, burst=500)})
    let_in: list[int] = []

    def knock(number: int) -> None:
        for _ in range(200):
            try:
                with admission.place(), admission.lane(f"{number % 3}"):
                    buckets.spend("client:a", "write")
                    let_in.append(1)
            except Stopped:
                pass

    threads = [threading.Thread(target=knock, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) <= 500
    assert (admission.in_work, admission._of) == (0, {})


class Looking(Door):
    access: ClassVar[Access] = {"GET": PUBLIC, "POST": SIGNED_IN}
    rate = "slow"

    def get(self, request: Any) -> Response:
        if request.query_params.get("fail"):
            raise RuntimeError("secret of the house")
        return Response({"in_work": limits.ADMISSION.in_work})


def _look(query: str = "", **headers: str) -> Any:
    return Looking.as_view()(APIRequestFactory().get(f"/looking{query}", headers=headers)).render()


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS", _buckets(Clock()))
    monkeypatch.setattr(limits, "ADMISSION", Admission(places=1, kept=1))


def test_a_door_tells_when_to_ask_again(tight: None) -> None:
    assert _look().data == {"in_work": 1}
    refused = _look()
    assert (refused.status_code, refused["Retry-After"]) == (429, "10")
    assert refused.data["code"] == "too-many-requests"
    assert refused.data["detail_ja"] == "毎秒 0.1 件、一度に 1 件までです"
    assert limits.ADMISSION.in_work == 0


@override_settings(TRUSTED_PROXIES_COUNT=1)
def test_behind_a_proxy_each_nobody_has_tokens_of_their_own(tight: None) -> None:
    for address, status in (
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("192.0.2.99, 192.0.2.2", 429),  # what the caller says before the proxy is hearsay
    ):
        assert _look(**{"X-Forwarded-For": address}).status_code == status


def test_a_full_process_refuses_before_it_asks_who_knocks(tight: None) -> None:
    with limits.ADMISSION.place():
        refused = _look()
    assert (refused.status_code, refused["Retry-After"]) == (503, "1")
    assert refused.data["code"] == "unavailable"


def test_our_errors_tell_nothing_but_a_reference_that_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="aggregator.api"):
        answer = Looking.as_view()(APIRequestFactory().get("/looking?fail=1")).render()
    assert (answer.status_code, answer.data["code"]) == (500, "our-error")
    assert b"secret" not in answer.content
    line = next(row.getMessage() for row in caplog.records if row.levelname == "INFO")
    assert line == f"problem 500 our-error {answer.data['instance']} GET /looking nobody "
    assert limits.ADMISSION.in_work == 0
