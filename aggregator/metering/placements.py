"""The log of where moved work ran: taken in whole or refused whole, never changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KWH_MAX
from accounts.fields.checking import text_checked
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.sight import Sight
from aggregator.metering.calendar import japanese_day
from aggregator.metering.correction_requests import corrections_request
from aggregator.metering.models import CorrectionCause, PlacementLog
from aggregator.metering.orders import SHIFT_LEGS
from market.clearing.models import Award, AwardInterval

READ = "delivery.read"
SUBMIT = "reading.submit"
ROWS_MAX = 20_000
LABEL_LENGTH_MAX = 40
EVIDENCE_LENGTH_MAX = 200
HALF_HOUR = timedelta(minutes=30)


class PlacementRefused(Refused):
    """A row of a log that is not taken."""


@dataclass(frozen=True, kw_only=True)
class PlacementRow:
    """Work of one label that left, or arrived at, the place of an award in one half hour.

    Exactly one of `moved_gpu_h` and `moved_kwh` is given. At a destination kWh are those that
    the work took there. The empty label is work that may run anywhere.
    """

    award_id: UUID
    t: int
    label: str
    moved_gpu_h: Decimal | None = None
    moved_kwh: Decimal | None = None
    evidence: str = ""

    @property
    def key(self) -> tuple[UUID, int, str]:
        """Return what a row is about."""
        return self.award_id, self.t, self.label


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What became of a batch."""

    added: int
    revised: int
    unchanged: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedWork:
    """The prevailing value of one label at one end; `is_energy` tells kWh from GPU-h."""

    label: str
    quantity: Decimal
    is_energy: bool


@transaction.atomic
def placements_note(
    *, organisation: Organisation, rows: Sequence[PlacementRow], source: str
) -> Noted:
    """Take in a log, all of it or nothing; what is known already is left as it is.

    Parameters
    ----------
    organisation
        Whose work moved: the seller of every award, or the aggregator.
    rows
        1 to 20,000, each award, half hour and label once.

    Raises
    ------
    PlacementRefused
        Naming the row ``rows[n].<field>``: not an award of a shift of the organisation, a half
        hour it does not order or that is not over, no or two quantities, one out of bounds, or
        GPU-h beside kWh in one shift and half hour.
    """
    if not 1 <= len(rows) <= ROWS_MAX:
        raise PlacementRefused(field="rows", value=len(rows), rule=f"1 to {ROWS_MAX} rows")
    text_checked(source, field="source", length_max=40)
    now = market_now()
    starts_at = _refuse_wrong(organisation, rows, now)
    known = _prevailing(PlacementLog.objects.filter(award_id__in={row.award_id for row in rows}))
    _refuse_mixed(rows, known)
    new: list[PlacementLog] = []
    for row in rows:
        earlier = known.get(row.key)
        if earlier is not None and (earlier.moved_gpu_h, earlier.moved_kwh, earlier.evidence) == (
            row.moved_gpu_h,
            row.moved_kwh,
            row.evidence,
        ):
            continue
        new.append(
            PlacementLog(
                award_id=row.award_id,
                t=row.t,
                start_at=starts_at[row.award_id, row.t],
                label=row.label,
                moved_gpu_h=row.moved_gpu_h,
                moved_kwh=row.moved_kwh,
                revision=1 if earlier is None else earlier.revision + 1,
                available_at=now,
                source=source,
                evidence=row.evidence,
            )
        )
    PlacementLog.objects.bulk_create(new, batch_size=5_000)
    revised = sum(row.revision > 1 for row in new)
    noted = Noted(added=len(new) - revised, revised=revised, unchanged=len(rows) - len(new))
    if new:
        _told(organisation, noted, new)
    return noted


def logs_latest(
    *, award_ids: Collection[UUID], as_of: datetime
) -> dict[tuple[UUID, int], list[LoggedWork]]:
    """Return what prevails of the logs of awards, by award and half hour, as known then."""
    found: dict[tuple[UUID, int], list[LoggedWork]] = {}
    rows = _prevailing(PlacementLog.objects.filter(award_id__in=award_ids, available_at__lte=as_of))
    for award_id, t, label in sorted(rows):
        row = rows[award_id, t, label]
        is_energy = row.moved_kwh is not None
        quantity = row.moved_kwh if is_energy else row.moved_gpu_h
        found.setdefault((award_id, t), []).append(
            LoggedWork(label=label, quantity=quantity or Decimal(0), is_energy=is_energy)
        )
    return found


