"""Bulk transfers as ISO 20022 ``pain.001.001.03``: the same payments as the fixed-length file.

Amounts are whole yen. Banks are named by the seven digits of bank and branch under the clearing
system code ``JPZGN``; that code and the place of the account's kind are unverified.

References
----------
ISO 20022, CustomerCreditTransferInitiationV03; 全国銀行協会 XML電文.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from accounts.core.errors import Refused
from aggregator.core.zengin import BankDetails, Heading, Payment, ZenginRefused, account_checked

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"
CLEARING_SYSTEM: Final = "JPZGN"
ID_LENGTH_MAX: Final = 35
KIND_NAMES: Final = {"1": "CACC", "2": "CACC", "4": "SVGS", "9": "OTHR"}


class MessageUnreadable(Refused):
    """A message that is none of this form, or whose sums are not those of its transfers."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a message says, read back."""

    message_id: str
    pay_on: date
    payments: tuple[tuple[int, str, int], ...]  # reference, bank and branch, amount


def pain001(
    heading: Heading, payments: Sequence[Payment], *, message_id: str, created_at: datetime
) -> bytes:
    """Write transfers as one message.

    Parameters
    ----------
    message_id
        At most 35 characters; also stands before every transfer's reference.

    Raises
    ------
    ZenginRefused
        If an account, an amount or the id cannot be written.
    """
    if not 1 <= len(message_id) <= ID_LENGTH_MAX - 11 or not message_id.isascii():
        raise ZenginRefused(field="message_id", value=message_id, rule="1 to 24 characters")
    account_checked(heading.payer, is_payer=True, field="payer")
    if not payments:
        raise ZenginRefused(field="payments", value=0, rule="at least one")
    for n, payment in enumerate(payments):
        account_checked(payment.payee, field=f"payments[{n}].payee")
        if payment.amount_jpy <= 0:
            rule = "whole yen, 1 or more"
            raise ZenginRefused(
                field=f"payments[{n}].amount_jpy", value=payment.amount_jpy, rule=rule
            )
    total_jpy = sum(payment.amount_jpy for payment in payments)
    root = ET.Element("Document", {"xmlns": NAMESPACE})
    initiation = ET.SubElement(root, "CstmrCdtTrfInitn")
    group = ET.SubElement(initiation, "GrpHdr")
    _text(group, "MsgId", message_id)
    _text(group, "CreDtTm", f"{created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    _text(group, "NbOfTxs", str(len(payments)))
    _text(group, "CtrlSum", str(total_jpy))
    party = ET.SubElement(group, "InitgPty")
    _text(party, "Nm", heading.payer.holder)
    _path(party, ("Id", "OrgId", "Othr", "Id"), heading.payer_code)
    block = ET.SubElement(initiation, "PmtInf")
    _text(block, "PmtInfId", message_id)
    _text(block, "PmtMtd", "TRF")
    _text(block, "NbOfTxs", str(len(payments)))
    _text(block, "CtrlSum", str(total_jpy))
    _text(block, "ReqdExctnDt", heading.pay_on.isoformat())
    _path(block, ("Dbtr", "Nm"), heading.payer.holder)
    _account(block, "DbtrAcct", heading.payer)
    _agent(block, "DbtrAgt", heading.payer)
    _text(block, "ChrgBr", "SLEV")
    for payment in payments:
        _transfer(block, payment, message_id)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _transfer(block: ET.Element, payment: Payment, message_id: str) -> None:
    transfer = ET.SubElement(block, "CdtTrfTxInf")
    _path(transfer, ("PmtId", "EndToEndId"), f"{message_id}/{payment.reference}")
    amount = ET.SubElement(ET.SubElement(transfer, "Amt"), "InstdAmt", {"Ccy": "JPY"})
    amount.text = str(payment.amount_jpy)
    _agent(transfer, "CdtrAgt", payment.payee)
    _path(transfer, ("Cdtr", "Nm"), payment.payee.holder)
    _account(transfer, "CdtrAcct", payment.payee)
    if payment.edi:
        _path(transfer, ("RmtInf", "Ustrd"), payment.edi)


def _text(parent: ET.Element, name: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, name)
    element.text = text
    return element


def _path(parent: ET.Element, names: Sequence[str], text: str) -> None:
    *outer, last = names
    for name in outer:
        parent = ET.SubElement(parent, name)
    _text(parent, last, text)


def _account(parent: ET.Element, name: str, details: BankDetails) -> None:
    account = ET.SubElement(parent, name)
    _path(account, ("Id", "Othr", "Id"), details.number)
    _path(account, ("Tp", "Cd" if details.kind != "9" else "Prtry"), KIND_NAMES[details.kind])
    _text(account, "Ccy", "JPY")


def _agent(parent: ET.Element, name: str, details: BankDetails) -> None:
    institution = ET.SubElement(ET.SubElement(parent, name), "FinInstnId")
    member = ET.SubElement(institution, "ClrSysMmbId")
    _path(member, ("ClrSysId", "Cd"), CLEARING_SYSTEM)
    _text(member, "MmbId", details.bank_code + details.branch_code)
    _text(institution, "Nm", details.bank_name)


def pain001_read(content: bytes) -> Message:
    """Read a message of ours back and check its counts and sums.

    Raises
    ------
    MessageUnreadable
        If it is not well-formed, has a document type, or its sums do not hold.
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise MessageUnreadable(field="message", value="", rule="no document type")
    try:
        # no entity can be declared without a document type
        root = ET.fromstring(content)  # noqa: S314
    except ET.ParseError as error:
        raise MessageUnreadable(field="message", value=str(error), rule="XML") from error
    names = {"p": NAMESPACE}
    transfers = root.findall(".//p:CdtTrfTxInf", names)
    payments = tuple(
        (
            int(_found(row, "p:PmtId/p:EndToEndId").rpartition("/")[2]),
            _found(row, "p:CdtrAgt/p:FinInstnId/p:ClrSysMmbId/p:MmbId"),
            int(_found(row, "p:Amt/p:InstdAmt")),
        )
        for row in transfers
    )
    total_jpy = sum(amount_jpy for _, _, amount_jpy in payments)
    for place in ("p:CstmrCdtTrfInitn/p:GrpHdr", "p:CstmrCdtTrfInitn/p:PmtInf"):
        count, told_jpy = _found(root, f"{place}/p:NbOfTxs"), _found(root, f"{place}/p:CtrlSum")
        if (count, told_jpy) != (str(len(payments)), str(total_jpy)):
            rule = f"{len(payments)} transfers of {total_jpy}"
            raise MessageUnreadable(field=place, value=f"{count} of {told_jpy}", rule=rule)
    return Message(
        message_id=_found(root, "p:CstmrCdtTrfInitn/p:GrpHdr/p:MsgId"),
        pay_on=date.fromisoformat(_found(root, "p:CstmrCdtTrfInitn/p:PmtInf/p:ReqdExctnDt")),
        payments=payments,
    )


def _found(element: ET.Element, place: str) -> str:
    found = element.findtext(place, namespaces={"p": NAMESPACE})
    if found is None:
        raise MessageUnreadable(field=place, value=None, rule="is there")
    return found
