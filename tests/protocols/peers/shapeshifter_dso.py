"""A grid operator made of other people's parts: shapeshifter-uftp's own service and clients.

Run with the peer's interpreter, not ours. Commands come as JSON lines, what it hears goes out as
JSON lines. It orders whatever is offered, half of it first (which no offer of ours allows) and
then all of it, as a grid operator that needs all it can get would; given ``"waits": true``, it
keeps what it is offered, by congestion point, and orders when told.
"""

from __future__ import annotations

import json
import sys
import threading
from decimal import Decimal
from typing import Any

from shapeshifter_uftp import ShapeshifterDsoService
from shapeshifter_uftp.uftp import (
    AvailableRequested,
    ContractSettlement,
    ContractSettlementISP,
    ContractSettlementPeriod,
    DPrognosisResponse,
    FlexOfferResponse,
    FlexOfferRevocationResponse,
    FlexOrder,
    FlexOrderISP,
    FlexOrderSettlement,
    FlexOrderSettlementISP,
    FlexRequest,
    FlexRequestISP,
    FlexReservationUpdate,
    FlexSettlement,
    MeteringResponse,
    TestMessage,
)
from shapeshifter_uftp.uftp.messages.flex_reservation_update import FlexReservationUpdateISP
from xsdata.models.datatype import XmlDate, XmlDuration

given = json.loads(sys.argv[1])
_lock = threading.Lock()
_offers: dict[str, Any] = {}  # the last of each congestion point


def tell(kind: str, **facts: Any) -> None:
    with _lock:
        sys.stdout.write(json.dumps({"heard": kind, **facts}) + "\n")
        sys.stdout.flush()


def plain(word: Any) -> str:
    """Return the text of a word that may be an enumeration's member."""
    return str(getattr(word, "value", word))


def day(text: str) -> XmlDate:
    return XmlDate.from_string(text)


class Operator(ShapeshifterDsoService):
    """Says what it hears, accepts what it is told, orders what it is offered."""

    def client(self) -> Any:
        return self._get_client(given["agr_domain"], "AGR")

    def flex(self, command: dict[str, Any]) -> dict[str, Any]:
        return {
            "isp_duration": XmlDuration(command.get("isp_duration", "PT30M")),
            "time_zone": command.get("time_zone", "Asia/Tokyo"),
            "period": day(command["period"]),
            "congestion_point": command.get("congestion_point", given["congestion_point"]),
        }

    def process_flex_offer(self, message: Any) -> None:
        (option,) = message.offer_options
        tell(
            "FlexOffer",
            message_id=message.message_id,
            congestion_point=message.congestion_point,
            option_reference=option.option_reference,
            price=str(option.price),
            isps=[[isp.power, isp.start, isp.duration] for isp in option.isps],
            min_activation_factor=str(option.min_activation_factor),
        )
        self.client().send_flex_offer_response(
            FlexOfferResponse(
                conversation_id=message.conversation_id, flex_offer_message_id=message.message_id
            )
        )
        _offers[message.congestion_point] = message
        if given.get("waits", False):
            return
        self.order(message, reference="ORDER-0", factor=Decimal("0.50"))
        self.order(message, reference="ORDER-1", factor=Decimal("1.00"))

    def order(self, message: Any, *, reference: str, factor: Decimal) -> None:
        (option,) = message.offer_options
        self.client().send_flex_order(
            FlexOrder(
                **self.flex(
                    {"period": str(message.period), "congestion_point": message.congestion_point}
                ),
                conversation_id=message.conversation_id,
                isps=[
                    FlexOrderISP(power=isp.power, start=isp.start, duration=isp.duration)
                    for isp in option.isps
                ],
                flex_offer_message_id=message.message_id,
                price=option.price,
                currency=message.currency,
                order_reference=reference,
                option_reference=option.option_reference,
                activation_factor=factor,
            )
        )

    def process_d_prognosis(self, message: Any) -> None:
        tell("DPrognosis", isps=len(message.isps))
        self.client().send_d_prognosis_response(
            DPrognosisResponse(
                conversation_id=message.conversation_id, d_prognosis_message_id=message.message_id
            )
        )

    def process_metering(self, message: Any) -> None:
        tell(
            "Metering",
            ean=message.ean,
            profiles={
                plain(profile.profile_type): str(sum(isp.value for isp in profile.isps))
                for profile in message.profiles
            },
        )
        self.client().send_metering_response(
            MeteringResponse(
                conversation_id=message.conversation_id, metering_message_id=message.message_id
            )
        )

    def process_flex_offer_revocation(self, message: Any) -> None:
        tell("FlexOfferRevocation", of=message.flex_offer_message_id)
        self.client().send_flex_offer_revocation_response(
            FlexOfferRevocationResponse(
                conversation_id=message.conversation_id,
                flex_offer_revocation_message_id=message.message_id,
            )
        )

    def _answered(self, message: Any) -> None:
        tell(
            type(message).__name__,
            result=plain(message.result),
            reason=message.rejection_reason,
            conversation_id=message.conversation_id,
        )

    process_flex_request_response = _answered
    process_flex_order_response = _answered
    process_flex_reservation_update_response = _answered

    def process_flex_settlement_response(self, message: Any) -> None:
        tell(
            "FlexSettlementResponse",
            result=plain(message.result),
            statuses=[
                [status.order_reference, plain(status.disposition), status.dispute_reason]
                for status in message.flex_order_settlement_statuses
            ],
        )

    def process_test_message_response(self, message: Any) -> None:
        tell(type(message).__name__)

    def process_dso_portfolio_query_response(self, message: Any) -> None:
        tell(type(message).__name__)

    def process_dso_portfolio_update_response(self, message: Any) -> None:
        tell(type(message).__name__)


