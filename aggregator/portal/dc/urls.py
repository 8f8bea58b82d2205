"""Paths of a data-centre operator's pages; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal.dc import (
    acting,
    bids,
    business_case,
    copying,
    day_price,
    editor,
    home,
    places,
    results,
    sheets,
)

urlpatterns: list[URLPattern] = [
    path("", home.home, name="dc_home"),
    path("position.json", home.position_chart, name="dc_position"),
    path("position.csv", home.position_csv, name="dc_position_csv"),
    path("price.json", day_price.price_chart, name="dc_price"),
    path("bids/", bids.bid_list, name="dc_bids"),
    path("bids/template.csv", sheets.bids_template, name="dc_bids_template"),
    path("bids/<slug:code>/bids.csv", sheets.bids_file, name="dc_bids_file"),
    path("bids/<slug:code>/new/", editor.bid_new, name="dc_bid_new"),
    path("bids/<slug:code>/yesterday/", copying.bids_copy, name="dc_bids_copy"),
    path("bids/<slug:code>/copied/", copying.bids_copied, name="dc_bids_copied"),
    path("bids/<slug:code>/upload/", sheets.bids_upload, name="dc_bids_upload"),
    path("bids/<slug:code>/<str:name>/", editor.bid_edit, name="dc_bid_edit"),
    path("bids/<slug:code>/<str:name>/check/", editor.bid_check, name="dc_bid_check"),
    path("bids/<slug:code>/<str:name>/confirm/", editor.bid_confirm, name="dc_bid_confirm"),
    path("bids/<slug:code>/<str:name>/copy/", editor.bid_copy, name="dc_bid_copy"),
    path("bids/<slug:code>/<str:name>/withdraw/", editor.bid_withdrawal, name="dc_bid_withdraw"),
    path("bids/<slug:code>/<str:name>/restore/", editor.bid_restore, name="dc_bid_restore"),
    path("bids/<slug:code>/<str:name>/discard/", editor.draft_discard, name="dc_draft_discard"),
    path("bids/<slug:code>/<str:name>/bid.csv", bids.bid_csv, name="dc_bid_csv"),
    path("bids/<slug:code>/<str:name>/curve.json", bids.bid_curve, name="dc_bid_curve"),
    path("bids/<slug:code>/<str:name>/effect.json", bids.bid_effect, name="dc_bid_effect"),
    path("bids/<slug:code>/<str:name>/past.json", bids.bid_past, name="dc_bid_past"),
    path("awards/", results.award_list, name="dc_awards"),
    path("awards/<uuid:bid_id>/", results.award_one, name="dc_award"),
    path("instructions/", acting.instruction_list, name="dc_instructions"),
    path("instructions/<uuid:instruction_id>/", acting.instruction_one, name="dc_instruction"),
    path("deliveries/", acting.delivery_list, name="dc_deliveries"),
    path("deliveries/<slug:code>/<slug:resource>/", acting.delivery_one, name="dc_delivery"),
    path(
        "deliveries/<slug:code>/<slug:resource>/chart.json",
        acting.delivery_chart,
        name="dc_delivery_chart",
    ),
    path("business-case/", business_case.business_case, name="dc_business_case"),
    path("sites/", places.site_list, name="dc_sites"),
    path("sites/<slug:code>/", places.site_one, name="dc_site"),
    path("standing/", places.standing_list, name="dc_standing"),
    path(
        "standing/<uuid:standing_bid_id>/<slug:verb>/",
        places.standing_turn,
        name="dc_standing_turn",
    ),
]
