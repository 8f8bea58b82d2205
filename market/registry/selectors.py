"""Read the registry; rows that have owners only as far as the caller may see them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import F, Prefetch, Q, QuerySet

from accounts.clock.recent import Recent
from accounts.core.errors import NotFound
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from market.registry.models import (
    Area,
    Branch,
    Bus,
    CongestionPoint,
    Consent,
    ControllableLink,
    GridModel,
    MarketProduct,
    OpticalPath,
    OpticalTrunk,
    Prequalification,
    PrequalificationComment,
    PrequalificationFile,
    PrequalificationStep,
    Resource,
    RevenueAgreement,
    RevenueShare,
    Ruleset,
    Site,
    WorkloadClass,
)
from market.registry.qualifications import ENDED_STATES, FIT_STATES


def ruleset_on(delivery_on: date) -> Ruleset:
    """Return the rules in force for deliveries on a JST date."""
    ruleset = (
        Ruleset.objects.filter(valid_from_on__lte=delivery_on).order_by("-valid_from_on").first()
    )
    if ruleset is None:
        raise NotFound(
            field="delivery_on", value=delivery_on, rule="a ruleset is in force that day"
        )
    return ruleset


@dataclass(frozen=True, kw_only=True)
class ProductTerms:
    """What the rules of a day say of products.

    Parameters
    ----------
    capacity
        Direction and duration [h] of each capacity product.
    energy_product
        Product that stands for all energy when resources are prequalified for it; None where
        the rules do not ask that.
    prequalified
        Codes of the products for which resources must be prequalified.
    """

    capacity: Mapping[str, tuple[str, Decimal]]
    energy_product: str | None
    prequalified: frozenset[str]


def product_terms_of(ruleset: Ruleset | None) -> ProductTerms:
    """Return what rules say of products; nothing while none are in force."""
    rules = {} if ruleset is None else ruleset.rules
    asked = rules.get("prequalification", {})
    energy = asked.get("energy_product")
    return ProductTerms(
        capacity={
            row["id"]: (row["direction"], Decimal(str(row["sustained_h"])))
            for row in rules.get("products", ())
        },
        energy_product=energy,
        prequalified=frozenset(
            [*asked.get("capacity_products", ()), *([] if energy is None else [energy])]
        ),
    )


def product_terms_on(on: date) -> ProductTerms:
    """Return what the rules of a JST date say of products."""
    return product_terms_of(
        Ruleset.objects.filter(valid_from_on__lte=on).order_by("-valid_from_on").first()
    )


def buses_latest() -> QuerySet[Bus]:
    """Buses of the latest version of each grid model."""
    latest = GridModel.objects.order_by("name", "-version").distinct("name")
    return Bus.objects.filter(grid_model__in=latest.values("id"))


def resources_sellable_by(organisation: Organisation, *, on: date) -> QuerySet[Resource]:
    """Resources in use whose flexibility the organisation may sell: its own sites', with consent.

    The operator of a site it does not own needs the consent of the facility's present owner.
    """
    consents = Consent.objects.filter(
        Q(valid_to_on__isnull=True) | Q(valid_to_on__gt=on),
        granted_to=organisation,
        granted_by=F("site__facility_owner"),
        valid_from_on__lte=on,
    )
    return Resource.objects.filter(
        Q(site__organisation=organisation, site__facility_owner=organisation)
        | Q(site__organisation=organisation, site__in=consents.values("site")),
        retired_at__isnull=True,
        site__retired_at__isnull=True,
    ).select_related("site")


def resources_by_code(codes: Iterable[str]) -> dict[str, Resource]:
    """Resources with the given codes; absent codes are absent."""
    return {
        resource.code: resource
        for resource in Resource.objects.filter(code__in=set(codes)).select_related(
            "site", "storage"
        )
    }


resources_recent: Recent[str, Resource] = Recent(resources_by_code)
"""As :func:`resources_by_code`, a moment old at most; not for changing them."""


def prequalified(
    *, resource_ids: Collection[UUID], product: str, at: datetime
) -> dict[UUID, Decimal]:
    """Return how much [kW] each resource is fit for, of a product at a moment.

    Resources that are not, in the area their site is in, are absent.
    """
    rows = Prequalification.objects.filter(
        Q(valid_until_at__isnull=True) | Q(valid_until_at__gt=at),
        resource__in=resource_ids,
        product=product,
        state__in=FIT_STATES,
        area=F("resource__site__area"),
    )
    return dict(rows.values_list("resource_id", "quantity_kw"))


def prequalified_then(
    *, resource_ids: Collection[UUID], product: str, at: datetime
) -> frozenset[UUID]:
    """Return those of the resources that were fit for a product at a past moment.

    Read from the steps taken until then, so that it is the same whenever it is asked.
    """
    steps = (
        PrequalificationStep.objects.filter(
            at__lte=at,
            prequalification__resource__in=resource_ids,
            prequalification__product=product,
            prequalification__area=F("prequalification__resource__site__area"),
        )
        .order_by("prequalification", "-id")
        .distinct("prequalification")
        .values_list("prequalification__resource", "to_state", "valid_until_at")
    )
    return frozenset(
        resource_id
        for resource_id, state, until in steps
        if state in FIT_STATES and (until is None or until > at)
    )


def prequalification_open_of(
    resource: Resource, product: MarketProduct, area: Area
) -> Prequalification | None:
    """Return the prequalification that has not ended, if there is one."""
    return (
        Prequalification.objects.filter(resource=resource, product=product, area=area)
        .exclude(state__in=ENDED_STATES)
        .first()
    )


def areas() -> QuerySet[Area]:
    """All areas; they are public."""
    return Area.objects.select_related("tso")


def products() -> QuerySet[MarketProduct]:
    """All products; they are public."""
    return MarketProduct.objects.all()


def grid_models() -> QuerySet[GridModel]:
    """All grid models; that they exist is public."""
    return GridModel.objects.select_related("owner")


def buses_of(grid_model: GridModel) -> QuerySet[Bus]:
    """Buses of one grid model."""
    return Bus.objects.filter(grid_model=grid_model)


def branches_of(grid_model: GridModel) -> QuerySet[Branch]:
    """Branches of one grid model."""
    return Branch.objects.filter(grid_model=grid_model).select_related("from_bus", "to_bus")


def links_of(grid_model: GridModel) -> QuerySet[ControllableLink]:
    """Return the controllable links of one grid model."""
    return ControllableLink.objects.filter(grid_model=grid_model).select_related(
        "from_bus", "to_bus"
    )


def elements() -> QuerySet[CongestionPoint]:
    """All monitored elements; they are public."""
    return CongestionPoint.objects.select_related("grid_model", "branch", "owner", "co_owner")


def elements_of(*, seen_by: Sight) -> QuerySet[CongestionPoint]:
    """Return the monitored elements that the caller may revise."""
    return elements().filter(owner__in=seen_by.organisations_for("network.publish"))


def sites_by_way(*, seen_by: Sight) -> list[QuerySet[Site]]:
    """Sites the caller sees: its own, of its facilities, in its area; the market's desk all."""
    rows = Site.objects.select_related(
        "area", "organisation", "facility_owner", "retailer", "scale_class"
    )
    if seen_by.may_everywhere("site.read"):
        return [rows]
    mine = seen_by.organisations_for("site.read")
    return [
        rows.filter(organisation__in=mine),
        rows.filter(facility_owner__in=mine),
        rows.filter(area__in=_areas_of(mine)),
    ]


