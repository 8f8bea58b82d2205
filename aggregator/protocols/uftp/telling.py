"""What an aggregator tells by itself: what its connections will take, and what they took."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.clock.selectors import market_now
from accounts.jobs.services import Claim, job_finish, job_postpone
from aggregator.metering.schedules import schedules_on
from aggregator.metering.selectors import readings_latest
from aggregator.protocols.uftp.mapping import (
    HOURS_PER_ISP,
    ISP_COUNT,
    ISP_DURATION,
    TIME_ZONE,
    isps_of,
    powers_w,
)
from aggregator.protocols.uftp.messages import (
    AgrPortfolioUpdate,
    Connection,
    DPrognosis,
    Metering,
    MeteringIsp,
    Payload,
    Profile,
)
from aggregator.protocols.uftp.models import (
    CongestionAddress,
    ConnectionAddress,
    Participant,
    Role,
    SentMessage,
)
from aggregator.protocols.uftp.sending import content_sha256, head, told
from market.registry.models import Resource
from market.trading.models import Auction

PROGNOSIS_KIND: Final = "aggregator.protocols.uftp.prognosis_send"
METERING_KIND: Final = "aggregator.protocols.uftp.metering_send"
CORRECTED_FOR = timedelta(days=5)
LOOK_AGAIN = timedelta(hours=6)
PATIENCE = timedelta(hours=24)
ZERO = Decimal(0)
QUANTUM_KWH = Decimal("0.001")


@transaction.atomic
def prognosis_send(*, claim: Claim) -> SentMessage | None:
    """Tell what the connections behind a congestion point plan for a day, once its gate closed.

    Plans are locked then and never change, so there is one revision. Without a plan of a single
    resource there is nothing to tell, and offers name a baseline instead.
    """
    address = CongestionAddress.objects.select_related("participant__organisation").get(
        id=UUID(claim.payload["address"])
    )
    period = date.fromisoformat(claim.payload["period"])
    sent = _prognosis(address, period)
    job_finish(claim=claim)
    return sent


def _prognosis(address: CongestionAddress, period: date) -> SentMessage | None:
    sites = _connections(address, period).values("meter__site")
    resources = _connections(address, period).values("meter__resource")
    units = Resource.objects.filter(Q(site__in=sites) | Q(id__in=resources))
    plans = schedules_on(resource_ids=list(units.values_list("id", flat=True)), delivery_on=period)
    if not plans:
        return None
    energy_kwh = {t: sum((plan[t] for plan in plans.values()), ZERO) for t in range(ISP_COUNT)}
    message = DPrognosis(
        **head(address.participant),
        isp_duration=ISP_DURATION,
        time_zone=TIME_ZONE,
        period=period,
        congestion_point=address.address,
        revision=1,
        isps=isps_of(powers_w(energy_kwh), with_zeros=True),
    )
    return _told_once(address.participant, message, f"{address.address} {period}", subject=address)


def _connections(address: CongestionAddress, period: date) -> QuerySet[ConnectionAddress]:
    return address.connections.filter(started_on__lte=period).filter(
        Q(ended_on__isnull=True) | Q(ended_on__gte=period)
    )


@transaction.atomic
def metering_send(*, claim: Claim) -> int:
    """Tell what each connection took on an auction's day; returns how many messages went out.

    Waits a day for values that are missing, then tells what there is; looks again for five days,
    and tells what was corrected as the next revision.
    """
    auction = Auction.objects.get(id=UUID(claim.payload["auction"]))
    period, now = auction.delivery_on, market_now()
    ends_at = auction.delivery_start + timedelta(days=1)
    count = 0
    rows = (
        ConnectionAddress.objects.filter(
            congestion_address__is_active=True,
            congestion_address__participant__is_active=True,
            started_on__lte=period,
        )
        .filter(Q(ended_on__isnull=True) | Q(ended_on__gte=period))
        .select_related("congestion_address__participant", "meter")
        .order_by("id")
    )
    for connection in rows:
        energy_kwh = _energy_kwh(connection, auction.delivery_start, ends_at, now)
        if energy_kwh and (len(energy_kwh) == ISP_COUNT or now >= ends_at + PATIENCE):
            count += _metering(connection, period, energy_kwh)
    if rows and now < ends_at + CORRECTED_FOR:
        job_postpone(claim=claim, due_at=now + LOOK_AGAIN)
    else:
        job_finish(claim=claim)
    return count


def _energy_kwh(
    connection: ConnectionAddress, starts_at: datetime, ends_at: datetime, as_of: datetime
) -> dict[int, Decimal]:
    readings = readings_latest(
        meter_ids=[connection.meter_id], start_at=starts_at, end_at=ends_at, as_of=as_of
    )
    return {row.t: row.usable_kwh for row in readings if row.usable_kwh is not None}


def _metering(connection: ConnectionAddress, period: date, energy_kwh: dict[int, Decimal]) -> int:
    participant = connection.congestion_address.participant
    about = f"{connection.ean} {period}"
    last = (
        SentMessage.objects.filter(participant=participant, kind="Metering", about=about)
        .order_by("-revision")
        .first()
    )
    message = Metering(
        **head(participant, conversation_id=last.conversation_id if last else ""),
        revision=last.revision + 1 if last else 1,
        isp_duration=ISP_DURATION,
        time_zone=TIME_ZONE,
        period=period,
        ean=connection.ean,
        profiles=profiles_of(energy_kwh),
    )
    if last is not None and last.content_sha256 == content_sha256(message):
        return 0
    told(participant=participant, message=message, about=about, subject=connection)
    return 1


def profiles_of(energy_kwh: dict[int, Decimal]) -> tuple[Profile, ...]:
    """Return mean power and energy each way, ISP by ISP; + is to the customer."""

    def isps(values: dict[int, Decimal]) -> tuple[MeteringIsp, ...]:
        return tuple(
            MeteringIsp(start=t + 1, value=value.quantize(QUANTUM_KWH))
            for t, value in sorted(values.items())
        )

    return (
        Profile(
            profile_type="Power",
            unit="kW",
            isps=isps({t: kwh / HOURS_PER_ISP for t, kwh in energy_kwh.items()}),
        ),
        Profile(
            profile_type="ImportEnergy",
            unit="kWh",
            isps=isps({t: max(ZERO, kwh) for t, kwh in energy_kwh.items()}),
        ),
        Profile(
            profile_type="ExportEnergy",
            unit="kWh",
            isps=isps({t: max(ZERO, -kwh) for t, kwh in energy_kwh.items()}),
        ),
    )


@transaction.atomic
def portfolio_send(*, participant: Participant) -> SentMessage | None:
    """Tell a common reference operator which connections we act for; None if there are none."""
    rows = ConnectionAddress.objects.filter(congestion_address__is_active=True).order_by("ean")
    connections = {
        row.ean: Connection(
            # a number of the metering message becomes the address of the same thing
            entity_address=f"ean.{row.ean[1:]}",
            start_period=row.started_on,
            end_period=row.ended_on,
        )
        for row in rows
    }
    if not connections or participant.role != Role.CRO:
        return None
    message = AgrPortfolioUpdate(
        **head(participant), time_zone=TIME_ZONE, connections=tuple(connections.values())
    )
    today = datetime.combine(market_now().astimezone(ZoneInfo(TIME_ZONE)).date(), time.min)
    return _told_once(participant, message, f"{today:%Y-%m-%d}", subject=participant)


def _told_once(
    participant: Participant, message: Payload, about: str, *, subject: object
) -> SentMessage:
    known = SentMessage.objects.filter(
        participant=participant, kind=_name(message), about=about
    ).first()
    if known is not None:
        return known
    return told(participant=participant, message=message, about=about, subject=subject)  # type: ignore[arg-type]


def _name(message: Payload) -> str:
    from aggregator.protocols.uftp.messages import NAME_OF

    return NAME_OF[type(message)]
