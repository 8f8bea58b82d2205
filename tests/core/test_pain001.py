"""The same transfers as an ISO 20022 message: elements in their order, sums, refusals."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aggregator.core.pain001 import NAMESPACE, MessageUnreadable, pain001, pain001_read
from aggregator.core.zengin import ZenginRefused
from tests.core.test_zengin import HEADING, PAYEE, PAYMENTS

AT = datetime(2026, 12, 25, 3, 0, tzinfo=UTC)

# order of elements in the schema of CustomerCreditTransferInitiationV03
ORDER = {
    "GrpHdr": ["MsgId", "CreDtTm", "NbOfTxs", "CtrlSum", "InitgPty"],
    "PmtInf": [
        "PmtInfId", "PmtMtd", "BtchBookg", "NbOfTxs", "CtrlSum", "PmtTpInf", "ReqdExctnDt", "Dbtr",
        "DbtrAcct", "DbtrAgt", "ChrgBr", "CdtTrfTxInf",
    ],
    "CdtTrfTxInf": ["PmtId", "Amt", "CdtrAgt", "Cdtr", "CdtrAcct", "RmtInf"],
    "FinInstnId": ["BIC", "ClrSysMmbId", "Nm"],
    "CdtrAcct": ["Id", "Tp", "Ccy"],
}  # fmt: skip


def _names(element: ET.Element) -> list[str]:
    return [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]


def test_a_message_has_the_elements_of_the_schema_in_its_order() -> None:
    root = ET.fromstring(  # noqa: S314 - ours
        pain001(HEADING, PAYMENTS, message_id="WB1", created_at=AT)
    )
    assert root.tag == f"{{{NAMESPACE}}}Document"
    for name, order in ORDER.items():
        for element in root.iter(f"{{{NAMESPACE}}}{name}"):
            found = _names(element)
            assert set(found) <= set(order)
            places = [order.index(child) for child in found]
            assert places == sorted(places)


def test_a_block_of_payments_leaves_nothing_out_that_a_bank_reads() -> None:
    content = pain001(HEADING, PAYMENTS, message_id="WB1", created_at=AT)
    root = ET.fromstring(content)  # noqa: S314 - ours
    (block,) = root.iter(f"{{{NAMESPACE}}}PmtInf")
    assert _names(block) == [
        "PmtInfId", "PmtMtd", "NbOfTxs", "CtrlSum", "ReqdExctnDt", "Dbtr", "DbtrAcct", "DbtrAgt",
        "ChrgBr", "CdtTrfTxInf", "CdtTrfTxInf",
    ]  # fmt: skip


def test_a_message_read_back_says_what_was_written() -> None:
    message = pain001_read(pain001(HEADING, PAYMENTS, message_id="WB1", created_at=AT))
    assert message.message_id == "WB1"
    assert message.pay_on == HEADING.pay_on
    assert message.payments == ((1, "0134015", 1_018_710), (2, "0134015", 15))


def test_yen_have_no_decimals_and_sums_are_told_twice() -> None:
    text = pain001(HEADING, PAYMENTS, message_id="WB1", created_at=AT).decode()
    assert '<InstdAmt Ccy="JPY">1018710</InstdAmt>' in text
    assert text.count("<CtrlSum>1018725</CtrlSum>") == 2
    assert "<CreDtTm>2026-12-25T03:00:00Z</CreDtTm>" in text


def test_wrong_sums_and_document_types_are_refused() -> None:
    content = pain001(HEADING, PAYMENTS, message_id="WB1", created_at=AT)
    with pytest.raises(MessageUnreadable, match="1018725"):
        pain001_read(content.replace(b"1018725", b"1018726", 1))
    with pytest.raises(MessageUnreadable, match="document type"):
        pain001_read(b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + content)
    with pytest.raises(MessageUnreadable):
        pain001_read(content[:-20])


def test_an_account_that_fails_its_checks_stops_the_message() -> None:
    wrong = replace(PAYMENTS[0], payee=replace(PAYEE, holder="ｼｮ"))
    with pytest.raises(ZenginRefused):
        pain001(HEADING, [wrong], message_id="WB1", created_at=AT)
    with pytest.raises(ZenginRefused):
        pain001(HEADING, PAYMENTS, message_id="x" * 25, created_at=AT)
    with pytest.raises(ZenginRefused):
        pain001(HEADING, [], message_id="WB1", created_at=AT)
