"""What counts on many orders at once, in whole Wh; the same as :func:`delivery.deliver` says.

A property test holds the two equal order by order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aggregator.core.loads import Bools, Ints

EXACT_BELOW: Final = 2**62


def deliver_in_bulk(
    *, group: Ints, is_up: Bools, ordered_wh: Ints, change_wh: Ints, is_known: Bools
) -> tuple[Ints, Ints]:
    """Share what meters show among the orders on each.

    Parameters
    ----------
    group
        The meter and half hour of each order, 0 to G − 1; within one in order of award id.
    is_up, ordered_wh
        Of each order.
    change_wh, is_known
        Baseline minus meter of each group, positive = UP, and whether both are known; shape (G,).

    Returns
    -------
    tuple
        Delivered and over-delivered energy of each order [Wh].
    """
    side = 2 * group + is_up
    sides = 2 * len(change_wh)
    total = np.bincount(side, minlength=sides)  # how many orders there are
    asked = np.zeros(sides, dtype=np.int64)
    np.add.at(asked, side, ordered_wh)
    other = asked.reshape(-1, 2)[:, ::-1].ravel()
    toward = np.maximum(np.stack((-change_wh, change_wh), axis=1).ravel(), 0)
    known = np.repeat(is_known, 2)
    net = asked - other
    counted = np.where(net <= 0, asked, other + np.minimum(net, toward)) * known
    over = np.where(net <= 0, 0, np.maximum(toward - net, 0)) * known
    if total.max(initial=0) <= 1:
        return counted[side], over[side]
    return _split(side, ordered_wh, counted, asked), _split(side, ordered_wh, over, asked)


def _split(side: Ints, weight: Ints, amount: Ints, whole: Ints) -> Ints:
    """Split amounts by weights in whole units; what is left goes to the largest remainders."""
    share = np.maximum(whole, 1)[side]
    largest = int(amount.max(initial=0)) * int(weight.max(initial=0))
    wide = weight if largest < EXACT_BELOW else weight.astype(object)
    scaled = amount[side] * wide
    parts = (scaled // share).astype(np.int64)
    rest = (scaled % share).astype(np.int64)
    left = amount.copy()
    np.subtract.at(left, side, parts)
    left[whole == 0] = 0
    # by side, largest remainder first, of equals the one that comes first
    order = np.lexsort((np.arange(len(side)), -rest, side))
    of_side = side[order]
    begins = np.flatnonzero(np.diff(of_side, prepend=-1))
    place = np.arange(len(side)) - np.repeat(begins, np.diff(begins, append=len(side)))
    parts[order] += place < left[of_side]
    return parts
