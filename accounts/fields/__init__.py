"""Database bounds for numbers: low and high, because NaN passes every lower bound."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

KW_MAX = 100_000_000  # 100 GW: more than any area
KWH_MAX = 1_000_000_000
PRICE_MAX_JPY_PER_KWH = 99_999
HALF_HOURS_COUNT = 48


def bounded(field: str, low: float, high: float, *, name: str) -> models.CheckConstraint:
    """Require ``low <= field <= high``; `name` is the constraint's name prefix."""
    return models.CheckConstraint(
        condition=models.Q(**{f"{field}__gte": low, f"{field}__lte": high}),
        name=f"{name}_{field}"[:60],
    )


def kw_field(verbose: str, **options: Any) -> models.DecimalField[Any, Any]:
    """Power in kW to the nearest 100 W."""
    return models.DecimalField(verbose, max_digits=12, decimal_places=1, **options)


def price_field(verbose: str, **options: Any) -> models.DecimalField[Any, Any]:
    """Price in JPY per kWh to the nearest 0.01."""
    return models.DecimalField(verbose, max_digits=8, decimal_places=2, **options)


def half_hours_field(
    base: models.DecimalField[Any, Any], verbose: str, **options: Any
) -> ArrayField[Any, Any]:
    """One value per half hour of a delivery day, index t = 0…47."""
    return ArrayField(base, size=HALF_HOURS_COUNT, verbose_name=verbose, **options)


def version_field() -> models.PositiveIntegerField[Any, Any]:
    """Count of changes of a row, from 1; a trigger of the table raises it, whoever changes it."""
    return models.PositiveIntegerField("版", default=1, editable=False)
