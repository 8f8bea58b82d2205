"""Every door of the API, one line each; a noun's doors stand in the module of its name."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from aggregator.api.v1 import (
    areas,
    auctions,
    availabilities,
    awards,
    baselines,
    bids,
    certificates,
    compute,
    consents,
    deliveries,
    elements,
    explanations,
    grid_models,
    instructions,
    keys,
    meters,
    needs,
    optical_paths,
    prequalification_talks,
    prequalifications,
    prices,
    products,
    readings,
    receipts,
    resources,
    revenue_splits,
    schema,
    sites,
    workload_classes,
)
from aggregator.api.v1.base import Nowhere

app_name = "v1"
urlpatterns: list[URLPattern] = [
    *areas.urlpatterns,
    *auctions.urlpatterns,
    *availabilities.urlpatterns,
    *awards.urlpatterns,
    *baselines.urlpatterns,
    *bids.urlpatterns,
    *certificates.urlpatterns,
    *compute.urlpatterns,
    *consents.urlpatterns,
    *deliveries.urlpatterns,
    *elements.urlpatterns,
    *explanations.urlpatterns,
    *grid_models.urlpatterns,
    *instructions.urlpatterns,
    *keys.urlpatterns,
    *meters.urlpatterns,
    *needs.urlpatterns,
    *optical_paths.urlpatterns,
    *prequalification_talks.urlpatterns,
    *prequalifications.urlpatterns,
    *prices.urlpatterns,
    *products.urlpatterns,
    *readings.urlpatterns,
    *receipts.urlpatterns,
    *resources.urlpatterns,
    *revenue_splits.urlpatterns,
    *schema.urlpatterns,
    *sites.urlpatterns,
    *workload_classes.urlpatterns,
    # last: whatever is no door is refused as a door refuses
    re_path("", Nowhere.as_view(), name="nowhere"),
]
