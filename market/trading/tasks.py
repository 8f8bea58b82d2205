"""Celery's door to auctions."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from market.trading import opening, proposals, services, standing_services


@job_task("market.trading.auction_open")
def auction_open(claim: Claim) -> None:
    """Open an auction when its time has come."""
    services.auction_open(claim=claim)


@job_task("market.trading.gate_close")
def gate_close(claim: Claim) -> None:
    """Close an auction's gate when its time has come."""
    services.gate_close(claim=claim)


@job_task("market.trading.standing_bids_renew")
def standing_bids_renew(claim: Claim) -> None:
    """Put standing bids into the book of an auction that has opened."""
    standing_services.standing_bids_renew(claim=claim)


@job_task("market.trading.book_root")
def book_root(claim: Claim) -> None:
    """Publish the root of a book whose gate has closed."""
    opening.book_root_publish(claim=claim)


@job_task(proposals.LAPSE_KIND)
def proposal_lapse(claim: Claim) -> None:
    """Let a proposal go that nobody approved before the gate."""
    proposals.proposal_lapse(claim=claim)
