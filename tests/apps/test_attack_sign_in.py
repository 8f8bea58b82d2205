"""Ways round the lock of sign-in, and a code that is used twice: none works."""

from __future__ import annotations

import re
import runpy
import time
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.parties.addresses import locked_address
from accounts.parties.invitations import invitation_create
from accounts.parties.models import User
from accounts.parties.roles import Role
from aggregator.ops.stack import Stack
from tests import cast

pytestmark = pytest.mark.django_db
PERIOD_S = 30


@pytest.fixture
def owner() -> User:
    user = cast.people().owner
    user.email = "inzai@example.jp"
    user.save(update_fields=["email"])
    return user


def knock(name: str, password: str, address: str = "192.0.2.1") -> Any:
    client = Client(REMOTE_ADDR=address)
    answer = client.post("/login/", {"username": name, "password": password})
    answer.client = client
    return answer


def test_a_name_is_locked_however_it_is_written(owner: User) -> None:
    names = ["inzai", "Inzai", "iNZAI", " inzai", "inzai@EXAMPLE.jp"]
    statuses = [knock(name, f"wrong-{n}").status_code for n, name in enumerate(names)]
    assert statuses == [200, 200, 200, 200, 429]
    for name in ("inzai", "InZai", "INZAI@example.jp"):
        assert knock(name, cast.PASSWORD).status_code == 429


def test_a_name_that_nobody_has_is_locked_however_it_is_written(owner: User) -> None:
    names = ["nobody", "Nobody", "NOBODY", "nobody ", "noBody"]
    statuses = [knock(name, f"wrong-{n}").status_code for n, name in enumerate(names)]
    assert statuses == [200, 200, 200, 200, 429]


def test_signing_in_under_another_spelling_forgets_the_failures(owner: User) -> None:
    for n in range(4):
        knock("inzai", f"wrong-{n}")
    assert knock("Inzai@example.jp", cast.PASSWORD).status_code == 302
    assert knock("inzai", "wrong").status_code == 200


def test_of_ipv6_a_subscriber_s_whole_network_is_locked(owner: User) -> None:
    statuses = [knock("inzai", f"wrong-{n}", f"2001:db8:7:7::{n:x}").status_code for n in range(5)]
    assert statuses[-1] == 429
    assert knock("inzai", cast.PASSWORD, "2001:db8:7:7:ffff::1").status_code == 429
    assert knock("inzai", cast.PASSWORD, "2001:db8:7:8::1").status_code == 302


@pytest.mark.parametrize(
    ("seen", "locked"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),  # not the network of all IPv4
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unix:", "0.0.0.0"),  # noqa: S104 - nobody knows
    ],
)
def test_what_is_locked_of_an_address(seen: str, locked: str) -> None:
    assert locked_address(RequestFactory(REMOTE_ADDR=seen).get("/")) == locked


def test_no_server_of_ours_believes_x_forwarded_for(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = runpy.run_path("deploy/gunicorn.conf.py")
    assert deployed["worker_class"].CONFIG_KWARGS["proxy_headers"] is False
    stack = Stack(instance=settings.INSTANCE)
    argv: list[str] = []
    monkeypatch.setattr(Stack, "spawn", lambda _self, _name, given, *_more: argv.extend(given))
    with pytest.raises(AttributeError):  # nothing was started
        stack.start_web(wait=False)
    assert "--no-proxy-headers" in argv


def test_the_code_that_sets_an_app_up_does_not_sign_in(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    page = client.get("/account/factors/app/activate/")
    if page.status_code == 302:
        page = client.post(page["Location"], {"password": cast.PASSWORD}, follow=True)
    found = re.search(r'id="authenticator_secret" value="([A-Z2-7]+)"', page.content.decode())
    assert found is not None
    counter = int(time.time()) // PERIOD_S
    code = format_hotp_value(hotp_value(found[1], counter))
    assert client.post("/account/factors/app/activate/", {"code": code}).status_code == 302
    answer = knock("inzai", cast.PASSWORD)
    assert answer["Location"] == reverse("mfa_authenticate")
    again = answer.client.post(answer["Location"], {"code": code})
    assert again.status_code == 200  # the form once more, with a refusal
    assert answer.client.get("/account/").status_code == 302
    after = format_hotp_value(hotp_value(found[1], counter + 1))
    assert answer.client.post(answer["Location"], {"code": after}).status_code == 302
    assert answer.client.get("/account/").status_code == 200


def test_an_invited_address_signs_in_however_it_was_written() -> None:
    row = invitation_create(
        organisation=cast.people().inzai_dc,
        email="Hana@Example.JP",
        role=Role.OPERATOR_VIEWER,
        invited_by="user:1",
        address="https://market.example.jp/",
    )
    assert row.email == "hana@example.jp"
