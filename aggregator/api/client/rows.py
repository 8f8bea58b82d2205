"""What the API says, as typed rows. Members that this client does not know are kept in `more`."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Row:
    """Base of all rows."""

    more: Mapping[str, Any]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read a row from JSON: decimals exact, times with their offset."""
        kinds = _kinds(cls)
        known = {name: _as(kinds[name], value) for name, value in body.items() if name in kinds}
        return cls(**known, more={name: body[name] for name in body if name not in kinds})


@dataclass(frozen=True, kw_only=True)
class Auction(Row):
    """One clearing of the 48 half hours of a delivery day."""

    code: str
    delivery_on: date
    opens_at: datetime
    gate_closure_at: datetime
    state: str


@dataclass(frozen=True, kw_only=True)
class Receipt(Row):
    """A bid is in the book."""

    bid_id: UUID
    client_bid_id: str
    version: int
    received_at: datetime
    leaf_sha256: str
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What came of one call: a receipt of each bid, and the signed one of all that is new."""

    receipts: tuple[Receipt, ...]
    signed: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Bid(Row):
    """A bid's envelope; the offer and what became of it are in `more` of a single bid."""

    id: UUID
    client_bid_id: str
    version: int
    auction: str
    form: str
    mechanism: str
    state: str
    received_at: datetime
    resource: str | None = None


@dataclass(frozen=True, kw_only=True)
class Instruction(Row):
    """An order to act."""

    id: UUID
    auction: str
    site: str
    direction: str
    state: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Need(Row):
    """Relief that a grid operator asks for."""

    id: UUID
    auction: str
    code: str
    kind: str
    direction: str
    revision: int
    state: str
    quantity_kw: tuple[Decimal, ...]


@dataclass(frozen=True, kw_only=True)
class Taken(Row):
    """What became of a batch of readings."""

    added: int
    revised: int
    unchanged: int


def _kinds(row: type[Row]) -> dict[str, Any]:
    hints = typing.get_type_hints(row)
    return {item.name: hints[item.name] for item in fields(row) if item.name != "more"}


def _as(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, types.UnionType):
        return _as(next(part for part in typing.get_args(kind) if part is not type(None)), value)
    if typing.get_origin(kind) is tuple:
        return tuple(_as(typing.get_args(kind)[0], part) for part in value)
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    if kind in (Decimal, UUID):
        return kind(str(value))
    return value
