"""Everything that is wrong with the rows of one call, not only the first thing."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.core.errors import Refused

REFUSALS_MAX = 100


class RowsRefused(Refused):
    """Several rows of one call break rules; nothing of the call was stored.

    Parameters
    ----------
    refusals
        What is wrong, in the order found, at most :data:`REFUSALS_MAX`; field, value and rule of
        this error are those of the first.
    """

    def __init__(self, refusals: Sequence[Refused]) -> None:
        self.refusals = tuple(refusals)
        first = self.refusals[0]
        super().__init__(field=first.field, value=first.value, rule=first.rule)


class Refusals:
    """Gathers refusals of rows, so that a bidder mends a file in one go."""

    def __init__(self) -> None:
        self._found: list[Refused] = []

    def note(self, refusal: Refused) -> None:
        """Keep a refusal.

        Raises
        ------
        RowsRefused
            Once there are enough of them.
        """
        self._found.append(refusal)
        if len(self._found) >= REFUSALS_MAX:
            self.end()

    def end(self) -> None:
        """Go on if nothing was refused.

        Raises
        ------
        Refused
            The only refusal itself, or :class:`RowsRefused` of several.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise RowsRefused(self._found)
