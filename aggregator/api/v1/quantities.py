"""Quantities by half hour in a body: `[{"t": 34, "quantity_kw": "6000"}]`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of, index_of
from accounts.fields import HALF_HOURS_COUNT, KW_MAX
from aggregator.api.v1.asked import list_of


class QuantityGiven(serializers.Serializer[Any]):
    """What shall be done in one half hour, at the receiving end."""

    t = serializers.IntegerField(min_value=0, max_value=47, help_text="0…47 (koma − 1).")
    quantity_kw = serializers.DecimalField(max_digits=12, decimal_places=1)


def quantities_of(value: Any, *, field: str) -> dict[int, Decimal]:
    """Return the quantities of a body, each half hour once.

    Raises
    ------
    Refused
        Naming the entry and what is wrong with it.
    """
    found: dict[int, Decimal] = {}
    for n, entry in enumerate(list_of(value, field=field, length_max=HALF_HOURS_COUNT)):
        at = f"{field}[{n}]"
        if not isinstance(entry, Mapping) or entry.keys() != {"t", "quantity_kw"}:
            raise Refused(field=at, value=entry, rule="an object of t and quantity_kw")
        t = index_of(entry["t"], field=f"{at}.t", count=HALF_HOURS_COUNT)
        if t in found:
            raise Refused(field=f"{at}.t", value=t, rule="each half hour once")
        found[t] = decimal_of(
            entry["quantity_kw"],
            field=f"{at}.quantity_kw",
            low=Decimal(0),
            high=Decimal(KW_MAX),
            places=1,
        )
    return found
