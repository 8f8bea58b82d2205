"""Several needs at once: all are published, or none and everything wrong is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.core.errors import Conflict, Refused
from accounts.parties.models import Organisation
from market.trading.gates import conditions_enter
from market.trading.models import Need
from market.trading.needs import InvalidNeed, NeedDetails, need_publish
from market.trading.refusals import Refusals
from market.trading.selectors import need_in_force

NEEDS_MAX = 500
# What the public calls otherwise than the service.
NAMES = {"area": "area_code"}
FIELDS = frozenset(field.name for field in fields(NeedDetails)) - {"area_code"} | {"area"}
REQUIRED = ("code", "kind", "direction")


def need_details(row: object, *, field: str = "") -> NeedDetails:
    """Read a need as it is sent; what its values are is checked when it is published.

    Raises
    ------
    InvalidNeed
        If an entry is missing or unknown.
    """
    path = f"{field}." if field else ""
    if not isinstance(row, Mapping):
        raise InvalidNeed(field=field or "body", value=row, rule="an object")
    for name in REQUIRED:
        if name not in row:
            raise InvalidNeed(field=f"{path}{name}", value=None, rule="required")
    for name in row:
        if name not in FIELDS:
            raise InvalidNeed(field=f"{path}{name}"[:80], value=row[name], rule="a known entry")
    entries: dict[str, Any] = {NAMES.get(str(name), str(name)): row[name] for name in row}
    return NeedDetails(**entries)


@transaction.atomic
def needs_publish(
    *, auction_id: UUID | str, organisation: Organisation, needs: Sequence[Mapping[str, Any]]
) -> list[Need]:
    """Publish new needs of an operator; what is in force already is revised one by one.

    Parameters
    ----------
    needs
        Mappings of the entries of :class:`market.trading.needs.NeedDetails`; the area is ``area``.

    Raises
    ------
    GateClosed
        At or after the gate.
    Refused, RowsRefused
        Naming the path (``needs[3].steps[0]…``), the value and the rule; none is stored.
    """
    if not isinstance(needs, list | tuple) or not 1 <= len(needs) <= NEEDS_MAX:
        raise InvalidNeed(field="needs", value=needs, rule=f"a list of 1 to {NEEDS_MAX}")
    auction, _ = conditions_enter(auction_id)
    refusals = Refusals()
    published = []
    for i, row in enumerate(needs):
        try:
            details = need_details(row)
            if need_in_force(auction, organisation, str(details.code)) is not None:
                raise Conflict(
                    field="code", value=details.code, rule="in force already: revise that need"
                )
            published.append(
                need_publish(auction_id=auction.id, organisation=organisation, details=details)
            )
        except Refused as refusal:
            refusals.note(_at(refusal, f"needs[{i}]"))
    refusals.end()
    return published


def public_names(refusal: Refused) -> Refused:
    """Return the refusal with what the public calls the field."""
    return _at(refusal, "")


def _at(refusal: Refused, place: str) -> Refused:
    name = {"area_code": "area", "body": "" if place else "body"}.get(refusal.field, refusal.field)
    path = ".".join(part for part in (place, name) if part)
    return type(refusal)(field=path, value=refusal.value, rule=refusal.rule)
