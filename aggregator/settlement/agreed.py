"""What parties agreed on beside the market: found for a run, kept with it, read back later.

A whole run is settled by what was in force on its delivery day as it was known then. What is
noted later with an earlier date must not move a day that was settled, nor stop a run from being
computed once more to the last digit: so the terms are kept with the run, and whatever corrects or
replays it reads them back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts.core.errors import NotFound, ensure
from accounts.parties.models import Organisation
from aggregator.core.settlement import Share
from aggregator.forecasting.selectors import spot_prices_on
from aggregator.settlement.agreed_models import RunTerms
from aggregator.settlement.models import SettlementRun
from aggregator.settlement.negawatt_models import NegawattContract, NegawattMethod
from market.clearing.models import Award, ClearingRun
from market.registry.models import Resource, ResourceKind, RevenueSplit, Site
from market.trading.models import Bid

AccountOf = Callable[[Organisation], str]


@dataclass(frozen=True, kw_only=True)
class Compensated:
    """Whom the retailer of one load is, and what a kWh that is cut costs it [JPY/kWh].

    `area` names the area whose spot price is added, half hour by half hour; None adds none.
    """

    account: str
    price_jpy_per_kwh: Decimal
    area: str | None = None


@dataclass(frozen=True, kw_only=True)
class AgreedTerms:
    """Terms of one auction.

    Attributes
    ----------
    splits
        Site to the parts of its receipts that its operator passes on.
    loss_ratios
        Site to the share of what is sent that is lost on the way.
    compensations
        Load to what its retailer is owed.
    spot_jpy_per_kwh
        Area to its 48 day-ahead prices, of areas that a compensation names.
    """

    splits: Mapping[UUID, tuple[Share, ...]] = field(default_factory=dict)
    loss_ratios: Mapping[UUID, Decimal] = field(default_factory=dict)
    compensations: Mapping[UUID, Compensated] = field(default_factory=dict)
    spot_jpy_per_kwh: Mapping[str, tuple[Decimal, ...]] = field(default_factory=dict)

    def compensation_at(self, resource_id: UUID, t: int) -> tuple[str, Decimal] | None:
        """Return who is owed what for a kWh of a load cut in a half hour; None if nobody is.

        Raises
        ------
        NotFound
            If it is linked to prices that were not known when the terms were found.
        """
        found = self.compensations.get(resource_id)
        if found is None:
            return None
        if found.area is None:
            return found.account, found.price_jpy_per_kwh
        if found.area not in self.spot_jpy_per_kwh:
            raise NotFound(field="spot", value=found.area, rule="day-ahead prices of the area")
        return found.account, found.price_jpy_per_kwh + self.spot_jpy_per_kwh[found.area][t]

    @cached_property
    def content(self) -> dict[str, Any]:
        """Return the terms as plain numbers and texts, in one order."""
        return {
            "splits": {
                str(site): [[share.account, str(share.weight)] for share in shares]
                for site, shares in sorted(self.splits.items())
            },
            "loss_ratios": {
                str(site): str(ratio) for site, ratio in sorted(self.loss_ratios.items())
            },
            "compensations": {
                str(resource): [row.account, str(row.price_jpy_per_kwh), row.area]
                for resource, row in sorted(self.compensations.items())
            },
            "spot_jpy_per_kwh": {
                area: [str(price) for price in prices]
                for area, prices in sorted(self.spot_jpy_per_kwh.items())
            },
        }

    @cached_property
    def sha256(self) -> str:
        """Return the digest of the content."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()


def terms_keep(*, run: SettlementRun, terms: AgreedTerms) -> None:
    """Keep what a whole run was told."""
    RunTerms.objects.create(run=run, content=terms.content, content_sha256=terms.sha256)


def terms_kept(run: SettlementRun) -> AgreedTerms | None:
    """Return what the whole run was told that a run is, or corrects in the end.

    None of a run that was written before terms were kept: then those in force count.

    Raises
    ------
    BrokenInvariant
        If they are not what was kept.
    """
    base = run
    while base.corrects is not None:
        base = base.corrects
    row = RunTerms.objects.filter(run=base).first()
    if row is None:
        return None
    kept = row.content
    terms = AgreedTerms(
        splits={
            UUID(site): tuple(Share(account=a, weight=Decimal(w)) for a, w in shares)
            for site, shares in kept["splits"].items()
        },
        loss_ratios={UUID(site): Decimal(ratio) for site, ratio in kept["loss_ratios"].items()},
        compensations={
            UUID(resource): Compensated(
                account=account, price_jpy_per_kwh=Decimal(price), area=area
            )
            for resource, (account, price, area) in kept["compensations"].items()
        },
        spot_jpy_per_kwh={
            area: tuple(map(Decimal, prices)) for area, prices in kept["spot_jpy_per_kwh"].items()
        },
    )
    ensure(terms.sha256 == row.content_sha256, "the terms of a run are not what was kept")
    return terms


