"""Paths of team pages; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal.team import keys, members, notices, preferences, webhooks

urlpatterns: list[URLPattern] = [
    path("", members.member_list, name="team"),
    path("invite/", members.member_invite, name="team_invite"),
    path("members/<uuid:member_id>/", members.member, name="team_member"),
    path("members/<uuid:member_id>/remove/", members.member_remove, name="team_member_remove"),
    path(
        "invitations/<uuid:invitation_id>/<slug:act>/",
        members.invitation_act,
        name="team_invitation_act",
    ),
    path("keys/", keys.key_list, name="api_keys"),
    path("keys/new/", keys.key_new, name="api_key_new"),
    path("keys/<uuid:client_id>/<slug:act>/", keys.key_act, name="api_key_act"),
    path("webhooks/", webhooks.webhook_list, name="webhooks"),
    path("webhooks/new/", webhooks.webhook_new, name="webhook_new"),
    path("webhooks/<uuid:webhook_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:webhook_id>/<slug:act>/", webhooks.webhook_act, name="webhook_act"),
    path(
        "webhooks/<uuid:webhook_id>/messages/<uuid:message_id>/resend/",
        webhooks.message_resend,
        name="webhook_message_resend",
    ),
    path("notices/", notices.notice_list, name="notices"),
    path("preferences/", preferences.preferences, name="preferences"),
]
