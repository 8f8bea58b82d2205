"""Verify an auction's delivery: orders and readings in, baselines and deliveries out."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.fields.copying import rows_copy
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_create, job_finish
from aggregator.core.delivery import Delivered, Direction, Ordered, deliver
from aggregator.core.terms import rules_from_mapping
from aggregator.metering import selectors
from aggregator.metering.baselines import (
    DayLoad,
    FoundBaseline,
    baselines_find,
    baselines_write,
    loads_read,
)
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import (
    Delivery,
    DeliveryVerification,
    Stage,
    VerificationStage,
)
from aggregator.metering.rules import baseline_rules_from_mapping
from aggregator.metering.selectors import LatestReading, OrderedInterval
from market.trading.models import Auction

JOB_KIND = "aggregator.metering.delivery_verify"
SETTLEMENT_JOB_KIND = "aggregator.settlement.run_execute"
HOURS_PER_INTERVAL = Decimal("0.5")
JST_OFFSET = timedelta(hours=9)
COUNTRY = "JP"

DELIVERY_COLUMNS = (
    "verification_id",
    "award_id",
    "t",
    "start_at",
    "ordered_kwh",
    "baseline_kwh",
    "metered_kwh",
    "delivered_kwh",
    "shortfall_kwh",
    "over_kwh",
    "reading_revision",
    "reading_stage",
)


class ReadingsNotFinal(Refused):
    """A final verification must wait: a half hour has a value that is not 確定 yet."""


class NothingPublished(Refused):
    """The auction has no published award to verify."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a verification found, ready to be written."""

    auction: Auction
    stage: str
    as_of: datetime
    found: Mapping[UUID, FoundBaseline]
    rows: tuple[tuple[OrderedInterval, Delivered, Decimal | None, LatestReading | None], ...]
    sha256: str = field(default="")


def delivery_verification_request(
    *, auction: Auction, stage: str, due_at: datetime | None = None
) -> Job:
    """Create the job that verifies an auction's delivery once more, at `due_at` market time."""
    latest = selectors.verification_latest(auction_id=auction.id)
    revision = 1 if latest is None else latest.revision + 1
    return job_create(
        kind=JOB_KIND,
        key=f"{auction.id}:{VerificationStage(stage)}:{revision}",
        payload={"auction": str(auction.id), "stage": str(stage)},
        due_at=due_at,
    )


def delivery_verify(*, claim: Claim) -> DeliveryVerification | None:
    """Verify the delivery of the auction a job names; see :func:`verification_execute`.

    An auction that awarded nothing has nothing to verify; its job is done.
    """
    try:
        return verification_execute(
            auction_id=UUID(str(claim.payload["auction"])),
            stage=str(claim.payload.get("stage", VerificationStage.PRELIMINARY)),
            claim=claim,
        )
    except NothingPublished:
        with transaction.atomic():
            job_finish(claim=claim)
        return None


def verification_execute(
    *, auction_id: UUID, stage: str, claim: Claim | None = None
) -> DeliveryVerification:
    """Compute baselines and deliveries, write them, and have them settled.

    Computed outside any transaction, written in one. If nothing differs from the latest
    verification of the same stage, nothing is written and that one is returned.

    Parameters
    ----------
    auction_id
        A published auction whose delivery day is over, or lies partly behind.
    stage
        PRELIMINARY takes the readings as they are. FINAL takes only values that the ruleset
        lets be paid on (確定, unless it says otherwise); a half hour nobody ever metered counts
        as not delivered.
    claim
        The job this runs under; its fencing token is checked by the writing transaction.

    Raises
    ------
    NothingPublished
        If the auction has no published awards.
    ReadingsNotFinal
        If FINAL is asked for and a value may still change.
    NotFound
        If there is no such auction.
    """
    auction = Auction.objects.select_related("ruleset").filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="an auction")
    outcome = _computed(auction, VerificationStage(stage))
    with transaction.atomic():
        bulk_limits_set()
        verification = _written(outcome)
        if claim is not None:
            job_finish(claim=claim)
    return verification


def _computed(auction: Auction, stage: str) -> Outcome:
    terms = baseline_rules_from_mapping(auction.ruleset.rules.get("baseline", {}))
    as_of = market_now()
    everything = selectors.orders_on(auction.delivery_on)
    resource_ids = {order.resource_id for order in everything if order.auction_id == auction.id}
    if not resource_ids:
        raise NothingPublished(field="auction", value=auction.code, rule="has published awards")
    orders: dict[UUID, list[OrderedInterval]] = defaultdict(list)
    for order in everything:
        if order.resource_id in resource_ids:
            orders[order.resource_id].append(order)
    loads = loads_read(orders, terms, auction.delivery_on, as_of)
    found = baselines_find(orders, loads, terms, auction.delivery_on)
    rows = []
    pay_stage = Stage[rules_from_mapping(auction.ruleset.rules.get("settlement", {})).pay_stage]
    needed = pay_stage if stage == VerificationStage.FINAL else Stage.PRELIMINARY
    for resource_id in sorted(orders):
        rows += _deliveries(
            orders[resource_id], loads.get(resource_id), found[resource_id], needed=needed
        )
    mine = tuple(row for row in rows if row[0].auction_id == auction.id)
    return Outcome(
        auction=auction,
        stage=stage,
        as_of=as_of,
        found=found,
        rows=mine,
        sha256=_sha256(auction.ruleset_id, stage, found, mine),
    )


