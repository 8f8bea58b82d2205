"""A number's unit is the end of its name, in every table and every message."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from rest_framework import serializers

import aggregator
from market.core.units import UNITS

# words that mean nothing without a unit
NEEDS_UNIT = ("energy", "power", "price", "amount", "volume", "rate", "quantity", "capacity")
# each check of a certificate has a unit of its own; cycles are counted; a ratio is one
WITHOUT = ("CheckSeen.value", "CheckSeen.limit", "StorageBid.cycles_max", "ShiftDestination.ratio")
# the protocol says whole watts, and what is offered, ordered and settled is compared to the watt
IN_WATTS = ("uftp.FlexOffer.power_w", "uftp.Reservation.power_w")
NUMBERS = (models.IntegerField, models.DecimalField, models.FloatField)


def _has_unit(name: str) -> bool:
    return name.endswith(tuple(UNITS))


def _our_fields() -> Iterator[tuple[str, models.Field]]:
    for model in apps.get_models():
        if model.__module__.split(".")[0] in ("accounts", "market", "aggregator"):
            for field in model._meta.get_fields():
                if isinstance(field, models.Field):
                    yield f"{model._meta.label}.{field.name}", field


def _number_of(field: models.Field) -> models.Field:
    while isinstance(field, ArrayField):
        field = field.base_field
    return field


def test_every_fractional_column_ends_in_its_unit() -> None:
    wrong = [
        where
        for where, field in _our_fields()
        if isinstance(_number_of(field), models.DecimalField | models.FloatField)
        and not _has_unit(field.name)
    ]
    assert wrong == []


def test_no_number_is_called_price_or_amount_without_a_unit() -> None:
    wrong = [
        where
        for where, field in _our_fields()
        if isinstance(_number_of(field), NUMBERS)
        and set(field.name.split("_")) & set(NEEDS_UNIT)
        and not _has_unit(field.name)
    ]
    assert [where for where in wrong if where not in IN_WATTS] == []


def _our_serializers() -> Iterator[type[serializers.Serializer]]:
    for module in pkgutil.walk_packages(aggregator.__path__, "aggregator."):
        if module.name.rpartition(".")[2] in ("serializers", "views") or ".api." in module.name:
            importlib.import_module(module.name)
    waiting = [serializers.Serializer]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("aggregator."):
            yield kind


def test_every_number_in_a_message_ends_in_its_unit() -> None:
    wrong = []
    for kind in _our_serializers():
        for name, field in kind().get_fields().items():
            inner = field
            while isinstance(inner, serializers.ListField):
                inner = inner.child
            if isinstance(inner, serializers.DecimalField | serializers.FloatField):
                wrong += [] if _has_unit(name) else [f"{kind.__qualname__}.{name}"]
    assert [where for where in wrong if where not in WITHOUT] == []
