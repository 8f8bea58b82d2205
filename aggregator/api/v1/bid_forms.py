"""What a bid of each form says, for readers of the OpenAPI document.

Nothing is validated here: the services read bids themselves, exactly and once
(:mod:`market.trading.contents`).
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from market.trading.models import BidForm, Direction, Mechanism

_TEXT = "A plain decimal number as text, such as 12.50; numbers are taken too."


def _kw(help_text: str = "kW") -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=10, decimal_places=1, min_value=0, help_text=help_text
    )


def _price(help_text: str = "JPY/kWh", **more: Any) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=6, decimal_places=2, min_value=-9_999, help_text=help_text, **more
    )


def _t(help_text: str = "Half hour 0…47, included.") -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=47, help_text=help_text)


def _kw_list(help_text: str) -> serializers.ListField:
    return serializers.ListField(child=_kw(), min_length=1, max_length=48, help_text=help_text)


def _ratio(help_text: str = "0 to 1", **more: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=5, decimal_places=4, help_text=help_text, **more)


class BidHead(serializers.Serializer[Any]):
    """What every bid says."""

    client_bid_id = serializers.CharField(
        max_length=64, help_text="Chosen by you; a retry repeats it, a change replaces it."
    )
    form = serializers.ChoiceField(BidForm.choices)
    mechanism = serializers.ChoiceField(Mechanism.choices)


class BidOfResource(BidHead):
    """What bids of one resource say besides."""

    resource = serializers.CharField(max_length=40, help_text="Code.")
    workload_class = serializers.CharField(
        required=False, allow_null=True, help_text="Kind of a workload class of the resource."
    )


class BidStep(serializers.Serializer[Any]):
    """One step of a curve."""

    quantity_kw = _kw()
    ask_jpy_per_kwh = _price()


class BidCurve(serializers.Serializer[Any]):
    """Up to 20 steps over a window; asks do not fall."""

    first_t = _t()
    last_t = _t()
    steps = BidStep(many=True)


class StepsBid(BidOfResource):
    """A curve of steps; curves of one bid do not overlap in time."""

    direction = serializers.ChoiceField(Direction.choices)
    curves = BidCurve(many=True)


class StorageBid(BidOfResource):
    """A store: power, energy and efficiency; the clearing decides when."""

    first_t = _t()
    last_t = _t()
    charge_limit_kw = _kw()
    discharge_limit_kw = _kw()
    energy_limit_kwh = _kw("kWh")
    reserve_kwh = _kw("kWh; at least the registered reserve")
    start_kwh = _kw("kWh")
    end_min_kwh = _kw("kWh")
    charge_efficiency_ratio = _ratio()
    discharge_efficiency_ratio = _ratio()
    standing_loss_ratio = _ratio("per hour")
    wear_jpy_per_kwh = _price("JPY per kWh discharged")
    cycles_max = serializers.DecimalField(
        max_digits=6, decimal_places=2, help_text="Of energy_limit_kwh, over the window."
    )


class ShiftDestination(serializers.Serializer[Any]):
    """Where work may move to."""

    resource = serializers.CharField(max_length=40)
    path = serializers.CharField(max_length=40)
    ratio = _ratio("kW added there per kW removed here, 0.5 to 2")


class ShiftOffer(serializers.Serializer[Any]):
    """How much work may move in a window."""

    first_t = _t()
    last_t = _t()
    quantity_kw = _kw()
    ask_jpy_per_kwh = _price("JPY per kWh removed")


class BidNeeds(serializers.Serializer[Any]):
    """What moved or asked work requires."""

    labels_required = serializers.ListField(child=serializers.CharField(), required=False)
    hardware = serializers.CharField(required=False)
    latency_max_ms = serializers.DecimalField(max_digits=8, decimal_places=2, required=False)


class ShiftBid(BidOfResource, BidNeeds):
    """Work that may run elsewhere."""

    destinations = ShiftDestination(many=True)
    offers = ShiftOffer(many=True)
    change_cost_jpy_per_kw = _price("JPY per kW of increase")
    gb_per_kw = serializers.DecimalField(max_digits=13, decimal_places=6)
    gb_per_kwh = serializers.DecimalField(max_digits=13, decimal_places=6)


class BlockBid(BidOfResource):
    """A profile accepted as a whole, or from a share of it upwards."""

    direction = serializers.ChoiceField(Direction.choices)
    first_t = _t()
    quantity_kw = _kw_list("kW, one per half hour from first_t on")
    ask_jpy_per_kwh = _price()
    acceptance_min_ratio = _ratio("1 = all or none", required=False)
    start_cost_jpy = serializers.DecimalField(max_digits=12, decimal_places=2, required=False)
    run_min_count = serializers.IntegerField(min_value=1, max_value=48, required=False)
    exclusive_group = serializers.CharField(max_length=40, required=False)
    parent = serializers.CharField(  # type: ignore[assignment]
        max_length=64, required=False, help_text="client_bid_id of another block of yours."
    )


class DeferralBid(BidOfResource):
    """Work that arrives and may wait."""

    first_t = _t()
    last_t = _t()
    arriving_kw = _kw_list("kW per half hour of the window")
    slack_count = serializers.IntegerField(min_value=1, max_value=48)
    service_limit_kw = _kw_list("kW per half hour of the window")
    rebound_limit_kw = _kw()
    extra_work_ratio = _ratio()
    ask_jpy_per_kwh = _price("JPY per kWh put off")


class RenewableBid(BidOfResource):
    """Output of sun or wind."""

    first_t = _t()
    last_t = _t()
    available_kw = _kw_list("kW per half hour of the window")
    scheduled_kw = _kw_list("kW per half hour of the window")
    curtail_jpy_per_kwh = _price()
    release_jpy_per_kwh = _price(required=False)


class PortfolioMember(serializers.Serializer[Any]):
    """A resource of a portfolio."""

    resource = serializers.CharField(max_length=40)
    limit_kw = _kw_list("kW per half hour, 48 values; one number stands for all")


class PortfolioBid(BidHead):
    """One curve over several resources."""

    portfolio = serializers.CharField(max_length=40, help_text="Code.")
    direction = serializers.ChoiceField(Direction.choices)
    members = PortfolioMember(many=True)
    curves = BidCurve(many=True)


class CapacityOffer(serializers.Serializer[Any]):
    """Capacity held ready; offers add up where they overlap."""

    first_t = _t()
    last_t = _t()
    quantity_kw = _kw()
    ask_jpy_per_kw = _price("JPY per kW and 30 minutes")


class CapacityBid(BidOfResource):
    """ΔkW of one product, and what its activation costs."""

    product = serializers.CharField(max_length=40)
    offers = CapacityOffer(many=True)
    v1_jpy_per_kwh = _price("paid when called up")
    v2_jpy_per_kwh = _price("pays when called down; at most V1")


class ComputeOfferBid(BidOfResource):
    """Computing for sale."""

    hardware = serializers.CharField(max_length=40)
    capacity_kw = _kw_list("kW at the IT equipment, 48 values; one number stands for all")
    ask_jpy_per_kwh = _price("operating cost per kWh computed")
    pue_ratio = _ratio("1 to 3")


class ComputeRequestBid(BidHead, BidNeeds):
    """Computing asked for."""

    place = serializers.CharField(max_length=40, help_text="Code of a site.")
    first_t = _t()
    last_t = _t()
    quantity_kw = _kw_list("kW (IT); 48 values, 0 outside the window; or one number")
    value_jpy_per_kwh = _price("most it is worth per kWh computed")
    gb_per_kwh = serializers.DecimalField(max_digits=13, decimal_places=6, required=False)


FORMS: dict[str, serializers.Serializer[Any] | type[serializers.Serializer[Any]]] = {
    "STEPS": StepsBid,
    "STORAGE": StorageBid,
    "SHIFT": ShiftBid,
    "BLOCK": BlockBid,
    "DEFERRAL": DeferralBid,
    "RENEWABLE": RenewableBid,
    "PORTFOLIO": PortfolioBid,
    "CAPACITY": CapacityBid,
    "COMPUTE_OFFER": ComputeOfferBid,
    "COMPUTE_REQUEST": ComputeRequestBid,
}


class BidList(serializers.Serializer[Any]):
    """Up to 5,000 bids, stored all or none."""

    bids = serializers.ListField(
        child=PolymorphicProxySerializer(
            component_name="Bid", serializers=FORMS, resource_type_field_name="form"
        ),
        min_length=1,
        max_length=5_000,
    )


BID = PolymorphicProxySerializer(
    component_name="Bid", serializers=FORMS, resource_type_field_name="form"
)
BID_OR_LIST = PolymorphicProxySerializer(
    component_name="BidOrList",
    serializers=[*FORMS.values(), BidList],
    resource_type_field_name=None,
)
