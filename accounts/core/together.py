"""What several threads bring at the same time is done in one go, by one of them.

Who comes first leads: it takes what has gathered, does it all at once and hands each its result.
What comes meanwhile gathers for the next go, which one of those waiting leads. Nobody waits for
others to come: alone, a go has one item. Under load it has as many as arrive during a go, so that
what a go costs however many items it has (a message, a commit) falls per item as load grows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class LeaderLost(Exception):
    """The thread that worked for this one was ended; nothing of the work may be counted on."""


class _Turn(Generic[Item, Result]):
    """One thread's item, and the lock it sleeps on until it has a result or the lead."""

    __slots__ = ("asleep", "error", "is_done", "item", "likeness", "result")

    def __init__(self, item: Item, likeness: Hashable) -> None:
        self.item = item
        self.likeness = likeness
        self.asleep = threading.Lock()
        self.asleep.acquire()
        self.is_done = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Together(Generic[Item, Result]):
    """One kind of work that threads do together.

    Parameters
    ----------
    work
        Returns the results of the items, in their order; what it raises, all of them raise.
    count_max
        Most items of one go.
    likeness
        Items go together only if this is equal of them; of all, if it is not given.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        count_max: int,
        likeness: Callable[[Item], Hashable] = lambda _item: None,
    ) -> None:
        self._work = work
        self._count_max = count_max
        self._likeness = likeness
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: deque[_Turn[Item, Result]] = deque()

    def of(self, item: Item) -> Result:
        """Return the result of `item`; the work on it begins after this call.

        Raises
        ------
        LeaderLost
            If the thread that worked for this one was ended in its midst.
        Exception
            What the work raised.
        """
        own: _Turn[Item, Result] = _Turn(item, self._likeness(item))
        with self._lock:
            is_led, self._is_led = self._is_led, True
            if is_led:
                self._waiting.append(own)
        if is_led:
            own.asleep.acquire()
        if not own.is_done:
            self._lead(own)
        if own.error is not None:
            raise own.error
        return own.result  # type: ignore[return-value]  # done without an error

    def _lead(self, own: _Turn[Item, Result]) -> None:
        """Do one go with `own` in it, then pass the lead on."""
        turns = self._gathered(own)
        error: BaseException = LeaderLost("the thread that did the work was ended")
        try:
            results = self._work([turn.item for turn in turns])
            for turn, result in zip(turns, results, strict=True):
                turn.result, turn.is_done = result, True
        except Exception as caught:
            error = caught
            raise
        finally:
            for turn in turns:
                if not turn.is_done:
                    turn.error, turn.is_done = error, True
            self._pass_on()
            for turn in turns:
                if turn is not own:
                    turn.asleep.release()

    def _gathered(self, own: _Turn[Item, Result]) -> list[_Turn[Item, Result]]:
        """Take what waits and is like `own`, the oldest first; the rest keeps its order."""
        turns: list[_Turn[Item, Result]] = [own]
        others: list[_Turn[Item, Result]] = []
        with self._lock:
            while self._waiting and len(turns) < self._count_max:
                turn = self._waiting.popleft()
                (turns if turn.likeness == own.likeness else others).append(turn)
            self._waiting.extendleft(reversed(others))
        return turns

    def _pass_on(self) -> None:
        """Wake who has waited longest to lead the next go, if there is anybody."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().asleep.release()
            else:
                self._is_led = False
