"""Reads that may be a moment old are as old as allowed and no older."""

from __future__ import annotations

from collections.abc import Iterable

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
