"""Staff with a browser: what no list shows, no list can be asked for letter by letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory

from accounts.parties.models import User
from tests import cast
from tests.portal.conftest import client_of


@pytest.fixture
def staff(db: None) -> Client:
    return client_of(User.objects.create_superuser("root", password=cast.PASSWORD))


def test_a_session_s_key_is_not_found_by_trying(staff: Client) -> None:
    key = Session.objects.order_by("-expire_date").values_list("session_key", flat=True)[0]
    for at in ("sessions/session", "usersessions/usersession"):
        for lookup in ("startswith", "contains", "gt", "regex", "exact", "in"):
            answer = staff.get(f"/admin/{at}/", {f"session_key__{lookup}": key[:3]})
            assert answer.status_code == 400, f"{at} {lookup}"
        assert staff.get(f"/admin/{at}/", {"session_key": key}).status_code == 400


@pytest.mark.parametrize(
    ("at", "lookup"),
    [
        ("parties/apiclient", "client_secret__startswith"),
        ("parties/invitation", "nonce__gt"),
        ("parties/invitation", "organisation__api_clients__client_secret__startswith"),
        ("outbox/webhooksubscription", "url__startswith"),
        ("outbox/outboxmessage", "body__contains"),
        ("trading/bidcontent", "content__curves__0__steps__0__ask_jpy_per_kwh"),
        ("trading/sealedbasket", "ciphertext__startswith"),
        ("trading/bid", "content__content__curves__0__first_t"),
        ("api/idempotentanswer", "body__contains"),
        ("mfa/authenticator", "data__contains"),
        ("jobs/job", "payload__contains"),
        ("auth/group", "user__password__startswith"),
    ],
)
def test_a_column_that_is_not_offered_is_not_compared(staff: Client, at: str, lookup: str) -> None:
    assert staff.get(f"/admin/{at}/", {lookup: "a"}).status_code == 400


def test_every_filter_that_is_offered_works(staff: Client) -> None:
    request = RequestFactory().get("/")
    tried = 0
    for model, shown in admin.site._registry.items():
        at = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for item in shown.get_list_filter(request):
            if isinstance(item, str):
                assert shown.lookup_allowed(f"{item}__exact", "x", request), f"{at} {item}"
                assert shown.lookup_allowed(f"{item}__isnull", "True", request), f"{at} {item}"
                tried += 1
    assert tried > 20


def test_every_link_from_list_to_list_is_followed(staff: Client) -> None:
    """Links are written as ``admin_list_link("app.model", f"field__id__exact={…}", …)``."""
    link = re.compile(r'admin_list_link\(\s*"(\w+)\.(\w+)",\s*f"(\w+__exact)=')
    found = 0
    for folder in ("accounts", "market", "aggregator"):
        for file in Path(folder).rglob("admin*.py"):
            for app, model, lookup in link.findall(file.read_text(encoding="utf-8")):
                shown = next(
                    shown
                    for of, shown in admin.site._registry.items()
                    if of._meta.label_lower == f"{app}.{model}"
                )
                assert shown.lookup_allowed(lookup, "1", RequestFactory().get("/")), lookup
                found += 1
    assert found > 10
