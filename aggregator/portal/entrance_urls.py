"""Paths of sign-in and of one's own account, under the names django-allauth asks for.

Of its pages only these exist: there is no sign-up, no social sign-in, no e-mail page.
"""

from __future__ import annotations

from allauth.account import views
from allauth.mfa.base import urls as factor_urls
from allauth.mfa.recovery_codes import urls as paper_urls
from allauth.mfa.totp import urls as app_urls
from allauth.mfa.webauthn import urls as key_urls
from django.urls import include, path, re_path

from aggregator.portal import entrance, invitations

urlpatterns = [
    path("login/", entrance.Login.as_view(), name="account_login"),
    path("logout/", entrance.Logout.as_view(), name="account_logout"),
    path("account/", entrance.account, name="account_overview"),
    path("invitations/<str:link>/", invitations.invitation, name="account_invitation"),
    path("account/inactive/", views.account_inactive, name="account_inactive"),
    path("account/sessions/end/", entrance.sessions_sign_out, name="account_sessions_end"),
    path(
        "account/sessions/<int:session_id>/end/",
        entrance.session_sign_out,
        name="account_session_end",
    ),
    path("account/again/", views.reauthenticate, name="account_reauthenticate"),
    path("account/password/", views.password_change, name="account_change_password"),
    path("account/password/set/", views.password_set, name="account_set_password"),
    path("account/password/reset/", views.password_reset, name="account_reset_password"),
    path(
        "account/password/reset/sent/",
        views.password_reset_done,
        name="account_reset_password_done",
    ),
    re_path(
        r"^account/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-0-9A-Za-z]+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "account/password/reset/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account/factors/", include(factor_urls)),
    path("account/factors/app/", include(app_urls)),
    path("account/factors/key/", include(key_urls)),
    path("account/factors/codes/", include(paper_urls)),
]
