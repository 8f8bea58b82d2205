"""Machines: a key gives a token, the token names its client; what is ended is refused at once."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import AccessToken

from accounts.core.errors import Refused
from accounts.parties.keys import (
    GRACE_MAX_S,
    api_client_change,
    api_client_create,
    api_client_previous_revoke,
    api_client_rotate,
)
from accounts.parties.models import ApiClient
from accounts.parties.roles import Role
from accounts.parties.selectors import client_of_token
from tests import cast

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
HOUR_S = 3_600


def made(role: str = Role.OPERATOR_TRADER) -> tuple[ApiClient, str]:
    return api_client_create(
        organisation=cast.people().inzai_dc, client_id="inzai-robot", role=role
    )


def ask(basic: tuple[str, str] | None = None, **form: str) -> Any:
    headers = {}
    if basic:
        text = ":".join(map(quote_plus, basic))
        headers["Authorization"] = "Basic " + base64.b64encode(text.encode()).decode()
    return Client().post(
        "/oauth/token",
        urlencode({"grant_type": "client_credentials", **form}),
        content_type=FORM,
        headers=headers,
    )


def token_of(client: ApiClient, secret: str) -> str:
    answer = ask(basic=(client.client_id, secret))
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def test_a_key_by_http_basic_gives_an_hour_s_token() -> None:
    client, secret = made()
    answer = ask(basic=(client.client_id, secret))
    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert set(body) == {"access_token", "expires_in", "token_type", "scope"}
    assert (body["expires_in"], body["token_type"], body["scope"]) == (HOUR_S, "Bearer", "api")
    found = client_of_token(body["access_token"])
    assert found == client
    assert found is not None
    assert found.organisation.code == "inzai-dc"


def test_a_key_by_form_gives_a_token_too_but_not_both_ways_at_once() -> None:
    client, secret = made()
    form = {"client_id": client.client_id, "client_secret": secret}
    assert ask(**form).status_code == 200
    assert ask(basic=(client.client_id, secret), **form).status_code == 401


def test_only_a_checksum_of_the_token_and_of_the_secret_is_kept() -> None:
    client, secret = made()
    text = token_of(client, secret)
    row = AccessToken.objects.get()
    assert row.token == ""
    assert row.token_checksum == hashlib.sha256(text.encode()).hexdigest()
    stored = ApiClient.objects.get().client_secret
    assert stored == "sha256$" + hashlib.sha256(secret.encode()).hexdigest()


def test_the_client_of_a_token_costs_one_query_with_its_organisation() -> None:
    text = token_of(*made())
    with CaptureQueriesContext(connection) as said:
        found = client_of_token(text)
        assert found is not None
        assert found.organisation.name
    assert len(said) == 1


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "username": "u", "password": "p"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "c"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "r"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"resource": "urn:no-host"}, "invalid_target"),
    ],
)
def test_every_other_wish_is_refused(form: dict[str, str], error: str) -> None:
    client, secret = made()
    answer = ask(basic=(client.client_id, secret), **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("inzai-robot", "wrong"), ("nobody", "wrong"), ("inzai-robot", ""), ("", ""),
        ("inzai-robot\x00", "wrong"), ("x" * 300, "wrong"), ("inzai-robot", "x" * 5_000),
        ("印西", "秘密"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_401_and_says_how_to_knock(client_id: str, secret: str) -> None:
    made()
    for answer in (
        ask(basic=(client_id, secret)), ask(client_id=client_id, client_secret=secret),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", ["Basic", "Basic ***", "Basic //8=", "Bearer x", "Digest x"])
def test_a_header_that_cannot_be_read_is_401(header: str) -> None:
    answer = Client().post(
        "/oauth/token",
        "grant_type=client_credentials",
        content_type=FORM,
        headers={"Authorization": header},
    )
    assert answer.status_code == 401


def test_other_bodies_and_methods_are_refused() -> None:
    client, secret = made()
    twice = urlencode(
        [("grant_type", "client_credentials"), ("client_id", client.client_id)]
        + [("client_secret", secret)] * 2
    )
    assert Client().post("/oauth/token", twice, content_type=FORM).status_code == 400
    assert Client().post("/oauth/token", {"grant_type": "x"}).status_code == 400  # multipart
    big = "grant_type=client_credentials&client_id=" + "x" * 9_000
    assert Client().post("/oauth/token", big, content_type=FORM).status_code == 400
    assert Client().get("/oauth/token").status_code == 405
    for other in ("authorize/", "revoke_token/", "introspect/", "applications/", "register/"):
        assert Client().get("/oauth/" + other).status_code == 404


def test_a_client_switched_off_is_refused_at_once_and_its_tokens_do_not_come_back() -> None:
    client, secret = made()
    text = token_of(client, secret)
    api_client_change(client_id=client.id, is_active=False)
    assert client_of_token(text) is None
    assert ask(basic=(client.client_id, secret)).status_code == 401
    api_client_change(client_id=client.id, is_active=True)
    assert client_of_token(text) is None
    assert client_of_token(token_of(client, secret)) == client


def test_a_client_switched_off_by_raw_sql_is_refused_too() -> None:
    client, secret = made()
    text = token_of(client, secret)
    ApiClient.objects.filter(pk=client.pk).update(is_active=False)
    assert client_of_token(text) is None


def test_an_expired_token_is_none() -> None:
    text = token_of(*made())
    AccessToken.objects.update(expires=Now())
    assert client_of_token(text) is None
    assert client_of_token("never given") is None


def test_while_a_rotation_lasts_both_secrets_are_valid() -> None:
    client, old = made()
    text = token_of(client, old)
    _, new = api_client_rotate(client_id=client.id, grace_s=600)
    assert new != old
    assert client_of_token(text) == client  # nobody is thrown out by a rotation with a grace
    assert ask(basic=(client.client_id, new)).json()["expires_in"] == HOUR_S
    answer = ask(basic=(client.client_id, old))
    assert answer.status_code == 200
    assert 590 <= answer.json()["expires_in"] <= 600  # no token outlives its secret
    ApiClient.objects.update(previous_until=Now() - timedelta(seconds=1))
    assert ask(basic=(client.client_id, old)).status_code == 401
    assert ask(basic=(client.client_id, new)).status_code == 200


def test_the_grace_is_a_day_unless_said_otherwise() -> None:
    client, _ = made()
    row, _ = api_client_rotate(client_id=client.id)
    assert row.previous_until is not None
    assert row.previous_until - row.secret_made_at == timedelta(hours=24)


def test_without_a_grace_the_old_key_and_its_tokens_end_at_once() -> None:
    client, old = made()
    text = token_of(client, old)
    _, new = api_client_rotate(client_id=client.id, grace_s=0)
    assert client_of_token(text) is None
    assert ask(basic=(client.client_id, old)).status_code == 401
    assert client_of_token(token_of(client, new)) == client


def test_the_old_key_can_be_revoked_before_its_grace_ends() -> None:
    client, old = made()
    api_client_rotate(client_id=client.id)
    text = token_of(client, old)
    api_client_previous_revoke(client_id=client.id)
    assert client_of_token(text) is None
    assert ask(basic=(client.client_id, old)).status_code == 401
    with pytest.raises(Refused):
        api_client_previous_revoke(client_id=client.id)


def test_of_three_secrets_the_oldest_ends_with_the_second_rotation() -> None:
    client, first = made()
    _, second = api_client_rotate(client_id=client.id)
    text = token_of(client, first)
    _, third = api_client_rotate(client_id=client.id)
    assert client_of_token(text) is None
    statuses = [ask(basic=(client.client_id, s)).status_code for s in (first, second, third)]
    assert statuses == [401, 200, 200]


@pytest.mark.parametrize("grace_s", [-1, GRACE_MAX_S + 1, True, 1.5, "60", None])
def test_a_grace_that_cannot_be_is_refused(grace_s: Any) -> None:
    client, old = made()
    with pytest.raises(Refused) as refused:
        api_client_rotate(client_id=client.id, grace_s=grace_s)
    assert refused.value.field == "grace_s"
    assert ask(basic=(client.client_id, old)).status_code == 200


def test_the_database_refuses_an_old_secret_without_end() -> None:
    client, _ = made()
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiClient.objects.filter(pk=client.pk).update(previous_secret="sha256$x")


def test_a_token_is_not_given_for_a_key_that_ended_while_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, secret = made()
    from aggregator.api import oauth

    admit = oauth.api_client_authenticate

    def admit_then_rotate(**key: str) -> ApiClient | None:
        found = admit(**key)
        api_client_rotate(client_id=client.id, grace_s=0)
        return found

    monkeypatch.setattr(oauth, "api_client_authenticate", admit_then_rotate)
    assert ask(basic=(client.client_id, secret)).status_code == 401
    assert not AccessToken.objects.exists()
