"""UFTP 3.1 on the wire: envelopes, signatures, hardened parsing, values to XML and back.

Bare: no framework, no database, no clock. A message travels as
``<SignedMessage SenderDomain SenderRole Body/>``, its body the base64 of 64 bytes of Ed25519
signature and the inner XML. What comes from outside is refused before it is parsed if it is long,
not UTF-8, or has a document type, and after it if it is deep or not in the schema.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from lxml import etree
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.signing import SigningKey, VerifyKey

from aggregator.protocols.uftp import messages
from aggregator.protocols.uftp.messages import MESSAGES, NAME_OF, Payload
from aggregator.protocols.uftp.schema import NotInSchema, validate

CONTENT_TYPE: Final = "text/xml; charset=utf-8"
DOCUMENT_BYTES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 8
ELEMENTS_MAX: Final = 20_000
KEY_BYTES: Final = 32
SECRET_BYTES: Final = 64
NUMBER_MAX: Final = 10**12  # a terawatt in W: no party of this market has more
ROLES: Final = ("AGR", "CRO", "DSO")
_DATE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII)
_WORD: Final = re.compile(r"_([a-z])")
T = TypeVar("T")


class InvalidDocument(ValueError):
    """Not a document we read: length, encoding, document type, form, depth, schema or a value."""


class InvalidSignature(ValueError):
    """The signature is none of the sender's keys'."""


class InvalidKey(ValueError):
    """Not a key of Ed25519 in base64."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A signed message as it came: who says to have sent it, and what is sealed."""

    sender_domain: str
    sender_role: str
    sealed: bytes


