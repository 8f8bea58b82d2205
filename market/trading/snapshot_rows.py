"""Rows of the snapshot: bids and resources as the engine reads them.

One of the two places where Decimal becomes float (the award writer is the way back).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from market.registry.models import STORAGE_KINDS, Resource, Site

# Entries of a bid's content that stay text; all others are exact numbers written as text.
TEXT_FIELDS = frozenset(
    {
        "direction",
        "exclusive_group",
        "hardware",
        "labels_required",
        "parent",
        "path",
        "product",
        "resource",
    }
)

Json = dict[str, Any]


class Envelope(Protocol):
    """What a bid is besides its content."""

    @property
    def form(self) -> str:
        """How the offer is written."""

    @property
    def mechanism(self) -> str:
        """What the seller does."""

    @property
    def resource(self) -> Resource | None:
        """What is bid, if it is one resource."""

    @property
    def site(self) -> Site | None:
        """Where computing is asked for."""


def bid_row(name: str, envelope: Envelope, content: Json) -> Json:
    """Return a bid as the snapshot has it, without its owner.

    Links between blocks stand in it as the bidder wrote them: by client id and group name.
    """
    row: Json = {
        "id": name,
        "form": envelope.form,
        "mechanism": envelope.mechanism,
        **_numbers(content),
    }
    if envelope.resource is not None:
        row["resource"] = envelope.resource.code
        if envelope.form == "STORAGE" and envelope.resource.kind in STORAGE_KINDS:
            row["kind"] = str(envelope.resource.kind)
    if envelope.site is not None:
        row["place"] = envelope.site.code
    return row


def resource_row(resource: Resource) -> Json:
    """Return a resource as the snapshot has it."""
    return {
        "id": resource.code,
        "place": resource.site.code,
        "limit_up_kw": float(resource.limit_up_kw),
        "limit_down_kw": float(resource.limit_down_kw),
        "labels": sorted(resource.site.labels),
        "hardware": sorted(resource.hardware),
    }


def _numbers(value: Any, name: str = "") -> Any:
    """Exact text to float, throughout a bid's content."""
    if isinstance(value, Mapping):
        return {key: _numbers(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, name) for item in value]
    if isinstance(value, str) and name not in TEXT_FIELDS:
        return float(value)
    return value
