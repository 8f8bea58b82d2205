"""Calls of reserved capacity, as its grid operator gives them: noted, never changed."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from aggregator.metering.calendar import japanese_day
from aggregator.metering.correction_requests import corrections_request
from aggregator.metering.models import CapacityActivation, CorrectionCause
from market.clearing.models import Award, CapacityInterval, Leg


@transaction.atomic
def activation_note(
    *, award_id: UUID, t: int, instructed_kw: Decimal, actor: str
) -> CapacityActivation:
    """Note that reserved capacity was called in one half hour; 0 kW takes the call back.

    The same word again changes nothing.

    Raises
    ------
    NotFound
        If the award reserves nothing, or nothing in this half hour.
    Refused
        If more is called than reserved.
    """
    decimal_of(instructed_kw, field="instructed_kw", low=Decimal(0), high=Decimal(KW_MAX), places=1)
    award = (
        Award.objects.select_for_update(of=("self",), no_key=True)
        .filter(id=award_id, leg=Leg.RESERVED)
        .first()
    )
    interval = CapacityInterval.objects.filter(award=award, t=t, quantity_kw__gt=0).first()
    if award is None or interval is None:
        raise NotFound(field="award", value=f"{award_id} t={t}", rule="capacity reserved then")
    if instructed_kw > interval.quantity_kw:
        raise Refused(
            field="instructed_kw", value=instructed_kw, rule=f"at most {interval.quantity_kw:f} kW"
        )
    latest = CapacityActivation.objects.filter(award=award, t=t).order_by("-revision").first()
    if latest is not None and latest.instructed_kw == instructed_kw:
        return latest
    row = CapacityActivation.objects.create(
        award=award,
        t=t,
        start_at=interval.start_at,
        instructed_kw=instructed_kw,
        revision=1 if latest is None else latest.revision + 1,
        noted_at=market_now(),
        noted_by=actor,
    )
    entry_append(
        action="metering.activation.noted",
        subject=row,
        organisation_id=award.organisation_id,
        detail={"award": str(award_id), "t": t, "kw": str(instructed_kw), "actor": actor},
    )
    corrections_request(
        days=[japanese_day(interval.start_at)],
        cause_kind=CorrectionCause.ACTIVATION,
        cause_id=str(row.id),
    )
    return row
