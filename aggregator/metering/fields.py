"""Columns that several tables of metering share."""

from __future__ import annotations

from typing import Any

from django.db import models


def kwh_field(verbose: str, **options: Any) -> models.DecimalField[Any, Any]:
    """Energy in kWh to the nearest Wh."""
    return models.DecimalField(verbose, max_digits=14, decimal_places=3, **options)