def sites_seen(*, seen_by: Sight) -> QuerySet[Site]:
    """Sites the caller sees in any way, to be narrowed to a few; lists go by way."""
    return reduce(or_, sites_by_way(seen_by=seen_by))


def sees_trade_of(site: Site, *, seen_by: Sight) -> bool:
    """Whether the caller sees the commercial fields of a site and of what is at it."""
    return seen_by.may("site.read", site.organisation_id)


def sites_changed_by(*, seen_by: Sight) -> QuerySet[Site]:
    """Sites that the caller may change: its own."""
    return sites_seen(seen_by=seen_by).filter(
        organisation__in=seen_by.organisations_for("site.change")
    )


def resources_by_way(*, seen_by: Sight) -> list[QuerySet[Resource]]:
    """Resources the caller sees: at its own sites, in its area; the market's desk all."""
    rows = Resource.objects.select_related("site", "storage").prefetch_related(
        Prefetch("workload_classes", WorkloadClass.objects.order_by("kind", "pool"))
    )
    if seen_by.may_everywhere("site.read"):
        return [rows]
    mine = seen_by.organisations_for("site.read")
    return [
        rows.filter(site__organisation__in=mine),
        rows.filter(site__area__in=_areas_of(mine)),
    ]


def resources_seen(*, seen_by: Sight) -> QuerySet[Resource]:
    """Resources the caller sees in any way, to be narrowed to a few; lists go by way."""
    return reduce(or_, resources_by_way(seen_by=seen_by))


def resources_changed_by(*, seen_by: Sight) -> QuerySet[Resource]:
    """Resources that the caller may change: at its own sites."""
    return Resource.objects.select_related("site", "storage").filter(
        site__organisation__in=seen_by.organisations_for("site.change")
    )


def workload_classes_seen(*, seen_by: Sight) -> QuerySet[WorkloadClass]:
    """Classes of work, which are the operator's business: its own; the market's desk all."""
    rows = WorkloadClass.objects.select_related("resource__site")
    if seen_by.may_everywhere("site.read"):
        return rows
    return rows.filter(resource__site__organisation__in=seen_by.organisations_for("site.read"))


