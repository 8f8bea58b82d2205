"""Looks at the delivery of a rich day: the first final one, corrections, and what counts now."""

from __future__ import annotations

from aggregator.metering.models import Delivery, DeliveryVerification
from aggregator.metering.selectors import deliveries_effective
from aggregator.metering.verifications import verification_correct, verification_execute
from market.clearing.models import Award
from tests.delivery_days import RichDay


def final_look(of: RichDay) -> DeliveryVerification:
    """Look at final readings; the first look locks the baselines."""
    return verification_execute(auction_id=of.day.auction.id, stage="FINAL")


def corrected_look(of: RichDay, cause: str = "READING") -> DeliveryVerification:
    """Count again what became known since."""
    return verification_correct(auction_id=of.day.auction.id, cause_kind=cause, cause_id="7")


def delivery_now(verification: DeliveryVerification, award: Award, t: int) -> Delivery:
    """Return the row that counts after a verification."""
    return deliveries_effective(verification_id=verification.pk).get(award=award, t=t)
