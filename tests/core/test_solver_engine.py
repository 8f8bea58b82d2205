"""The solver in a process of its own: killed, dead, forked, and always back."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from market.clearing.engine import SolverEngine
from market.core.errors import InvalidSnapshot, SolverDeadline, SolverDied, SolverLimit
from market.core.results import clear_bytes
from tests.books import balance_need, book, steps, store

DEADLINE_S = 60.0


def _content(**rules: float) -> bytes:
    document = book(
        4,
        bids=[
            steps("supply", "b", "UP", (100, 10), window=(0, 3)),
            store("battery", "a", 3, start_kwh=50.0, end_min_kwh=50.0),
        ],
        balance_needs=[balance_need([50, 150, 20, 180])],
        elements=[],
    )
    document["rules"] |= rules
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def engine() -> Iterator[SolverEngine]:
    with SolverEngine() as found:
        found.warm()
        yield found


def _stopped(engine: SolverEngine) -> int:
    engine.warm()
    pid = engine.child_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_the_process_answers_what_the_function_answers(engine: SolverEngine) -> None:
    assert engine.clear_bytes(_content(), DEADLINE_S) == clear_bytes(_content())


def test_the_process_stays_warm(engine: SolverEngine) -> None:
    engine.clear_bytes(_content(), DEADLINE_S)
    first = engine.child_pid
    engine.clear_bytes(_content(), DEADLINE_S)
    assert engine.child_pid == first


def test_a_refusal_comes_back_as_itself(engine: SolverEngine) -> None:
    content = _content().replace(b'"quantity_kw": 100', b'"quantity_kw": -1')
    with pytest.raises(InvalidSnapshot) as refusal:
        engine.clear_bytes(content, DEADLINE_S)
    assert refusal.value.field == "bids[0].curves[0].steps[0].quantity_kw"
    assert refusal.value.value == -1
    assert engine.clear_bytes(_content(), DEADLINE_S)


def test_a_work_limit_comes_back_as_itself(engine: SolverEngine) -> None:
    with pytest.raises(SolverLimit):
        engine.clear_bytes(_content(iteration_limit=1), DEADLINE_S)


def test_a_hanging_solver_is_killed_at_the_deadline(engine: SolverEngine) -> None:
    pid = _stopped(engine)
    with pytest.raises(SolverDeadline):
        engine.clear_bytes(_content(), 0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert engine.clear_bytes(_content(), DEADLINE_S) == clear_bytes(_content())


def test_a_solver_that_dies_at_work_is_told_and_replaced(engine: SolverEngine) -> None:
    pid = _stopped(engine)
    killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(SolverDied, match="-9"):
        engine.clear_bytes(_content(), DEADLINE_S)
    killer.join()
    assert engine.clear_bytes(_content(), DEADLINE_S) == clear_bytes(_content())


def test_a_solver_that_died_in_between_is_replaced_silently(engine: SolverEngine) -> None:
    engine.warm()
    pid = engine.child_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert engine.clear_bytes(_content(), DEADLINE_S)
    assert engine.child_pid != pid


def test_a_forked_process_starts_a_solver_of_its_own(engine: SolverEngine) -> None:
    engine.warm()
    parents = engine.child_pid
    child = os.fork()
    if child == 0:
        try:
            was_shared = engine.child_pid is not None
            same = engine.clear_bytes(_content(), DEADLINE_S) == clear_bytes(_content())
            is_own = engine.child_pid not in (None, parents)
            engine.close()
            os._exit(0 if same and is_own and not was_shared else 1)
        except BaseException:  # noqa: BLE001 - a forked test must not run on into the session
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert engine.child_pid == parents
    assert engine.clear_bytes(_content(), DEADLINE_S)


def test_a_solver_without_memory_is_told() -> None:
    with (
        SolverEngine(memory_limit_mib=64) as poor,
        pytest.raises(SolverDied),
    ):
        poor.clear_bytes(_content(), DEADLINE_S)


def test_a_closed_engine_leaves_no_process_and_opens_again() -> None:
    engine = SolverEngine()
    engine.warm()
    pid = engine.child_pid
    assert pid is not None
    engine.close()
    assert engine.child_pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert engine.clear_bytes(_content(), DEADLINE_S)
    engine.close()


def test_many_threads_share_one_process(engine: SolverEngine) -> None:
    expected = clear_bytes(_content())
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(engine.clear_bytes(_content(), DEADLINE_S)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