def workload_classes_changed_by(*, seen_by: Sight) -> QuerySet[WorkloadClass]:
    """Classes of work that the caller may change."""
    return WorkloadClass.objects.select_related("resource__site").filter(
        resource__site__organisation__in=seen_by.organisations_for("site.change")
    )


def optical_paths_by_way(*, seen_by: Sight) -> list[QuerySet[OpticalPath]]:
    """Paths the caller owns, and those it operates an end of; the market's desk all."""
    rows = OpticalPath.objects.select_related("owner", "from_site", "to_site")
    if seen_by.may_everywhere("site.read"):
        return [rows]
    mine = seen_by.organisations_for("site.read")
    return [
        rows.filter(owner__in=mine),
        rows.filter(from_operator__in=mine),
        rows.filter(to_operator__in=mine),
    ]


def optical_paths_seen(*, seen_by: Sight) -> QuerySet[OpticalPath]:
    """Paths the caller sees in any way, to be narrowed to a few; lists go by way."""
    return reduce(or_, optical_paths_by_way(seen_by=seen_by))


def optical_trunks_by_way(*, seen_by: Sight) -> list[QuerySet[OpticalTrunk]]:
    """Trunks the caller owns or sees a path of, with those of its paths that the caller sees."""
    rows = OpticalTrunk.objects.select_related("owner").prefetch_related(
        Prefetch("paths", optical_paths_seen(seen_by=seen_by).order_by("code"))
    )
    if seen_by.may_everywhere("site.read"):
        return [rows]
    carried = OpticalTrunk.paths.through.objects
    return [
        rows.filter(owner__in=seen_by.organisations_for("site.read")),
        *(
            rows.filter(id__in=carried.filter(opticalpath__in=way).values("opticaltrunk"))
            for way in (
                paths.order_by().values("id") for paths in optical_paths_by_way(seen_by=seen_by)
            )
        ),
    ]


def consents_by_way(*, seen_by: Sight) -> list[QuerySet[Consent]]:
    """Consents the caller gave, and those it got; the market's desk all."""
    rows = Consent.objects.select_related("site", "granted_by", "granted_to")
    if seen_by.may_everywhere("site.read"):
        return [rows]
    mine = seen_by.organisations_for("site.read")
    return [rows.filter(granted_by__in=mine), rows.filter(granted_to__in=mine)]


def consents_seen(*, seen_by: Sight) -> QuerySet[Consent]:
    """Consents the caller sees in any way, to be narrowed to a few; lists go by way."""
    return reduce(or_, consents_by_way(seen_by=seen_by))


def consents_changed_by(*, seen_by: Sight) -> QuerySet[Consent]:
    """Consents the caller may withdraw: those it gave."""
    return Consent.objects.select_related("site", "granted_by", "granted_to").filter(
        granted_by__in=seen_by.organisations_for("consent.grant")
    )


def revenue_agreements_seen(*, seen_by: Sight) -> QuerySet[RevenueAgreement]:
    """Agreements on shares that the caller is a party of; the market's desk all."""
    rows = RevenueAgreement.objects.select_related("site", "proposed_by").prefetch_related(
        Prefetch(
            "shares",
            RevenueShare.objects.select_related("organisation").order_by("organisation__code"),
        )
    )
    if seen_by.may_everywhere("site.read"):
        return rows
    mine = seen_by.organisations_for("site.read")
    return rows.filter(
        id__in=RevenueShare.objects.filter(organisation__in=mine).values("agreement")
    )


def prequalifications_by_way(*, seen_by: Sight) -> list[QuerySet[Prequalification]]:
    """Prequalifications the caller asked for, or decides as grid operator; the desk all."""
    rows = Prequalification.objects.select_related("resource__site", "organisation", "area__tso")
    if seen_by.may_everywhere("prequalification.read"):
        return [rows]
    mine = seen_by.organisations_for("prequalification.read")
    return [rows.filter(organisation__in=mine), rows.filter(area__in=_areas_of(mine))]


def prequalifications_seen(*, seen_by: Sight) -> QuerySet[Prequalification]:
    """Prequalifications the caller sees in any way, to be narrowed to a few; lists go by way."""
    return reduce(or_, prequalifications_by_way(seen_by=seen_by))


def prequalification_comments_of(row: Prequalification) -> QuerySet[PrequalificationComment]:
    """Comments of a prequalification that the caller sees."""
    return PrequalificationComment.objects.filter(prequalification=row).select_related(
        "organisation"
    )


def prequalification_files_of(row: Prequalification) -> QuerySet[PrequalificationFile]:
    """Files of a prequalification that the caller sees, without their content."""
    return (
        PrequalificationFile.objects.filter(prequalification=row)
        .select_related("organisation")
        .defer("content")
    )


def _areas_of(organisations: Collection[UUID]) -> list[str]:
    """Codes of the areas whose grid operator is one of these; a plan is better with constants."""
    if not organisations:
        return []
    return list(Area.objects.filter(tso__in=organisations).values_list("code", flat=True))
