"""Read the registry."""

from collections.abc import Iterable
from datetime import date

from django.db.models import Q, QuerySet

from accounts.core.errors import NotFound
from accounts.parties.models import Organisation
from market.registry.models import Bus, Consent, GridModel, Resource, Ruleset


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


def buses_latest() -> QuerySet[Bus]:
    """Buses of the latest version of each grid model."""
    latest = GridModel.objects.order_by("name", "-version").distinct("name")
    return Bus.objects.filter(grid_model__in=latest.values("id"))


def resources_sellable_by(organisation: Organisation, *, on: date) -> QuerySet[Resource]:
    """Resources whose flexibility the organisation may sell: its own sites', with consent.

    The operator of a site it does not own needs the facility owner's consent.
    """
    consents = Consent.objects.filter(
        Q(valid_to_on__isnull=True) | Q(valid_to_on__gt=on),
        granted_to=organisation,
        valid_from_on__lte=on,
    )
    return Resource.objects.filter(
        Q(site__organisation=organisation, site__facility_owner=organisation)
        | Q(site__organisation=organisation, site__in=consents.values("site"))
    ).select_related("site")


def resources_by_code(codes: Iterable[str]) -> dict[str, Resource]:
    """Resources with the given codes; absent codes are absent."""
    return {
        resource.code: resource
        for resource in Resource.objects.filter(code__in=set(codes)).select_related(
            "site", "storage"
        )
    }
