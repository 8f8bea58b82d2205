r"""Score a test dispatch: how much of what was asked came, how soon, and how steadily.

With the asked change :math:`q` [kW], the mean power :math:`b` of the quarter hours before the order
was told, and the change :math:`d_i = \pm(b - p_i)` of each evaluation interval :math:`i` that
lies wholly after the response time,

.. math:: score = \frac{1}{n}\sum_i \min\Bigl(1, \max\bigl(0, \tfrac{d_i}{q}\bigr)\Bigr)

An interval that was not metered counts as nothing. The test is passed if the score reaches the bar
and no interval stays below the floor: neither a good mean over a failed quarter hour, nor a steady
half, is what the product asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from accounts.core.errors import Refused

PASS_RATIO: Final = Decimal("0.9")
FLOOR_RATIO: Final = Decimal("0.8")
QUANTUM: Final = Decimal("0.0001")
ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a test came to.

    Parameters
    ----------
    score_ratio
        0 to 1.
    lowest_ratio
        Of the worst interval.
    change_kw
        What came in each interval; None where it was not metered.
    """

    score_ratio: Decimal
    lowest_ratio: Decimal
    is_passed: bool
    change_kw: tuple[Decimal | None, ...]


def score(
    *,
    asked_kw: Decimal,
    is_up: bool,
    before_kw: Sequence[Decimal],
    during_kw: Sequence[Decimal | None],
    pass_ratio: Decimal = PASS_RATIO,
    floor_ratio: Decimal = FLOOR_RATIO,
) -> Score:
    """Score a test.

    Parameters
    ----------
    asked_kw
        Above zero.
    is_up
        Less consumption was asked.
    before_kw
        Mean power of each interval before the order was told, at least one. [kW]
    during_kw
        Mean power of each interval that is evaluated; None where it was not metered. [kW]

    Raises
    ------
    Refused
        If nothing was asked, or nothing was metered before it.

    Examples
    --------
    >>> found = score(
    ...     asked_kw=Decimal(100),
    ...     is_up=True,
    ...     before_kw=[Decimal(500)],
    ...     during_kw=[Decimal(400), Decimal(410)],
    ... )
    >>> found.score_ratio, found.lowest_ratio, found.is_passed
    (Decimal('0.9500'), Decimal('0.9000'), True)
    """
    if asked_kw <= ZERO:
        raise Refused(field="asked_kw", value=asked_kw, rule="above 0 kW")
    if not before_kw:
        raise Refused(field="before_kw", value=0, rule="a reading before the order")
    if not during_kw:
        raise Refused(field="during_kw", value=0, rule="an interval after the response time")
    usual = sum(before_kw, ZERO) / len(before_kw)
    sign = 1 if is_up else -1
    changes = tuple(None if kw is None else sign * (usual - kw) for kw in during_kw)
    ratios = [
        ZERO if change is None else min(ONE, max(ZERO, change / asked_kw)) for change in changes
    ]
    mean = (sum(ratios, ZERO) / len(ratios)).quantize(QUANTUM, ROUND_HALF_EVEN)
    lowest = min(ratios).quantize(QUANTUM, ROUND_HALF_EVEN)
    return Score(
        score_ratio=mean,
        lowest_ratio=lowest,
        is_passed=mean >= pass_ratio and lowest >= floor_ratio,
        change_kw=changes,
    )
