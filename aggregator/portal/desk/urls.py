"""Paths of this package; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal import calling
from aggregator.portal.desk import (
    alarms,
    auctions,
    changing,
    drills,
    orders,
    pages,
    standing_in,
    work,
)

urlpatterns: list[URLPattern] = [
    path("", pages.room, name="desk_room"),
    path("events/", pages.room_events, name="desk_events"),
    path("state.json", pages.room_state, name="desk_state"),
    path("alarms/", alarms.alarm_list, name="desk_alarms"),
    path("alarms/<uuid:alarm_id>/", alarms.alarm_page, name="desk_alarm"),
    path("auctions/", auctions.auction_list, name="desk_auctions"),
    path("auctions/new/", auctions.auction_new, name="desk_auction_new"),
    path("auctions/<slug:code>/", auctions.auction_page, name="desk_auction"),
    path("auctions/<slug:code>/<slug:what>/", auctions.auction_ask, name="desk_auction_ask"),
    path("approvals/<uuid:approval_id>/", auctions.decision, name="desk_approval"),
    path("instructions/", orders.instruction_list, name="desk_instructions"),
    path("instructions/<uuid:instruction_id>/", orders.instruction_page, name="desk_instruction"),
    path(
        "instructions/<uuid:instruction_id>/stand-ins/",
        standing_in.instruction_stand_ins,
        name="desk_stand_ins",
    ),
    path(
        "instructions/<uuid:instruction_id>/<slug:how>/",
        changing.instruction_change,
        name="desk_instruction_change",
    ),
    path("changes/<uuid:approval_id>/", orders.decision, name="desk_change"),
    path("calls/", calling.desk_list, name="desk_calls"),
    path("calls/<uuid:award_id>/", calling.desk_page, name="desk_call"),
    path("drills/", drills.drill_list, name="desk_drills"),
    path("drills/new/", drills.drill_candidates, name="desk_drill_candidates"),
    path("drills/new/<uuid:prequalification_id>/", drills.drill_new, name="desk_drill_new"),
    path("drills/<uuid:trial_id>/", drills.drill_page, name="desk_drill"),
    path("drills/<uuid:trial_id>/cancel/", drills.drill_cancel, name="desk_drill_cancel"),
    path("jobs/", work.job_list, name="desk_jobs"),
]