def _deliveries(
    orders: Sequence[OrderedInterval],
    load: DayLoad | None,
    found: FoundBaseline,
    *,
    needed: Stage,
) -> list[tuple[OrderedInterval, Delivered, Decimal | None, LatestReading | None]]:
    by_t: dict[int, list[OrderedInterval]] = defaultdict(list)
    for order in orders:
        by_t[order.t].append(order)
    rows = []
    for t in sorted(by_t):
        reading = None if load is None else load.today.get(t)
        if reading and reading.stage < needed:
            raise ReadingsNotFinal(
                field="start_at",
                value=reading.start_at.isoformat(),
                rule=f"the reading of resource {orders[0].resource_id} is {needed.label}",
            )
        baseline_kwh = found.values_kwh[t]
        delivered = deliver(
            [
                Ordered(
                    award=str(order.award_id),
                    direction=Direction(order.direction),
                    ordered_kwh=order.quantity_kw * HOURS_PER_INTERVAL,
                )
                for order in by_t[t]
            ],
            baseline_kwh=baseline_kwh,
            metered_kwh=reading.usable_kwh if reading else None,
        )
        by_award = {row.award: row for row in delivered}
        rows += [(order, by_award[str(order.award_id)], baseline_kwh, reading) for order in by_t[t]]
    return rows


def _sha256(
    version: str,
    stage: str,
    found: Mapping[UUID, FoundBaseline],
    rows: Iterable[tuple[OrderedInterval, Delivered, Decimal | None, LatestReading | None]],
) -> str:
    digest = hashlib.sha256(f"{version}\n{stage}\n".encode())
    for resource_id in sorted(found):
        values = [
            f"{value:.3f}" if value is not None else None for value in found[resource_id].values_kwh
        ]
        digest.update(f"{resource_id}{json.dumps(values)}\n".encode())
    for order, delivered, _, reading in rows:
        known = None if reading is None else (reading.revision, reading.stage)
        digest.update(
            f"{order.award_id} {order.t} {delivered.ordered_kwh:.3f}"
            f" {delivered.delivered_kwh:.3f} {delivered.over_kwh:.3f} {known}\n".encode()
        )
    return digest.hexdigest()


def _written(outcome: Outcome) -> DeliveryVerification:
    auction = outcome.auction
    latest = selectors.verification_latest(auction_id=auction.id)
    same = selectors.verification_latest(auction_id=auction.id, stage=outcome.stage)
    if same is not None and same.input_sha256 == outcome.sha256:
        return same
    verification = DeliveryVerification.objects.create(
        auction=auction,
        revision=1 if latest is None else latest.revision + 1,
        stage=outcome.stage,
        as_of=outcome.as_of,
        ruleset=auction.ruleset,
        input_sha256=outcome.sha256,
    )
    baselines_write(
        verification=verification,
        found=outcome.found,
        delivery_on=auction.delivery_on,
        computed_at=outcome.as_of,
        is_final=outcome.stage == VerificationStage.FINAL,
    )
    _copy_deliveries(outcome, verification)
    short_kwh = sum((row[1].shortfall_kwh for row in outcome.rows), Decimal(0))
    entry_append(
        action="metering.delivery.verified",
        subject=verification,
        detail={
            "auction": auction.code,
            "stage": outcome.stage,
            "rows": len(outcome.rows),
            "shortfall_kwh": str(short_kwh),
        },
    )
    job_create(
        kind=SETTLEMENT_JOB_KIND,
        key=f"{auction.id}:{verification.revision}",
        payload={"auction": str(auction.id)},
    )
    return verification


def _copy_deliveries(outcome: Outcome, verification: DeliveryVerification) -> None:
    rows_copy(
        Delivery,
        DELIVERY_COLUMNS,
        (
            (
                verification.id,
                order.award_id,
                order.t,
                order.start_at,
                row.ordered_kwh,
                baseline_kwh,
                reading.usable_kwh if reading else None,
                row.delivered_kwh,
                row.shortfall_kwh,
                row.over_kwh,
                reading.revision if reading else None,
                reading.stage if reading else None,
            )
            for order, row, baseline_kwh, reading in outcome.rows
        ),
    )
