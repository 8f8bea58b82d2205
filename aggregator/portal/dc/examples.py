"""One example of a bid per form for a file to fill in, sized by what one's resources can give."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from market.registry.models import Resource
from market.trading.bid_checks import FITS
from market.trading.bid_sheets import FORMS

FIRST_T, LAST_T = 34, 39
COUNT: Final = LAST_T - FIRST_T + 1
TENTH: Final = Decimal("0.1")
ASK: Final = "30"
WEAR: Final = "3"
HALF: Final = Decimal("0.5")


def examples_of(resources: Sequence[Resource]) -> list[dict[str, Any]]:
    """Return one example per form that a resource of one's own can be bid in."""
    found = []
    for form in FORMS:
        for resource in resources:
            mechanisms = FITS.get(resource.kind, {}).get(form)
            content = _content(form, resource, resources) if mechanisms else None
            if content is not None:
                head = {
                    "client_bid_id": f"example-{form.lower()}",
                    "form": form,
                    "mechanism": str(mechanisms[0]),  # type: ignore[index]
                    "resource": resource.code,
                }
                found.append({**head, **content})
                break
    return found


def _content(form: str, resource: Resource, resources: Sequence[Resource]) -> dict[str, Any] | None:
    kw = _tenths(resource.limit_up_kw * HALF)
    window = {"first_t": FIRST_T, "last_t": LAST_T}
    if form == "STEPS":
        steps = [
            {"quantity_kw": kw, "ask_jpy_per_kwh": ASK},
            {"quantity_kw": _tenths(resource.limit_up_kw / 4), "ask_jpy_per_kwh": "45.50"},
        ]
        return {"direction": "UP", "curves": [{**window, "steps": steps}]}
    if form == "BLOCK":
        profile = [kw] * (COUNT // 2) + [_tenths(resource.limit_up_kw / 4)] * (COUNT // 2)
        return {
            "direction": "UP", "first_t": FIRST_T, "quantity_kw": profile, "ask_jpy_per_kwh": ASK,
            "acceptance_min_ratio": "1", "start_cost_jpy": "0",
        }  # fmt: skip
    if form == "DEFERRAL":
        return {
            "first_t": FIRST_T, "last_t": LAST_T + COUNT, "slack_count": COUNT,
            "arriving_kw": [kw] * (2 * COUNT), "rebound_limit_kw": kw, "extra_work_ratio": "0.02",
            "service_limit_kw": [_tenths(resource.limit_up_kw)] * (2 * COUNT),
            "ask_jpy_per_kwh": ASK,
        }  # fmt: skip
    if form == "STORAGE":
        return _store(resource)
    return _movement(resource, resources, kw)


def _store(resource: Resource) -> dict[str, Any] | None:
    store = getattr(resource, "storage", None)
    if store is None:
        return None
    return {
        "first_t": 0, "last_t": 47,
        "charge_limit_kw": min(store.charge_kw, resource.limit_down_kw),
        "discharge_limit_kw": min(store.discharge_kw, resource.limit_up_kw),
        "energy_limit_kwh": store.energy_kwh, "reserve_kwh": store.reserve_kwh,
        "start_kwh": (store.energy_kwh + store.reserve_kwh) / 2, "end_min_kwh": store.reserve_kwh,
        "charge_efficiency_ratio": store.charge_efficiency_ratio,
        "discharge_efficiency_ratio": store.discharge_efficiency_ratio,
        "standing_loss_ratio": store.standing_loss_ratio, "wear_jpy_per_kwh": WEAR,
        "cycles_max": "1",
    }  # fmt: skip


def _movement(
    resource: Resource, resources: Sequence[Resource], kw: Decimal
) -> dict[str, Any] | None:
    there = next(
        (row for row in resources if row.kind == resource.kind and row.site_id != resource.site_id),
        None,
    )
    if there is None:
        return None
    offer = {"first_t": FIRST_T, "last_t": LAST_T, "quantity_kw": kw, "ask_jpy_per_kwh": ASK}
    return {
        "destinations": [{"resource": there.code, "path": "path-code", "ratio": "1"}],
        "offers": [offer], "change_cost_jpy_per_kw": "0", "gb_per_kw": "0", "gb_per_kwh": "0",
        "labels_required": ["country:JP"],
    }  # fmt: skip


def _tenths(kw: Decimal) -> Decimal:
    return kw.quantize(TENTH)
