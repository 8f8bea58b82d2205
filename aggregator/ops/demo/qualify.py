"""Part of step 1 of the demo day: operators ask prequalification, grid operators grant it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from aggregator.metering.selectors import has_meter
from aggregator.ops.demo import cast
from market.registry.models import MarketProduct, PrequalificationState, Resource
from market.registry.prequalification_services import (
    Caller,
    prequalification_decide,
    prequalification_request,
)

ACTOR: Final = "demo"
CONFIRMED_FOR: Final = timedelta(days=365)


def qualify(*, delivery_on: date) -> None:
    """Have every resource qualified for energy, and for ΔkW those of :data:`cast.QUALIFIED_KW`."""
    products = MarketProduct.objects.in_bulk()
    resources = Resource.objects.select_related("site__organisation", "site__area__tso")
    for resource in resources.order_by("code"):
        most_kw = max(resource.limit_up_kw, resource.limit_down_kw)
        resource_qualify(resource, products[cast.ENERGY_PRODUCT], most_kw, delivery_on)
        capacity_kw = cast.QUALIFIED_KW.get(resource.code)
        if capacity_kw is not None:
            product = products[cast.CAPACITY_PRODUCT]
            resource_qualify(resource, product, Decimal(capacity_kw), delivery_on)


def resource_qualify(
    resource: Resource, product: MarketProduct, quantity_kw: Decimal, delivery_on: date
) -> None:
    """Ask for one resource and product, and grant it."""
    area = resource.site.area
    if area.tso is None:
        raise LookupError(f"area {area.code} has no grid operator in the demo")
    is_metered = has_meter(resource)
    asked = prequalification_request(
        resource=resource,
        product=product,
        area=area,
        by=Caller(organisation=resource.site.organisation, actor=ACTOR),
        quantity_kw=quantity_kw,
        security_confirmed_to_on=delivery_on + CONFIRMED_FOR,
        is_metered=is_metered,
    )
    prequalification_decide(
        row=asked,
        version=asked.version,
        to_state=PrequalificationState.QUALIFIED,
        by=Caller(organisation=area.tso, actor=ACTOR),
        is_metered=is_metered,
    )