def terms_in_force(run: ClearingRun, account_of: AccountOf) -> AgreedTerms:
    """Find what is in force on an auction's delivery day, for all that it awarded or was offered.

    What was offered counts because it may stand in for what was awarded.
    """
    resources = list(
        Resource.objects.filter(
            Q(id__in=Award.objects.filter(run=run).values("resource_id"))
            | Q(id__in=Bid.objects.filter(auction=run.auction).values("resource_id"))
        )
        .select_related("site")
        .order_by("id")
    )
    compensations = _compensations(run, resources, account_of)
    areas = {row.area for row in compensations.values() if row.area is not None}
    on = run.auction.delivery_on
    return AgreedTerms(
        splits=_splits(run, {resource.site_id for resource in resources}, account_of),
        loss_ratios={resource.site_id: resource.site.loss_ratio for resource in resources},
        compensations=compensations,
        spot_jpy_per_kwh={
            area: prices for area in sorted(areas) if (prices := _spot_jpy_per_kwh(on, area))
        },
    )


def _spot_jpy_per_kwh(delivery_on: date, area: str) -> tuple[Decimal, ...]:
    """Return an area's 48 prices; none where they are not known, which matters if one is used."""
    try:
        rows = spot_prices_on(delivery_on=delivery_on, area_code=area)
    except NotFound:
        return ()
    return tuple(row.price_jpy_per_kwh for row in rows)


def _splits(
    run: ClearingRun, site_ids: set[UUID], account_of: AccountOf
) -> dict[UUID, tuple[Share, ...]]:
    on = run.auction.delivery_on
    rows = (
        RevenueSplit.objects.filter(
            Q(valid_to_on__isnull=True) | Q(valid_to_on__gt=on),
            site_id__in=site_ids,
            valid_from_on__lte=on,
        )
        .select_related("organisation", "site")
        .order_by("site_id", "organisation_id")
    )
    found: dict[UUID, tuple[Share, ...]] = {}
    for row in rows:
        if row.organisation_id != row.site.organisation_id:
            share = Share(account=account_of(row.organisation), weight=row.share_ratio)
            found[row.site_id] = (*found.get(row.site_id, ()), share)
    return found


def _compensations(
    run: ClearingRun, resources: Sequence[Resource], account_of: AccountOf
) -> dict[UUID, Compensated]:
    on = run.auction.delivery_on
    contracts = list(
        NegawattContract.objects.filter(
            Q(valid_to_on__isnull=True) | Q(valid_to_on__gt=on), valid_from_on__lte=on
        )
        .select_related("retailer")
        .order_by("-valid_from_on", "-id")
    )
    found: dict[UUID, Compensated] = {}
    for resource in resources:
        contract = contract_of(resource, contracts)
        if resource.kind != ResourceKind.DC_LOAD or contract is None:
            continue
        is_spot = contract.method == NegawattMethod.SPOT_LINKED
        found[resource.id] = Compensated(
            account=account_of(contract.retailer),
            price_jpy_per_kwh=contract.price_jpy_per_kwh
            - (Decimal(0) if is_spot else contract.wheeling_jpy_per_kwh),
            area=resource.site.area_id if is_spot else None,
        )
    return found


def contract_of(
    resource: Resource, contracts: Sequence[NegawattContract]
) -> NegawattContract | None:
    """Return the contract in force for a resource, the narrowest first, then the newest."""
    site: Site = resource.site
    of_resource = [row for row in contracts if row.resource_id == resource.id]
    of_site = [row for row in contracts if row.site_id == site.id]
    of_retailer = [
        row
        for row in contracts
        if row.resource_id is None and row.site_id is None and row.retailer_id == site.retailer_id
    ]
    return next(iter([*of_resource, *of_site, *of_retailer]), None)
