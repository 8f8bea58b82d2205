"""The messages of UFTP 3.1 that an aggregator exchanges, as plain typed values.

Names of fields are those of the standard's attributes in our spelling; :mod:`.wire` reads and
writes them. Powers are integers in W, + is consumption. ISPs are numbered from 1; `duration` is a
count of ISPs. Moments carry their offset. What a message may say beyond its shape is checked in
:mod:`.mapping`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

VERSION: Final = "3.1.0"
ACCEPTED: Final = "Accepted"
REJECTED: Final = "Rejected"
DISPUTED: Final = "Disputed"
REQUESTED: Final = "Requested"
AVAILABLE: Final = "Available"


def _named(name: str, default: Any = ...) -> Any:
    """Return a field that is written under another name than its own in camel case."""
    if default is ...:
        return field(metadata={"xml": name})
    return field(default=default, metadata={"xml": name})


@dataclass(frozen=True, kw_only=True)
class Isp:
    """A power over some ISPs."""

    power: int
    start: int
    duration: int = 1


@dataclass(frozen=True, kw_only=True)
class RequestIsp:
    """What a grid operator asks for, or could still take, in some ISPs."""

    disposition: str | None = None
    min_power: int
    max_power: int
    start: int
    duration: int = 1


@dataclass(frozen=True, kw_only=True)
class OfferOption:
    """One way in which an offer can be ordered; the price is for all of it."""

    option_reference: str
    price: Decimal
    min_activation_factor: Decimal = Decimal("1.00")
    isps: tuple[Isp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class OrderStatus:
    """What a grid operator thinks of one of its orders in the light of a prognosis."""

    flex_order_message_id: str = _named("FlexOrderMessageID")
    is_validated: bool


@dataclass(frozen=True, kw_only=True)
class MeteringIsp:
    """A value of one ISP, in the unit of its profile."""

    start: int
    value: Decimal


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Values of one kind over a day."""

    profile_type: str
    unit: str
    isps: tuple[MeteringIsp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class SettlementIsp:
    """What a grid operator says of an order in some ISPs."""

    start: int
    duration: int = 1
    baseline_power: int
    ordered_flex_power: int
    actual_power: int
    delivered_flex_power: int
    power_deficiency: int = 0


@dataclass(frozen=True, kw_only=True)
class OrderSettlement:
    """What a grid operator means to pay for one order."""

    order_reference: str | None = None
    period: date
    contract_id: str | None = _named("ContractID", None)
    d_prognosis_message_id: str | None = _named("D-PrognosisMessageID", None)
    baseline_reference: str | None = None
    congestion_point: str
    price: Decimal
    penalty: Decimal = Decimal(0)
    net_settlement: Decimal
    isps: tuple[SettlementIsp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class ContractIsp:
    """What of a contract was reserved, asked for, offered and ordered in some ISPs."""

    start: int
    duration: int = 1
    reserved_power: int
    requested_power: int | None = None
    available_power: int | None = None
    offered_power: int | None = None
    ordered_power: int | None = None


@dataclass(frozen=True, kw_only=True)
class ContractPeriod:
    """A day of a contract."""

    period: date
    isps: tuple[ContractIsp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class ContractSettlement:
    """What became of a contract's reservations."""

    contract_id: str | None = _named("ContractID", None)
    periods: tuple[ContractPeriod, ...] = _named("Period")


@dataclass(frozen=True, kw_only=True)
class SettlementStatus:
    """Whether an order's settlement is accepted, or why it is disputed."""

    order_reference: str | None = None
    disposition: str
    dispute_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A connection that an aggregator acts for, from a day on."""

    entity_address: str
    start_period: date
    end_period: date | None = None


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What every message says of itself."""

    version: str = VERSION
    sender_domain: str
    recipient_domain: str
    time_stamp: datetime
    message_id: str = _named("MessageID")
    conversation_id: str = _named("ConversationID")


@dataclass(frozen=True, kw_only=True)
class Response(Payload):
    """What every answer says; `reference_id` is the message answered, under a name of its own."""

    result: str
    rejection_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Flex(Payload):
    """What every message about a day and a congestion point says."""

    isp_duration: str = _named("ISP-Duration")
    time_zone: str
    period: date
    congestion_point: str


@dataclass(frozen=True, kw_only=True)
class TestMessage(Payload):
    """Asks whether the other side is there."""

    __test__ = False  # pytest would take it for a test


@dataclass(frozen=True, kw_only=True)
class TestMessageResponse(Payload):
    """Says so."""

    __test__ = False


@dataclass(frozen=True, kw_only=True)
class FlexRequest(Flex):
    """A grid operator asks for relief of a congestion point on a day."""

    revision: int
    expiration_date_time: datetime
    contract_id: str | None = _named("ContractID", None)
    service_type: str | None = None
    isps: tuple[RequestIsp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class FlexOffer(Flex):
    """An aggregator offers relief; it holds until it expires or is revoked."""

    expiration_date_time: datetime
    unsolicited: bool | None = None
    flex_request_message_id: str | None = _named("FlexRequestMessageID", None)
    contract_id: str | None = _named("ContractID", None)
    d_prognosis_message_id: str | None = _named("D-PrognosisMessageID", None)
    baseline_reference: str | None = None
    currency: str
    offer_options: tuple[OfferOption, ...] = _named("OfferOption")


@dataclass(frozen=True, kw_only=True)
class FlexOfferRevocation(Payload):
    """An aggregator takes an offer back."""

    flex_offer_message_id: str = _named("FlexOfferMessageID")


@dataclass(frozen=True, kw_only=True)
class FlexOrder(Flex):
    """A grid operator buys what was offered."""

    unsolicited: bool | None = None
    flex_offer_message_id: str | None = _named("FlexOfferMessageID", None)
    service_type: str | None = None
    contract_id: str | None = _named("ContractID", None)
    d_prognosis_message_id: str | None = _named("D-PrognosisMessageID", None)
    baseline_reference: str | None = None
    price: Decimal
    currency: str
    order_reference: str
    option_reference: str | None = None
    activation_factor: Decimal = Decimal("1.00")
    isps: tuple[Isp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class DPrognosis(Flex):
    """What the connections behind a congestion point will take, ISP by ISP."""

    revision: int
    isps: tuple[Isp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class FlexReservationUpdate(Flex):
    """What of a contract a grid operator still keeps reserved."""

    contract_id: str = _named("ContractID")
    reference: str
    isps: tuple[Isp, ...] = _named("ISP")


@dataclass(frozen=True, kw_only=True)
class Metering(Payload):
    """What one connection took and fed in on a day."""

    revision: int
    isp_duration: str = _named("ISP-Duration")
    time_zone: str
    currency: str | None = None
    period: date
    ean: str = _named("EAN")
    profiles: tuple[Profile, ...] = _named("Profile")


@dataclass(frozen=True, kw_only=True)
class FlexSettlement(Response):
    """What a grid operator means to pay for its orders of some days."""

    period_start: date
    period_end: date
    currency: str
    order_settlements: tuple[OrderSettlement, ...] = _named("FlexOrderSettlement")
    contract_settlements: tuple[ContractSettlement, ...] = _named("ContractSettlement")


@dataclass(frozen=True, kw_only=True)
class FlexRequestResponse(Response):
    """Answer to a :class:`FlexRequest`."""

    flex_request_message_id: str = _named("FlexRequestMessageID")


@dataclass(frozen=True, kw_only=True)
class FlexOfferResponse(Response):
    """Answer to a :class:`FlexOffer`."""

    flex_offer_message_id: str = _named("FlexOfferMessageID")


@dataclass(frozen=True, kw_only=True)
class FlexOfferRevocationResponse(Response):
    """Answer to a :class:`FlexOfferRevocation`."""

    flex_offer_revocation_message_id: str = _named("FlexOfferRevocationMessageID")


@dataclass(frozen=True, kw_only=True)
class FlexOrderResponse(Response):
    """Answer to a :class:`FlexOrder`."""

    flex_order_message_id: str = _named("FlexOrderMessageID")


@dataclass(frozen=True, kw_only=True)
class DPrognosisResponse(Response):
    """Answer to a :class:`DPrognosis`."""

    d_prognosis_message_id: str = _named("D-PrognosisMessageID")
    order_statuses: tuple[OrderStatus, ...] = _named("FlexOrderStatus", ())


@dataclass(frozen=True, kw_only=True)
class FlexReservationUpdateResponse(Response):
    """Answer to a :class:`FlexReservationUpdate`."""

    flex_reservation_update_message_id: str = _named("FlexReservationUpdateMessageID")


@dataclass(frozen=True, kw_only=True)
class MeteringResponse(Response):
    """Answer to a :class:`Metering`."""

    metering_message_id: str = _named("MeteringMessageID")


@dataclass(frozen=True, kw_only=True)
class FlexSettlementResponse(Response):
    """Answer to a :class:`FlexSettlement`, order by order."""

    flex_settlement_message_id: str = _named("FlexSettlementMessageID")
    statuses: tuple[SettlementStatus, ...] = _named("FlexOrderSettlementStatus")


@dataclass(frozen=True, kw_only=True)
class AgrPortfolioUpdate(Payload):
    """Which connections an aggregator acts for, told to the common reference operator."""

    time_zone: str
    connections: tuple[Connection, ...] = _named("Connection")


@dataclass(frozen=True, kw_only=True)
class AgrPortfolioUpdateResponse(Response):
    """Answer to an :class:`AgrPortfolioUpdate`."""

    agr_portfolio_update_message_id: str = _named("AGRPortfolioUpdateMessageID")


# element -> what it is read as; everything else a party could send is not for us
MESSAGES: Final[dict[str, type[Payload]]] = {
    "TestMessage": TestMessage,
    "TestMessageResponse": TestMessageResponse,
    "FlexRequest": FlexRequest,
    "FlexRequestResponse": FlexRequestResponse,
    "FlexOffer": FlexOffer,
    "FlexOfferResponse": FlexOfferResponse,
    "FlexOfferRevocation": FlexOfferRevocation,
    "FlexOfferRevocationResponse": FlexOfferRevocationResponse,
    "FlexOrder": FlexOrder,
    "FlexOrderResponse": FlexOrderResponse,
    "D-Prognosis": DPrognosis,
    "D-PrognosisResponse": DPrognosisResponse,
    "FlexReservationUpdate": FlexReservationUpdate,
    "FlexReservationUpdateResponse": FlexReservationUpdateResponse,
    "Metering": Metering,
    "MeteringResponse": MeteringResponse,
    "FlexSettlement": FlexSettlement,
    "FlexSettlementResponse": FlexSettlementResponse,
    "AGRPortfolioUpdate": AgrPortfolioUpdate,
    "AGRPortfolioUpdateResponse": AgrPortfolioUpdateResponse,
}
NAME_OF: Final = {kind: name for name, kind in MESSAGES.items()}
RESPONSE_OF: Final[dict[type[Payload], type[Response]]] = {
    FlexRequest: FlexRequestResponse,
    FlexOffer: FlexOfferResponse,
    FlexOfferRevocation: FlexOfferRevocationResponse,
    FlexOrder: FlexOrderResponse,
    DPrognosis: DPrognosisResponse,
    FlexReservationUpdate: FlexReservationUpdateResponse,
    Metering: MeteringResponse,
    FlexSettlement: FlexSettlementResponse,
    AgrPortfolioUpdate: AgrPortfolioUpdateResponse,
}


def reference_field(kind: type[Response]) -> str:
    """Return the field of an answer that names the message it answers."""
    (name,) = (item.name for item in fields(kind) if item.name.endswith("_message_id"))
    return name
