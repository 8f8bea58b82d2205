"""Single bids that come at the same time are answered in one transaction.

Each request is read, checked and signed for by its own thread; what needs the database waits for
the go that is under way and is written with all that has come meanwhile, by one of their threads
(:mod:`accounts.core.together`). Answers leave after the commit. A bid that cannot go with others
takes the ordinary way of a POST, and so do all of a go that failed for a reason other than the
database being gone: what one of them did must not cost the others their answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import InterfaceError, OperationalError, transaction
from rest_framework.request import Request

from accounts.core.errors import Refused
from accounts.core.together import Together
from accounts.parties.models import Organisation
from aggregator.api.v1.idempotency import Keyed, Printed, befores, keep, keyed, printed
from aggregator.api.v1.problem import Stopped
from market.trading.bids import Submission
from market.trading.drafts import drafts_of
from market.trading.singles import Single, goes_together, singles_submit

COUNT_MAX: Final = 32
"""Bids of one go: the gate is held while they are written, and closing waits for that."""

logger = logging.getLogger(__name__)
Outcome = Printed | Stopped | Refused | None


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One request for one bid."""

    auction_code: str
    keyed: Keyed
    single: Single
    told: Callable[[Submission], Any]


def answered_together(
    request: Request,
    *,
    auction_code: str,
    organisation: Organisation,
    actor: str,
    told: Callable[[Submission], Any],
) -> Printed | None:
    """Submit the bid that is the request's body, together with others.

    Parameters
    ----------
    told
        Makes the answer.

    Returns
    -------
    Printed or None
        The answer; None if the request must take the ordinary way, and nothing was done.

    Raises
    ------
    Stopped
        As :func:`aggregator.api.v1.idempotency.answered`.
    Refused
        As :func:`market.trading.bids.basket_submit`.
    """
    if not isinstance(request.data, Mapping):
        return None
    asked = keyed(request, actor)
    try:
        (draft,) = drafts_of(organisation, [request.data])
    except Refused:
        return None  # unless it was answered before, which the ordinary way looks up first
    if not goes_together(draft):
        return None
    single = Single(organisation=organisation, draft=draft, actor=actor)
    outcome = _TOGETHER.of(_Asked(auction_code=auction_code, keyed=asked, single=single, told=told))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _done(asked: Sequence[_Asked]) -> list[Outcome]:
    """Do one go; of a go that fails, each is left to the ordinary way."""
    try:
        with transaction.atomic():
            return _written(asked)
    except (InterfaceError, OperationalError):
        raise
    except Exception:
        if len(asked) == 1:
            raise
        logger.warning("%s single bids go one by one", len(asked), exc_info=True)
        return [None] * len(asked)


def _written(asked: Sequence[_Asked]) -> list[Outcome]:
    outcomes: list[Outcome] = list(befores([one.keyed for one in asked]))
    new = [i for i, before in enumerate(outcomes) if before is None]
    if not new:
        return outcomes
    submitted = singles_submit(
        auction_code=asked[0].auction_code, singles=[asked[i].single for i in new]
    )
    answers: list[tuple[Keyed, Printed]] = []
    for i, found in zip(new, submitted, strict=True):
        if isinstance(found, Submission):
            answer = printed(asked[i].told(found))
            answers.append((asked[i].keyed, answer))
            outcomes[i] = answer
        else:
            outcomes[i] = found
    if answers:
        keep(answers)
    return outcomes


_TOGETHER: Final[Together[_Asked, Outcome]] = Together(
    _done, count_max=COUNT_MAX, likeness=lambda asked: asked.auction_code
)
