"""What threads bring at the same time is done in one go; each gets its own result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from accounts.core.together import LeaderLost, Together

WAIT_S = 10.0


class _Work:
    """Doubles numbers, in goes that are written down; the first waits until it is let go."""

    def __init__(self, fails: Callable[[Sequence[int]], None] = lambda _items: None) -> None:
        self.goes: list[list[int]] = []
        self.is_in, self.may_go = threading.Event(), threading.Event()
        self._fails = fails

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.goes.append(list(items))
        if len(self.goes) == 1:
            self.is_in.set()
            assert self.may_go.wait(WAIT_S)
        self._fails(items)
        return [2 * item for item in items]


def _gather(
    pool: ThreadPoolExecutor, work: _Work, together: Together[int, int], items: Sequence[int]
) -> list[Future[int]]:
    """Let the first item go alone; the others come, in this order, while it is at work."""
    first = pool.submit(together.of, items[0])
    assert work.is_in.wait(WAIT_S)
    futures = [first]
    for count, item in enumerate(items[1:], 1):
        futures.append(pool.submit(together.of, item))
        ends_s = time.monotonic() + WAIT_S
        while len(together._waiting) < count:
            assert time.monotonic() < ends_s
            time.sleep(0.001)
    work.may_go.set()
    return futures


def test_what_comes_alone_goes_at_once() -> None:
    work = _Work()
    work.may_go.set()
    together = Together(work, count_max=9)
    assert [together.of(3), together.of(4)] == [6, 8]
    assert work.goes == [[3], [4]]


def test_what_came_during_a_go_is_done_in_the_next() -> None:
    work = _Work()
    together = Together(work, count_max=9)
    with ThreadPoolExecutor(6) as pool:
        futures = _gather(pool, work, together, [1, 2, 3, 4, 5])
        assert [future.result(WAIT_S) for future in futures] == [2, 4, 6, 8, 10]
    assert work.goes == [[1], [2, 3, 4, 5]]
    assert together.of(7) == 14  # nobody holds the lead any more


def test_a_go_has_so_many_items_and_only_such_as_are_alike() -> None:
    work = _Work()
    together = Together(work, count_max=3, likeness=lambda item: item % 2)
    with ThreadPoolExecutor(9) as pool:
        futures = _gather(pool, work, together, [1, 2, 3, 4, 6, 8, 5])
        assert [future.result(WAIT_S) for future in futures] == [2, 4, 6, 8, 12, 16, 10]
    # of 2 3 4 6 8 5 the even ones go first, three of them; the others keep their order
    assert work.goes == [[1], [2, 4, 6], [3, 5], [8]]


def test_a_failure_is_that_of_all_in_the_go_and_of_nobody_else() -> None:
    def fails(items: Sequence[int]) -> None:
        if 2 in items:
            raise ValueError("two")

    work = _Work(fails)
    together = Together(work, count_max=9)
    with ThreadPoolExecutor(4) as pool:
        first, *others = _gather(pool, work, together, [1, 2, 3])
        assert first.result(WAIT_S) == 2
        for future in others:
            with pytest.raises(ValueError, match="two"):
                future.result(WAIT_S)
    assert together.of(4) == 8


def test_who_was_worked_for_by_a_thread_that_ended_is_told_so() -> None:
    def fails(items: Sequence[int]) -> None:
        if 2 in items:
            raise SystemExit

    work = _Work(fails)
    together = Together(work, count_max=9)
    with ThreadPoolExecutor(4) as pool:
        first, second, third = _gather(pool, work, together, [1, 2, 3])
        assert first.result(WAIT_S) == 2
        with pytest.raises(SystemExit):
            second.result(WAIT_S)
        with pytest.raises(LeaderLost):
            third.result(WAIT_S)
    assert together.of(4) == 8


def test_a_go_with_too_few_results_fails() -> None:
    together: Together[int, int] = Together(lambda _items: [], count_max=9)
    with pytest.raises(ValueError, match="shorter"):
        together.of(1)