def placements_seen(*, seen_by: Sight) -> QuerySet[PlacementLog]:
    """Return logs a caller may see: those on its own awards, the market all."""
    rows = PlacementLog.objects.select_related("award__resource")
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(award__organisation_id__in=seen_by.organisations_for(READ))


def _prevailing(rows: QuerySet[PlacementLog]) -> dict[tuple[UUID, int, str], PlacementLog]:
    return {(row.award_id, row.t, row.label): row for row in rows.order_by("revision")}


def _refuse_wrong(
    organisation: Organisation, rows: Sequence[PlacementRow], now: datetime
) -> Mapping[tuple[UUID, int], datetime]:
    """Hold every row against the awards it names; return the start of each half hour."""
    awards = Award.objects.filter(id__in={row.award_id for row in rows}, leg__in=SHIFT_LEGS)
    if organisation.kind != OrganisationKind.AGGREGATOR:
        awards = awards.filter(organisation=organisation)
    # locked in order: two logs of one award get different revisions
    own = {award.id for award in awards.select_for_update(of=("self",), no_key=True).order_by("id")}
    starts_at = {
        (award_id, t): start_at
        for award_id, t, start_at in AwardInterval.objects.filter(
            award_id__in=own, quantity_kw__gt=0
        ).values_list("award_id", "t", "start_at")
    }
    seen: set[tuple[UUID, int, str]] = set()
    for n, row in enumerate(rows):
        where = f"rows[{n}]"
        if row.award_id not in own:
            rule = "an award of a shift of yours"
            raise PlacementRefused(field=f"{where}.award", value=str(row.award_id), rule=rule)
        start_at = starts_at.get((row.award_id, row.t))
        if start_at is None:
            raise PlacementRefused(
                field=f"{where}.t", value=row.t, rule="a half hour that the award orders"
            )
        if start_at + HALF_HOUR > now:
            raise PlacementRefused(field=f"{where}.t", value=row.t, rule="over")
        _refuse_values(where, row)
        if row.key in seen:
            rule = "each award, half hour and label once"
            raise PlacementRefused(field=f"{where}.label", value=row.label, rule=rule)
        seen.add(row.key)
    return starts_at


def _refuse_values(where: str, row: PlacementRow) -> None:
    for name, length_max in (("label", LABEL_LENGTH_MAX), ("evidence", EVIDENCE_LENGTH_MAX)):
        if text := getattr(row, name):
            text_checked(text, field=f"{where}.{name}", length_max=length_max)
    if (row.moved_gpu_h is None) == (row.moved_kwh is None):
        rule = "GPU-h or kWh, one of them"
        raise PlacementRefused(field=f"{where}.moved_gpu_h", value=row.moved_gpu_h, rule=rule)
    name = "moved_kwh" if row.moved_gpu_h is None else "moved_gpu_h"
    decimal_of(
        getattr(row, name),
        field=f"{where}.{name}",
        low=Decimal(0),
        high=Decimal(KWH_MAX),
        places=3,
    )


def _refuse_mixed(
    rows: Sequence[PlacementRow], known: Mapping[tuple[UUID, int, str], PlacementLog]
) -> None:
    """Refuse GPU-h beside kWh in one shift and half hour: they can not be added up."""
    bid_of = dict(
        Award.objects.filter(id__in={row.award_id for row in rows}).values_list("id", "bid_id")
    )
    partners = dict(
        Award.objects.filter(bid_id__in=bid_of.values(), leg__in=SHIFT_LEGS).values_list(
            "id", "bid_id"
        )
    )
    others = _prevailing(PlacementLog.objects.filter(award_id__in=partners.keys() - bid_of.keys()))
    replaced = {row.key for row in rows}
    units: dict[tuple[UUID, int], bool] = {
        (partners[log.award_id], log.t): log.moved_kwh is not None
        for key, log in {**known, **others}.items()
        if key not in replaced
    }
    for n, row in enumerate(rows):
        at = (bid_of[row.award_id], row.t)
        is_energy = row.moved_kwh is not None
        if units.setdefault(at, is_energy) != is_energy:
            raise PlacementRefused(
                field=f"rows[{n}].moved_kwh",
                value=str(row.moved_kwh),
                rule="one unit at both ends of a shift in a half hour",
            )


def _told(organisation: Organisation, noted: Noted, new: Sequence[PlacementLog]) -> None:
    entry_append(
        action="metering.placements.noted",
        subject=organisation,
        organisation_id=organisation.id,
        detail={"added": noted.added, "revised": noted.revised},
    )
    corrections_request(
        days={japanese_day(row.start_at) for row in new},
        cause_kind=CorrectionCause.PLACEMENT,
        cause_id=str(max(row.pk for row in new)),
    )
