"""What a published result says about money, read digit by digit."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from accounts.core.errors import Refused
from accounts.core.money import EXACT_QUANTUM_JPY
from aggregator.core.attribution import ServedNeed, need_weights
from aggregator.core.delivery import Direction
from aggregator.core.settlement import Item, NeedPosition, PathCharge, RentPosition, Share
from aggregator.settlement.parties import MarketParties
from market.clearing.models import ClearingRun
from market.clearing.publication import award_id_of
from market.trading.models import NeedKind

SCHEMA = "wattbit-result/2"
HOURS_PER_INTERVAL = Decimal("0.5")


class ResultUnreadable(Refused):
    """A stored result is not of the layout that settlement knows."""


def _exact(value: object) -> Decimal:
    """Return a published number, held to a millionth of its unit."""
    return Decimal(str(value)).quantize(EXACT_QUANTUM_JPY)


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """The stored result of a run beside the parties it concerns."""

    run: ClearingRun
    document: Mapping[str, Any]
    parties: MarketParties

    @cached_property
    def residual_exact_jpy(self) -> Decimal:
        """Return what the published numbers leave over: the engine's own figure."""
        return _exact(self.document["money"]["residual_jpy"])

    def needs(self) -> list[NeedPosition]:
        """Return what each need was served, half hour by half hour."""
        return [
            NeedPosition(
                need=need["id"],
                t=t,
                buyer=self.parties.need(need["id"]).buyer,
                served_kwh=_exact(served_kw) * HOURS_PER_INTERVAL,
                price_jpy_per_kwh=_exact(need["price_jpy_per_kwh"][t]),
            )
            for need in self.document["needs"]
            if need["kind"] != NeedKind.CAPACITY
            for t, served_kw in enumerate(need["served_kw"])
            if served_kw
        ]

    def rents(self) -> list[RentPosition]:
        """Return what elements, links, transfers, paths and imbalance accounts earn."""
        return [
            *self._elements(),
            *self._trades(),
            *self._paths(),
            *self._trunks(),
            *self._deviations(),
        ]

    def paths(self) -> list[PathCharge]:
        """Return what each award that moves work owes to path owners.

        Requests for computing owe theirs too: see :mod:`aggregator.settlement.charging`.
        """
        sellers = self.parties.sellers
        charges = []
        for award in self.document["awards"]:
            total_exact_jpy = _exact(award.get("path_jpy", 0))
            award_id = award_id_of(self.run.id, award)
            if total_exact_jpy and award_id in sellers:
                charges.append(
                    PathCharge(
                        award=str(award_id),
                        seller=sellers[award_id],
                        total_exact_jpy=total_exact_jpy,
                    )
                )
        return charges

    def _elements(self) -> list[RentPosition]:
        found = []
        for element in self.document["elements"]:
            for rent, quantity in (
                ("rent_up_jpy_per_kwh", "headroom_up_kw"),
                ("rent_down_jpy_per_kwh", "headroom_down_kw"),
                ("call_rent_up_jpy_per_kwh", "headroom_up_kw"),
                ("call_rent_down_jpy_per_kwh", "headroom_down_kw"),
                ("flow_jpy_per_kwh", "after_kw"),
            ):
                found += [
                    RentPosition(
                        item=Item.CONGESTION_RENT,
                        element=element["id"],
                        t=t,
                        payees=self.parties.element_owners(element["id"]),
                        quantity_kwh=_exact(element[quantity][t]) * HOURS_PER_INTERVAL,
                        price_jpy_per_kwh=_exact(price),
                    )
                    for t, price in enumerate(element[rent])
                    if price
                ]
        return found

    def _trades(self) -> list[RentPosition]:
        return [
            RentPosition(
                item=Item.LINK_RENT,
                element=trade["id"],
                t=t,
                payees=owners(trade["id"]),
                quantity_kwh=_exact(trade["flow_kw"][t]) * HOURS_PER_INTERVAL,
                price_jpy_per_kwh=_exact(rent),
            )
            for kind, owners in (
                ("links", self.parties.link_owners),
                ("transfers", self.parties.transfer_owners),
            )
            for trade in self.document[kind]
            for t, rent in enumerate(trade["rent_jpy_per_kwh"])
            if rent and trade["flow_kw"][t]
        ]

    def _paths(self) -> list[RentPosition]:
        return [
            RentPosition(
                item=Item.PATH_FEE,
                element=path["id"],
                t=t,
                payees=self.parties.path_owners(path["id"]),
                quantity_gb=_exact(used_gb),
                price_jpy_per_gb=_exact(path["price_jpy_per_gb"][t])
                - self._trunk_rent_jpy_per_gb(path["id"], t),
            )
            for path in self.document["paths"]
            for t, used_gb in enumerate(path["used_gb"])
            if used_gb
        ]

    def _trunks(self) -> list[RentPosition]:
        """Pay the owner of a shared wavelength its part of what its paths carry."""
        return [
            RentPosition(
                item=Item.TRUNK_RENT,
                element=trunk["id"],
                t=t,
                payees=self.parties.trunk_owners(trunk["id"]),
                quantity_gb=_exact(used_gb),
                price_jpy_per_gb=_exact(trunk["rent_jpy_per_gb"][t]),
            )
            for trunk in self.document["trunks"]
            for t, used_gb in enumerate(trunk["used_gb"])
            if used_gb and trunk["rent_jpy_per_gb"][t]
        ]

    def _trunk_rent_jpy_per_gb(self, path: str, t: int) -> Decimal:
        rents = [trunk["rent_jpy_per_gb"][t] for trunk in self._trunks_of.get(path, ())]
        return sum(map(_exact, rents), Decimal(0))

    @cached_property
    def _trunks_of(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the trunks each path was carried by, as the snapshot has it."""
        published = {trunk["id"]: trunk for trunk in self.document["trunks"]}
        found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        if published and self.run.snapshot is not None:
            for trunk in json.loads(bytes(self.run.snapshot.content))["trunks"]:
                for path in trunk["paths"]:
                    found[path].append(published[trunk["id"]])
        return found

    def _deviations(self) -> list[RentPosition]:
        """Sell each area's excess energy to its imbalance account, and the reverse."""
        return [
            RentPosition(
                item=Item.DEVIATION,
                element=area["id"],
                t=t,
                payees=(Share(account=self.parties.imbalance(area["id"]), weight=Decimal(1)),),
                quantity_kwh=-_exact(deviation_kw) * HOURS_PER_INTERVAL,
                price_jpy_per_kwh=_exact(area["price_jpy_per_kwh"][t]),
            )
            for area in self.document["areas"]
            for t, deviation_kw in enumerate(area["deviation_kw"])
            if deviation_kw
        ]

    def credits(self, *, site: str, area: str, direction: str, t: int) -> tuple[Share, ...]:
        """Return the buyers that an award at a site served in a half hour, by weight."""
        weights = need_weights(
            self._served[t],
            direction=Direction(direction),
            area=area,
            area_price_jpy_per_kwh=self._area_price(area, t),
            sensitivity_kw_per_kw=self._sensitivity.get(site, {}),
        )
        return tuple(
            Share(account=self.parties.need(need).buyer, weight=weight, need=need)
            for need, weight in sorted(weights.items())
        )

    @cached_property
    def _served(self) -> Mapping[int, Sequence[ServedNeed]]:
        served: dict[int, list[ServedNeed]] = defaultdict(list)
        for position in self.needs():
            need = self.parties.need(position.need).need
            is_local = need.kind == NeedKind.LOCAL
            element = need.congestion_point.code if need.congestion_point else None
            served[position.t].append(
                ServedNeed(
                    need=position.need,
                    served_kwh=position.served_kwh,
                    price_jpy_per_kwh=position.price_jpy_per_kwh,
                    element=element if is_local else None,
                    flow_sign=need.flow_sign or 0,
                    area=None if is_local else need.area_id,
                    direction=None if is_local else Direction(need.direction),
                )
            )
        return served

    @cached_property
    def _prices(self) -> Mapping[str, Sequence[object]]:
        return {area["id"]: area["price_jpy_per_kwh"] for area in self.document["areas"]}

    def _area_price(self, area: str, t: int) -> Decimal:
        prices = self._prices.get(area)
        return Decimal(0) if prices is None else _exact(prices[t])

    @cached_property
    def _sensitivity(self) -> Mapping[str, Mapping[str, Decimal]]:
        return {
            place["id"]: {
                element: Decimal(str(value))
                for element, value in place["sensitivity_kw_per_kw"].items()
            }
            for place in self.document["places"]
        }


def result_of(run: ClearingRun, parties: MarketParties) -> PublishedResult:
    """Read the stored result of a run.

    Raises
    ------
    ResultUnreadable
        If the run has no result or one of another layout.
    """
    if not run.result:
        raise ResultUnreadable(field="run", value=str(run.id), rule="has a stored result")
    # Numbers are read as the digits that were published, never as binary fractions.
    document = json.loads(bytes(run.result), parse_float=Decimal)
    if document.get("schema") != SCHEMA:
        raise ResultUnreadable(field="schema", value=document.get("schema"), rule=SCHEMA)
    return PublishedResult(run=run, document=document, parties=parties)
