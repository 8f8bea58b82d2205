"""What a connection with a firm and a flexible part may draw: both ends decide it by these rules.

The platform publishes the limit; the site keeps to it while it hears the platform, and falls to the
firm part by itself when it has not for too long. Both ends use these functions, so that they agree
on what holds even while they cannot talk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What may be drawn in [starts_at, ends_at); of several that cover a moment the last counts."""

    starts_at: datetime
    ends_at: datetime
    limit_kw: Decimal


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time of one limit; without an end it holds until something else is said."""

    starts_at: datetime
    ends_at: datetime | None
    limit_kw: Decimal


def limit_spans(
    limits: Sequence[Limit], *, firm_kw: Decimal, flexible_kw: Decimal, from_at: datetime
) -> tuple[Span, ...]:
    """Return what holds from a moment on, in turn; the last span has no end.

    Where nothing was said the whole connection may be used. The firm part is never taken away.

    Parameters
    ----------
    limits
        In the order in which they were said.
    """
    whole_kw = firm_kw + flexible_kw
    near = [limit for limit in limits if limit.ends_at > from_at]
    edges = {from_at}
    for limit in near:
        edges |= {at for at in (limit.starts_at, limit.ends_at) if at > from_at}
    moments = sorted(edges)
    spans: list[Span] = []
    for at, ends_at in zip(moments, [*moments[1:], None], strict=True):
        said = [limit.limit_kw for limit in near if limit.starts_at <= at < limit.ends_at]
        kw = max(firm_kw, min(whole_kw, said[-1])) if said else whole_kw
        if spans and spans[-1].limit_kw == kw:
            spans[-1] = Span(starts_at=spans[-1].starts_at, ends_at=ends_at, limit_kw=kw)
        else:
            spans.append(Span(starts_at=at, ends_at=ends_at, limit_kw=kw))
    return tuple(spans)


def permitted_kw(
    spans: Sequence[Span],
    *,
    firm_kw: Decimal,
    now: datetime,
    heard_at: datetime | None,
    failsafe: timedelta,
) -> Decimal:
    """Return what a site may draw now.

    Parameters
    ----------
    spans
        As published last.
    heard_at
        When the site last heard the platform; None: never.
    failsafe
        How long it may go on without.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 11, 25, tzinfo=UTC)
    >>> spans = [Span(starts_at=at, ends_at=None, limit_kw=Decimal(50))]
    >>> later = at + timedelta(seconds=61)
    >>> permitted_kw(
    ...     spans, firm_kw=Decimal(20), now=later, heard_at=at, failsafe=timedelta(seconds=60)
    ... )
    Decimal('20')
    """
    if heard_at is None or now - heard_at > failsafe:
        return firm_kw
    for span in spans:
        if span.starts_at <= now and (span.ends_at is None or now < span.ends_at):
            return max(firm_kw, span.limit_kw)
    return firm_kw
