"""The audit's own reading of each bid form: one module and one line per form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from market.core.audit.block import Block, Market
from market.core.audit.forms import (
    block,
    capacity,
    compute,
    deferral,
    portfolio,
    renewable,
    shift,
    steps,
    storage,
)

FORMS: Final[Mapping[str, Callable[[Mapping[str, Any], Market], Block]]] = {
    "BLOCK": block.block,
    "STEPS": steps.block,
    "STORAGE": storage.block,
    "SHIFT": shift.block,
    "CAPACITY": capacity.block,
    "COMPUTE_OFFER": compute.offer_block,
    "COMPUTE_REQUEST": compute.request_block,
    "DEFERRAL": deferral.block,
    "RENEWABLE": renewable.block,
    "PORTFOLIO": portfolio.block,
}