def document_parse(content: bytes) -> etree._Element:
    """Parse what a stranger sent, without fetching, expanding or following anything.

    Raises
    ------
    InvalidDocument
    """
    if not 0 < len(content) <= DOCUMENT_BYTES_MAX:
        raise InvalidDocument(f"1 to {DOCUMENT_BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDocument("UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidDocument("no document type and no entities")
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the declaration says: the bytes were checked as UTF-8
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidDocument(f"well-formed XML: {error}"[:300]) from error
    _bounds_check(root)
    return root


def _bounds_check(root: etree._Element) -> None:
    depth = count = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += event == "start"
        if depth > DEPTH_MAX or count > ELEMENTS_MAX:
            raise InvalidDocument(f"at most {DEPTH_MAX} levels and {ELEMENTS_MAX} elements")


def envelope_read(content: bytes) -> Envelope:
    """Read a signed message's envelope.

    Raises
    ------
    InvalidDocument
    """
    root = document_parse(content)
    if root.tag != "SignedMessage":
        raise InvalidDocument("a SignedMessage")
    _in_schema(root)
    try:
        sealed = base64.b64decode("".join(root.get("Body", "").split()), validate=True)
    except binascii.Error as error:
        raise InvalidDocument("a body in base64") from error
    return Envelope(
        sender_domain=root.get("SenderDomain", ""),
        sender_role=root.get("SenderRole", ""),
        sealed=sealed,
    )


def envelope_render(inner: bytes, *, sender_domain: str, sender_role: str, key: SigningKey) -> str:
    """Seal a message and put it in its envelope."""
    root = etree.Element("SignedMessage")
    root.set("SenderDomain", sender_domain)
    root.set("SenderRole", sender_role)
    root.set("Body", base64.b64encode(bytes(key.sign(inner))).decode())
    _in_schema(root)
    rendered: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return rendered.decode()


def seal_open(envelope: Envelope, keys: Iterable[VerifyKey]) -> bytes:
    """Return the inner XML if one of the sender's keys signed it.

    Raises
    ------
    InvalidSignature
    """
    for key in keys:
        try:
            return key.verify(envelope.sealed)
        except (BadSignatureError, CryptoError, ValueError):
            continue
    raise InvalidSignature("signed by none of the sender's keys")


def verify_key(text: str) -> VerifyKey:
    """Read a public key: 32 bytes in base64.

    Raises
    ------
    InvalidKey
    """
    return VerifyKey(_key_bytes(text, (KEY_BYTES,)))


def signing_key(text: str) -> SigningKey:
    """Read a private key: libsodium's 64 bytes (seed and public key) or the seed alone, in base64.

    Raises
    ------
    InvalidKey
        Also if the two halves do not belong together.
    """
    raw = _key_bytes(text, (KEY_BYTES, SECRET_BYTES))
    key = SigningKey(raw[:KEY_BYTES])
    if len(raw) == SECRET_BYTES and bytes(key.verify_key) != raw[KEY_BYTES:]:
        raise InvalidKey("a private key whose halves belong together")
    return key


def _key_bytes(text: str, lengths: tuple[int, ...]) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidKey("a key in base64") from error
    if len(raw) not in lengths:
        raise InvalidKey(f"a key of {' or '.join(map(str, lengths))} bytes")
    return raw


def message_read(content: bytes) -> Payload:
    """Read a message's inner XML.

    Raises
    ------
    InvalidDocument
        Also if it is a message that no aggregator receives or sends.
    """
    root = document_parse(content)
    kind = MESSAGES.get(str(root.tag))
    if kind is None:
        raise InvalidDocument(f"a message of an aggregator, not {str(root.tag)[:60]}")
    if kind is messages.TestMessageResponse:
        # the reference client says Result here, which the schema does not know
        root.attrib.pop("Result", None)
        root.attrib.pop("RejectionReason", None)
    _in_schema(root)
    return _value(kind, root)


def message_render(message: Payload) -> bytes:
    """Write a message as XML, held against the schema before it leaves.

    Raises
    ------
    InvalidDocument
        If what is to be said is no message of the standard: a fault of ours.
    """
    root = _element(NAME_OF[type(message)], message)
    _in_schema(root)
    rendered: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return rendered


def _in_schema(root: etree._Element) -> None:
    try:
        validate(root)
    except NotInSchema as error:
        raise InvalidDocument(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class _Slot:
    """Where a field stands in XML, and how its text is read."""

    name: str
    xml: str
    of: type
    is_many: bool
    is_optional: bool


@cache
def _slots(kind: Any) -> tuple[_Slot, ...]:
    hints = get_type_hints(kind)
    found = []
    for item in fields(kind):
        of: Any = hints[item.name]
        is_many = get_origin(of) is tuple
        if is_many:
            of = get_args(of)[0]
        elif type(None) in get_args(of):
            of = next(one for one in get_args(of) if one is not type(None))
        found.append(
            _Slot(
                name=item.name,
                xml=item.metadata.get("xml") or _camel(item.name),
                of=of,
                is_many=is_many,
                is_optional=item.default is not MISSING,
            )
        )
    return tuple(found)


def _camel(name: str) -> str:
    return _WORD.sub(lambda match: match[1].upper(), f"_{name}")


def _value(kind: type[T], element: etree._Element) -> T:
    values: dict[str, Any] = {}
    of: Any = kind
    for slot in _slots(of):
        if slot.is_many:
            children = element.iterchildren(slot.xml)
            values[slot.name] = tuple(_value(slot.of, child) for child in children)
            continue
        text = element.get(slot.xml)
        if text is not None:
            values[slot.name] = _read(slot, text)
        elif not slot.is_optional:
            raise InvalidDocument(f"{slot.xml} is required")
    return kind(**values)


def _read(slot: _Slot, text: str) -> Any:
    try:
        if slot.of is str:
            return text
        if slot.of is int:
            return _bounded(int(text), slot.xml)
        if slot.of is Decimal:
            return _bounded(Decimal(text.strip()), slot.xml)
        if slot.of is bool:
            return text.strip() in ("true", "1")
        if slot.of is date:
            match = _DATE.fullmatch(text.strip())
            return date.fromisoformat(match[1] if match else "")
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, ArithmeticError) as error:
        raise InvalidDocument(f"{slot.xml}: a value we can read, not {text[:40]!r}") from error
    if moment.tzinfo is None:
        raise InvalidDocument(f"{slot.xml}: a moment with its offset")
    return moment


def _bounded(number: Any, name: str) -> Any:
    if abs(number) > NUMBER_MAX:
        raise InvalidDocument(f"{name}: at most {NUMBER_MAX} in amount")
    return number


def _element(name: str, value: Any) -> etree._Element:
    element = etree.Element(name)
    of: Any = type(value)
    for slot in _slots(of):
        held = getattr(value, slot.name)
        if slot.is_many:
            for one in held:
                element.append(_element(slot.xml, one))
        elif held is not None:
            element.set(slot.xml, _text(held))
    return element


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
