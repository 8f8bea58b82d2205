"""Whom an award served: the needs behind its price, in the ratio of their price components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from aggregator.core.delivery import Direction

# Twelve places tell any two components apart and keep weights exact numbers of bounded length.
WEIGHT_QUANTUM = Decimal("1e-12")


@dataclass(frozen=True, kw_only=True)
class ServedNeed:
    """A need of one half hour.

    A local one has an element and the sign of the flow to be reduced, a balance need an area
    and a direction.
    """

    need: str
    served_kwh: Decimal
    price_jpy_per_kwh: Decimal
    element: str | None = None
    flow_sign: int = 0
    area: str | None = None
    direction: Direction | None = None

    @property
    def charge_jpy(self) -> Decimal:
        """What the buyer pays for it in this half hour."""
        return self.served_kwh * self.price_jpy_per_kwh


def need_weights(
    needs: Sequence[ServedNeed],
    *,
    direction: Direction,
    area: str,
    area_price_jpy_per_kwh: Decimal,
    sensitivity_kw_per_kw: Mapping[str, Decimal],
) -> dict[str, Decimal]:
    r"""Weigh the needs that one award served in one half hour.

    With :math:`\sigma=+1` for UP and −1 for DOWN, a local need on element q weighs its price
    component :math:`\max(0, -\sigma s_q H_{q,i}\,\mu_q)`. The area's component
    :math:`\max(0, \sigma\lambda_a)` is shared by the balance needs of the award's direction in
    its own area, in proportion to what they pay; if the area has none, the energy went on
    through a link, and those of all areas share it.

    Where no component is positive, the same balance needs weigh what they pay or are paid; if
    there are none (one leg of a neutral pair), all needs served in the half hour do, because
    the pair as a whole served them.

    Returns
    -------
    dict
        Need id to weight [JPY/kWh, or JPY where no component is positive], positive weights
        only; empty if nothing was served.
    """
    up = 1 if direction is Direction.UP else -1
    served = [need for need in needs if need.served_kwh > 0]
    weights: dict[str, Decimal] = {}
    for need in served:
        if need.element is not None:
            effect = -up * need.flow_sign * sensitivity_kw_per_kw.get(need.element, Decimal(0))
            weights[need.need] = effect * need.price_jpy_per_kwh
    component_jpy_per_kwh = max(Decimal(0), up * area_price_jpy_per_kwh)
    same_way = [need for need in served if need.area is not None and need.direction is direction]
    at_home = [need for need in same_way if need.area == area]
    sharing = at_home or same_way
    paid_jpy = sum((max(Decimal(0), need.charge_jpy) for need in sharing), Decimal(0))
    for need in sharing:
        if paid_jpy > 0:
            part = max(Decimal(0), need.charge_jpy) / paid_jpy
            weights[need.need] = component_jpy_per_kwh * part
    return (
        _positive(weights)
        or _positive({need.need: abs(need.charge_jpy) for need in sharing})
        or _positive({need.need: abs(need.charge_jpy) for need in served})
    )


def _positive(weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    held = {need: weight.quantize(WEIGHT_QUANTUM) for need, weight in weights.items()}
    return {need: weight for need, weight in held.items() if weight > 0}
