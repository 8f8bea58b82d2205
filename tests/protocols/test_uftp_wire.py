"""UFTP on the wire: what is said comes back the same, and nothing harmful comes in."""

from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from aggregator.protocols.uftp import messages, wire
from aggregator.protocols.uftp.messages import MESSAGES, NAME_OF

HEAD = {
    "sender_domain": "grid-t.example.jp",
    "recipient_domain": "agr.wattbit.example",
    "time_stamp": datetime(2026, 11, 24, 3, tzinfo=UTC),
    "message_id": "11111111-1111-4111-8111-111111111111",
    "conversation_id": "22222222-2222-4222-8222-222222222222",
}
OTHER_ID = "33333333-3333-4333-8333-333333333333"
HEAD_XML = (
    'Version="3.1.0" SenderDomain="grid-t.example.jp" RecipientDomain="agr.wattbit.example" '
    'TimeStamp="2026-11-24T03:00:00+00:00" MessageID="11111111-1111-4111-8111-111111111111" '
    'ConversationID="22222222-2222-4222-8222-222222222222"'
)
FLEX = {
    "isp_duration": "PT30M",
    "time_zone": "Asia/Tokyo",
    "period": date(2026, 11, 25),
    "congestion_point": "ean.123456789012345678",
}
FLEX_XML = (
    'ISP-Duration="PT30M" TimeZone="Asia/Tokyo" Period="2026-11-25" '
    'CongestionPoint="ean.123456789012345678"'
)
YES = {"result": "Accepted"}
JST = timezone(timedelta(hours=9))