def request(operator: Operator, command: dict[str, Any]) -> None:
    operator.client().send_flex_request(
        FlexRequest(
            **operator.flex(command),
            revision=command["revision"],
            expiration_date_time=command["expires_at"],
            isps=[
                FlexRequestISP(
                    disposition=AvailableRequested.REQUESTED,
                    min_power=command["min_power"],
                    max_power=0,
                    start=command["start"],
                    duration=command["duration"],
                )
            ],
        )
    )


def reserve(operator: Operator, command: dict[str, Any]) -> None:
    operator.client().send_flex_reservation_update(
        FlexReservationUpdate(
            **operator.flex(command),
            contract_id=command["contract_id"],
            reference="R-1",
            isps=[FlexReservationUpdateISP(power=0, start=1, duration=48)],
        )
    )


def settle(operator: Operator, command: dict[str, Any]) -> None:
    period, price, net = day(command["period"]), Decimal(command["price"]), Decimal(command["net"])
    operator.client().send_flex_settlement(
        FlexSettlement(
            period_start=period,
            period_end=period,
            currency="JPY",
            flex_order_settlements=[
                FlexOrderSettlement(
                    order_reference=command.get("reference", "ORDER-1"),
                    period=period,
                    congestion_point=command.get("congestion_point", given["congestion_point"]),
                    price=price,
                    penalty=price - net,
                    net_settlement=net,
                    isps=[
                        FlexOrderSettlementISP(
                            start=start,
                            duration=duration,
                            baseline_power=0,
                            ordered_flex_power=power,
                            actual_power=power,
                            delivered_flex_power=power,
                        )
                        for power, start, duration in command["isps"]
                    ],
                )
            ],
            contract_settlements=[
                ContractSettlement(
                    contract_id="none",
                    periods=[
                        ContractSettlementPeriod(
                            period=period,
                            isps=[ContractSettlementISP(start=1, duration=48, reserved_power=0)],
                        )
                    ],
                )
            ],
        )
    )


def main() -> None:
    operator = Operator(
        sender_domain=given["domain"],
        signing_key=given["private_key"],
        key_lookup_function=lambda _domain, _role: given["agr_public_key"],
        endpoint_lookup_function=lambda _domain, _role: given["agr_endpoint"],
        host="127.0.0.1",
        port=given["port"],
    )
    operator.run_in_thread()
    tell("ready")
    for line in sys.stdin:
        command = json.loads(line)
        try:
            match command["do"]:
                case "test":
                    operator.client().send_test_message(TestMessage())
                case "request":
                    request(operator, command)
                case "order":
                    operator.order(
                        _offers[command["congestion_point"]],
                        reference=command["reference"],
                        factor=Decimal("1.00"),
                    )
                case "reserve":
                    reserve(operator, command)
                case "settle":
                    settle(operator, command)
        except Exception as error:  # noqa: BLE001 - told, and the next command is read
            tell("failed", error=f"{type(error).__name__}: {error}"[:300])
    operator.stop()


if __name__ == "__main__":
    main()
