"""What needs two people: who may ask, who may decide, and how long a request waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

NEED_PUBLISH: Final = "need.publish"
RESULT_CANCEL: Final = "result.cancel"
PAYMENT_RELEASE: Final = "payment.release"
BANK_ACCOUNT_CHANGE: Final = "bank_account.change"
AUCTION_CLOSE_EARLY: Final = "auction.close_early"
INSTRUCTION_CHANGE: Final = "instruction.change"
INSTRUCTION_EXTEND: Final = "instruction.extend"


@dataclass(frozen=True, kw_only=True)
class ApprovalKind:
    """One thing that takes two people.

    Parameters
    ----------
    make, check
        Actions of the table of roles, in the organisation whose matter it is. Where they are the
        same, it takes two people of one role.
    lifetime
        How long a request waits, and an approval may be used; a caller may make it shorter.
    """

    make: str
    check: str
    lifetime: timedelta


KINDS: Final[Mapping[str, ApprovalKind]] = {
    NEED_PUBLISH: ApprovalKind(
        make="need.publish", check="need.approve", lifetime=timedelta(days=7)
    ),
    RESULT_CANCEL: ApprovalKind(
        make="result.cancel", check="result.cancel", lifetime=timedelta(hours=24)
    ),
    PAYMENT_RELEASE: ApprovalKind(
        make="payment.release", check="payment.release", lifetime=timedelta(hours=72)
    ),
    AUCTION_CLOSE_EARLY: ApprovalKind(
        make="auction.run", check="auction.run", lifetime=timedelta(hours=24)
    ),
    INSTRUCTION_CHANGE: ApprovalKind(
        make="instruction.change", check="instruction.change", lifetime=timedelta(hours=2)
    ),
    # who pays for more than its need agrees to it; the desk asks
    INSTRUCTION_EXTEND: ApprovalKind(
        make="instruction.change", check="need.approve", lifetime=timedelta(hours=2)
    ),
    # where money goes to is decided by those who send it
    BANK_ACCOUNT_CHANGE: ApprovalKind(
        make="payment.release", check="payment.release", lifetime=timedelta(days=7)
    ),
}