GOLDEN: list[tuple[messages.Payload, str]] = [
    (messages.TestMessage(**HEAD), f"<TestMessage {HEAD_XML}/>"),
    (messages.TestMessageResponse(**HEAD), f"<TestMessageResponse {HEAD_XML}/>"),
    (
        messages.FlexRequest(
            **HEAD,
            **FLEX,
            revision=1,
            expiration_date_time=datetime(2026, 11, 24, 20, tzinfo=JST),
            contract_id="C1",
            isps=(
                messages.RequestIsp(
                    disposition="Requested", min_power=-12_000_000, max_power=0, start=35,
                    duration=6,
                ),
            ),
        ),
        (f'<FlexRequest {HEAD_XML} {FLEX_XML} Revision="1" '
        'ExpirationDateTime="2026-11-24T20:00:00+09:00" ContractID="C1">'
        '<ISP Disposition="Requested" MinPower="-12000000" MaxPower="0" Start="35" Duration="6"/>'
        "</FlexRequest>"),
    ),
    (
        messages.FlexRequestResponse(
            **HEAD, result="Rejected", rejection_reason="ISP conflict",
            flex_request_message_id=OTHER_ID,
        ),
        (f'<FlexRequestResponse {HEAD_XML} Result="Rejected" RejectionReason="ISP conflict" '
        f'FlexRequestMessageID="{OTHER_ID}"/>'),
    ),
    (
        messages.FlexOffer(
            **HEAD,
            **FLEX,
            expiration_date_time=datetime(2026, 11, 24, 20, tzinfo=JST),
            flex_request_message_id=OTHER_ID,
            baseline_reference="WattBit",
            currency="JPY",
            offer_options=(
                messages.OfferOption(
                    option_reference="1",
                    price=Decimal("2430000.0000"),
                    isps=(messages.Isp(power=-12_000_000, start=35, duration=6),),
                ),
            ),
        ),
        (f'<FlexOffer {HEAD_XML} {FLEX_XML} ExpirationDateTime="2026-11-24T20:00:00+09:00" '
        f'FlexRequestMessageID="{OTHER_ID}" BaselineReference="WattBit" Currency="JPY">'
        '<OfferOption OptionReference="1" Price="2430000.0000" MinActivationFactor="1.00">'
        '<ISP Power="-12000000" Start="35" Duration="6"/></OfferOption></FlexOffer>'),
    ),
    (
        messages.FlexOfferResponse(**HEAD, **YES, flex_offer_message_id=OTHER_ID),
        f'<FlexOfferResponse {HEAD_XML} Result="Accepted" FlexOfferMessageID="{OTHER_ID}"/>',
    ),
    (
        messages.FlexOfferRevocation(**HEAD, flex_offer_message_id=OTHER_ID),
        f'<FlexOfferRevocation {HEAD_XML} FlexOfferMessageID="{OTHER_ID}"/>',
    ),
    (
        messages.FlexOfferRevocationResponse(
            **HEAD, **YES, flex_offer_revocation_message_id=OTHER_ID
        ),
        (f'<FlexOfferRevocationResponse {HEAD_XML} Result="Accepted" '
        f'FlexOfferRevocationMessageID="{OTHER_ID}"/>'),
    ),
    (
        messages.FlexOrder(
            **HEAD,
            **FLEX,
            flex_offer_message_id=OTHER_ID,
            price=Decimal("2430000.0000"),
            currency="JPY",
            order_reference="O-1",
            option_reference="1",
            isps=(messages.Isp(power=-12_000_000, start=35, duration=6),),
        ),
        (f'<FlexOrder {HEAD_XML} {FLEX_XML} FlexOfferMessageID="{OTHER_ID}" Price="2430000.0000" '
        'Currency="JPY" OrderReference="O-1" OptionReference="1" ActivationFactor="1.00">'
        '<ISP Power="-12000000" Start="35" Duration="6"/></FlexOrder>'),
    ),
    (
        messages.FlexOrderResponse(**HEAD, **YES, flex_order_message_id=OTHER_ID),
        f'<FlexOrderResponse {HEAD_XML} Result="Accepted" FlexOrderMessageID="{OTHER_ID}"/>',
    ),
    (
        messages.DPrognosis(
            **HEAD, **FLEX, revision=1, isps=(messages.Isp(power=20_000_000, start=1, duration=48),)
        ),
        (f'<D-Prognosis {HEAD_XML} {FLEX_XML} Revision="1">'
        '<ISP Power="20000000" Start="1" Duration="48"/></D-Prognosis>'),
    ),
    (
        messages.DPrognosisResponse(
            **HEAD,
            **YES,
            d_prognosis_message_id=OTHER_ID,
            order_statuses=(
                messages.OrderStatus(flex_order_message_id=OTHER_ID, is_validated=True),
            ),
        ),
        (f'<D-PrognosisResponse {HEAD_XML} Result="Accepted" D-PrognosisMessageID="{OTHER_ID}">'
        f'<FlexOrderStatus FlexOrderMessageID="{OTHER_ID}" IsValidated="true"/>'
        "</D-PrognosisResponse>"),
    ),
    (
        messages.FlexReservationUpdate(
            **HEAD, **FLEX, contract_id="C1", reference="R1",
            isps=(messages.Isp(power=0, start=1, duration=48),),
        ),
        (f'<FlexReservationUpdate {HEAD_XML} {FLEX_XML} ContractID="C1" Reference="R1">'
        '<ISP Power="0" Start="1" Duration="48"/></FlexReservationUpdate>'),
    ),
    (
        messages.FlexReservationUpdateResponse(
            **HEAD, **YES, flex_reservation_update_message_id=OTHER_ID
        ),
        (f'<FlexReservationUpdateResponse {HEAD_XML} Result="Accepted" '
        f'FlexReservationUpdateMessageID="{OTHER_ID}"/>'),
    ),
    (
        messages.Metering(
            **HEAD,
            revision=1,
            isp_duration="PT30M",
            time_zone="Asia/Tokyo",
            period=date(2026, 11, 25),
            ean="E1234567890123456",
            profiles=(
                messages.Profile(
                    profile_type="Power", unit="kW",
                    isps=(messages.MeteringIsp(start=1, value=Decimal("20000.000")),),
                ),
            ),
        ),
        (f'<Metering {HEAD_XML} Revision="1" ISP-Duration="PT30M" TimeZone="Asia/Tokyo" '
        'Period="2026-11-25" EAN="E1234567890123456"><Profile ProfileType="Power" Unit="kW">'
        '<ISP Start="1" Value="20000.000"/></Profile></Metering>'),
    ),
    (
        messages.MeteringResponse(**HEAD, **YES, metering_message_id=OTHER_ID),
        f'<MeteringResponse {HEAD_XML} Result="Accepted" MeteringMessageID="{OTHER_ID}"/>',
    ),
    (
        messages.FlexSettlement(
            **HEAD,
            **YES,
            period_start=date(2026, 11, 25),
            period_end=date(2026, 11, 25),
            currency="JPY",
            order_settlements=(
                messages.OrderSettlement(
                    order_reference="O-1",
                    period=date(2026, 11, 25),
                    congestion_point="ean.123456789012345678",
                    price=Decimal(10),
                    penalty=Decimal(1),
                    net_settlement=Decimal(9),
                    isps=(
                        messages.SettlementIsp(
                            start=35, duration=6, baseline_power=1, ordered_flex_power=-2,
                            actual_power=3, delivered_flex_power=-4,
                        ),
                    ),
                ),
            ),
            contract_settlements=(
                messages.ContractSettlement(
                    contract_id="C1",
                    periods=(
                        messages.ContractPeriod(
                            period=date(2026, 11, 25),
                            isps=(messages.ContractIsp(start=1, duration=48, reserved_power=0),),
                        ),
                    ),
                ),
            ),
        ),
        (f'<FlexSettlement {HEAD_XML} Result="Accepted" PeriodStart="2026-11-25" '
        'PeriodEnd="2026-11-25" Currency="JPY"><FlexOrderSettlement OrderReference="O-1" '
        'Period="2026-11-25" CongestionPoint="ean.123456789012345678" Price="10" Penalty="1" '
        'NetSettlement="9"><ISP Start="35" Duration="6" BaselinePower="1" OrderedFlexPower="-2" '
        'ActualPower="3" DeliveredFlexPower="-4" PowerDeficiency="0"/></FlexOrderSettlement>'
        '<ContractSettlement ContractID="C1"><Period Period="2026-11-25"><ISP Start="1" '
        'Duration="48" ReservedPower="0"/></Period></ContractSettlement></FlexSettlement>'),
    ),
    (
        messages.FlexSettlementResponse(
            **HEAD,
            **YES,
            flex_settlement_message_id=OTHER_ID,
            statuses=(
                messages.SettlementStatus(
                    order_reference="O-1", disposition="Disputed", dispute_reason="no"
                ),
            ),
        ),
        (f'<FlexSettlementResponse {HEAD_XML} Result="Accepted" '
        f'FlexSettlementMessageID="{OTHER_ID}"><FlexOrderSettlementStatus OrderReference="O-1" '
        'Disposition="Disputed" DisputeReason="no"/></FlexSettlementResponse>'),
    ),
    (
        messages.AgrPortfolioUpdate(
            **HEAD,
            time_zone="Asia/Tokyo",
            connections=(
                messages.Connection(
                    entity_address="ean.1234567890123456", start_period=date(2026, 4, 1)
                ),
            ),
        ),
        (f'<AGRPortfolioUpdate {HEAD_XML} TimeZone="Asia/Tokyo"><Connection '
        'EntityAddress="ean.1234567890123456" StartPeriod="2026-04-01"/></AGRPortfolioUpdate>'),
    ),
    (
        messages.AgrPortfolioUpdateResponse(
            **HEAD, **YES, agr_portfolio_update_message_id=OTHER_ID
        ),
        (f'<AGRPortfolioUpdateResponse {HEAD_XML} Result="Accepted" '
        f'AGRPortfolioUpdateMessageID="{OTHER_ID}"/>'),
    ),
]  # fmt: skip


