"""Reads that may be a moment old are as old as allowed and no older."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.clock.recent import Recent


class _Source:
    def __init__(self) -> None:
        self.rows = {"a": 1, "b": 2}
        self.asked: list[list[str]] = []
        self.now_s = 100.0

    def read(self, keys: Iterable[str]) -> dict[str, int]:
        self.asked.append(sorted(keys))
        return {key: self.rows[key] for key in keys if key in self.rows}

    def clock(self) -> float:
        return self.now_s


@pytest.fixture
def source() -> _Source:
    return _Source()


def test_what_was_read_is_read_again_when_it_is_too_old(source: _Source, settings: object) -> None:
    settings.RECENT_S = 1.0  # type: ignore[attr-defined]
    recent = Recent(source.read, clock=source.clock)
    assert recent.of(["a", "b"]) == {"a": 1, "b": 2}
    source.rows["a"] = 7
    source.now_s += 0.99
    assert recent.of(["a"]) == {"a": 1}
    source.now_s += 0.01
    assert recent.of(["a", "b"]) == {"a": 7, "b": 2}
    assert source.asked == [["a", "b"], ["a", "b"]]


def test_what_was_missing_is_looked_for_each_time(source: _Source, settings: object) -> None:
    settings.RECENT_S = 1.0  # type: ignore[attr-defined]
    recent = Recent(source.read, clock=source.clock)
    assert recent.of(["a", "c"]) == {"a": 1}
    source.rows["c"] = 3
    assert recent.of(["a", "c"]) == {"a": 1, "c": 3}
    assert source.asked == [["a", "c"], ["c"]]


def test_nothing_is_kept_where_the_settings_say_so(source: _Source, settings: object) -> None:
    settings.RECENT_S = 0  # type: ignore[attr-defined]
    recent = Recent(source.read, clock=source.clock)
    recent.of(["a"])
    recent.of(["a"])
    assert recent.of([]) == {}
    assert source.asked == [["a"], ["a"]]


def test_a_read_takes_along_what_is_half_as_old_and_in_use(
    source: _Source, settings: object
) -> None:
    settings.RECENT_S = 1.0  # type: ignore[attr-defined]
    source.rows |= {"c": 3, "d": 4}
    recent = Recent(source.read, clock=source.clock)
    recent.of(["a", "b", "c"])
    recent.of(["a", "b"])  # in use; nobody asks for c again
    source.now_s += 0.6
    recent.of(["d"])
    source.now_s += 0.39
    assert recent.of(["a", "b"]) == {"a": 1, "b": 2}
    source.now_s += 0.6  # a, b and d are 0.99 s old
    assert recent.of(["a", "b", "d"]) == {"a": 1, "b": 2, "d": 4}
    source.now_s += 0.02
    assert recent.of(["a"]) == {"a": 1}
    assert source.asked == [["a", "b", "c"], ["a", "b", "d"], ["a", "b", "d"]]


def test_what_is_gone_is_not_asked_for_without_end(source: _Source, settings: object) -> None:
    settings.RECENT_S = 1.0  # type: ignore[attr-defined]
    recent = Recent(source.read, clock=source.clock)
    recent.of(["a", "b"])
    recent.of(["a", "b"])
    del source.rows["b"]
    source.now_s += 1.0
    assert recent.of(["a"]) == {"a": 1}
    source.now_s += 1.0
    assert recent.of(["a"]) == {"a": 1}
    assert source.asked == [["a", "b"], ["a", "b"], ["a"]]


def test_those_who_miss_the_same_read_it_once(source: _Source, settings: object) -> None:
    settings.RECENT_S = 1.0  # type: ignore[attr-defined]
    is_in, may_go = threading.Event(), threading.Event()

    def slow(keys: Iterable[str]) -> dict[str, int]:
        is_in.set()
        assert may_go.wait(10)
        return source.read(keys)

    recent = Recent(slow, clock=source.clock)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(recent.of, ["a"])
        assert is_in.wait(10)
        others = [pool.submit(recent.of, ["a"]) for _ in range(3)]
        may_go.set()
        assert [one.result(10) for one in (first, *others)] == [{"a": 1}] * 4
    assert source.asked == [["a"]]