def canonical(xml: bytes | str) -> bytes:
    """Return XML with its attributes in one order, for comparing."""
    from lxml import etree

    return etree.tostring(etree.fromstring(xml), method="c14n")


@pytest.mark.parametrize(("message", "xml"), GOLDEN, ids=lambda one: type(one).__name__)
def test_a_message_is_written_and_read_as_the_standard_has_it(
    message: messages.Payload, xml: str
) -> None:
    assert canonical(wire.message_render(message)) == canonical(xml)
    assert wire.message_read(xml.encode()) == message


def test_every_message_has_a_golden_one() -> None:
    assert {type(message) for message, _ in GOLDEN} == set(MESSAGES.values())


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Draw whatever a field of this kind may hold."""
    if get_origin(kind) is tuple:
        return st.lists(instances(get_args(kind)[0]), min_size=1, max_size=3).map(tuple)
    if type(None) in get_args(kind):
        return st.none() | values(next(one for one in get_args(kind) if one is not type(None)))
    return {
        int: st.integers(min_value=1, max_value=10**9),
        bool: st.booleans(),
        Decimal: st.decimals(min_value=-(10**9), max_value=10**9, places=4),
        date: st.dates(min_value=date(2000, 1, 1)),
        datetime: st.datetimes(min_value=datetime(2000, 1, 1)).map(  # noqa: DTZ001 - made UTC
            lambda at: at.replace(tzinfo=UTC)
        ),
        str: st.text(
            st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_categories=["Cc"]),
            min_size=1,
            max_size=20,
        ),
    }[kind]


PATTERNED = {
    "version": st.just("3.1.0"),
    "sender_domain": st.just("grid-t.example.jp"),
    "recipient_domain": st.just("agr.wattbit.example"),
    "isp_duration": st.sampled_from(["PT30M", "PT15M"]),
    "time_zone": st.sampled_from(["Asia/Tokyo", "Europe/Amsterdam"]),
    "congestion_point": st.just("ean.123456789012"),
    "entity_address": st.just("ea1.2026-11.example.jp:x"),
    "ean": st.just("E1234567890123456"),
    "currency": st.just("JPY"),
    "disposition": st.just("Accepted"),
    "result": st.sampled_from(["Accepted", "Rejected"]),
    "profile_type": st.sampled_from(["Power", "ImportEnergy"]),
    "unit": st.sampled_from(["kW", "kWh"]),
    "min_activation_factor": st.decimals(min_value="0.01", max_value="1", places=2),
    "activation_factor": st.decimals(min_value="0.01", max_value="1", places=2),
}


def instances(kind: type) -> st.SearchStrategy[Any]:
    """Draw a whole message or a part of one."""
    drawn = {}
    for name, hint in get_type_hints(kind).items():
        strategy = PATTERNED.get(name)
        if name.endswith("message_id") or name == "conversation_id":
            strategy = st.uuids().map(str)
        if kind is messages.RequestIsp and name == "disposition":
            strategy = st.sampled_from(["Requested", "Available"])
        drawn[name] = strategy if strategy is not None else values(hint)
    return st.builds(kind, **drawn)


@settings(max_examples=25, deadline=None)
@given(st.one_of(*(instances(kind) for kind in MESSAGES.values())))
def test_whatever_is_said_comes_back_the_same(message: messages.Payload) -> None:
    again = wire.message_read(wire.message_render(message))
    assert again == message
    assert NAME_OF[type(again)] == NAME_OF[type(message)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_noise_is_refused_and_never_crashes_the_reader(content: bytes) -> None:
    for read in (wire.message_read, wire.envelope_read):
        with pytest.raises(wire.InvalidDocument):
            read(content)


BILLION = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    b"<TestMessage>&b;</TestMessage>"
)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (BILLION, "no document type"),
        (
            b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><TestMessage/>',
            "no document type",
        ),
        (BILLION.decode().encode("utf-16"), "UTF-8"),
        (b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE', "well-formed"),
        (b"<TestMessage>" * 200 + b"</TestMessage>" * 200, "levels"),
        (b"<TestMessage>" * 300 + b"</TestMessage>" * 300, "depth"),
        (b"<a" + b"/><a" * 20_001 + b"/>", "well-formed"),
        (b"<r>" + b"<a/>" * 20_001 + b"</r>", "20000 elements"),
        (b"x" * (wire.DOCUMENT_BYTES_MAX + 1), "bytes"),
        (b"", "bytes"),
        (b"<DSOPortfolioQuery/>", "a message of an aggregator"),
    ],
    ids=[
        "entities", "external", "utf-16", "utf-7", "deep", "very-deep", "two-roots", "many",
        "long", "empty", "not-ours",
    ],
)  # fmt: skip
def test_what_could_do_harm_is_refused_by_name(content: bytes, rule: str) -> None:
    with pytest.raises(wire.InvalidDocument, match=rule):
        wire.message_read(content)


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ('Revision="1"', "", "Revision"),
        ('Revision="1"', 'Revision="9999999999999999999999"', "Revision"),
        ('MinPower="-12000000"', 'MinPower="-1000000000001"', "MinPower"),
        ('Period="2026-11-25"', 'Period="2026-02-30"', "Period"),
        ('TimeStamp="2026-11-24T03:00:00+00:00"', 'TimeStamp="2026-11-24T03:00:00"', "offset"),
        ('CongestionPoint="ean.123456789012345678"', 'CongestionPoint="inzai"', "Congestion"),
        ("<ISP ", "<ISP Colour='red' ", "Colour"),
    ],
)
def test_a_value_that_breaks_the_schema_or_a_bound_is_named(
    before: str, after: str, rule: str
) -> None:
    (xml,) = (xml for message, xml in GOLDEN if isinstance(message, messages.FlexRequest))
    assert before in xml
    with pytest.raises(wire.InvalidDocument, match=rule):
        wire.message_read(xml.replace(before, after).encode())


def test_an_envelope_opens_with_its_senders_key_alone() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    sealed = wire.envelope_render(
        b"<x/>", sender_domain="grid-t.example.jp", sender_role="DSO", key=key
    ).encode()
    envelope = wire.envelope_read(sealed)
    assert (envelope.sender_domain, envelope.sender_role) == ("grid-t.example.jp", "DSO")
    # 64 bytes of signature before the message, as every implementation has it
    assert envelope.sealed[64:] == b"<x/>"
    assert wire.seal_open(envelope, [other.verify_key, key.verify_key]) == b"<x/>"
    with pytest.raises(wire.InvalidSignature):
        wire.seal_open(envelope, [other.verify_key])
    with pytest.raises(wire.InvalidSignature):
        wire.seal_open(dataclasses.replace(envelope, sealed=b"short"), [key.verify_key])


def test_a_private_key_is_read_whole_or_as_its_seed_and_never_mixed() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    seed, whole = bytes(key), bytes(key) + bytes(key.verify_key)
    for raw in (seed, whole):
        assert bytes(wire.signing_key(base64.b64encode(raw).decode())) == seed
    with pytest.raises(wire.InvalidKey, match="halves"):
        wire.signing_key(base64.b64encode(seed + bytes(other.verify_key)).decode())
    for text in ("", "?", base64.b64encode(b"short").decode()):
        with pytest.raises(wire.InvalidKey):
            wire.verify_key(text)


def test_the_reference_clients_answer_to_a_test_is_read_though_it_says_too_much() -> None:
    xml = f'<TestMessageResponse {HEAD_XML} Result="Accepted"/>'
    assert wire.message_read(xml.encode()) == messages.TestMessageResponse(**HEAD)
