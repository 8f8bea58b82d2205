"""People sign in: password, second factor, passkey; few guesses; sessions that end."""

from __future__ import annotations

import hashlib
import json
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from axes.models import AccessAttempt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.db.models.functions import Now
from django.test import Client, override_settings
from django.urls import reverse
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticatorData

from accounts.audit.models import AuditEntry
from accounts.parties.invitations import invitation_create, invitation_link
from accounts.parties.models import User
from accounts.parties.roles import Role
from tests import cast

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
PERIOD_S = 30


@pytest.fixture
def owner() -> User:
    user = cast.people().owner
    user.email = "inzai@example.jp"
    user.save(update_fields=["email"])
    return user


def browser(address: str = "192.0.2.1") -> Client:
    return Client(headers={"accept-language": "ja", "user-agent": FIREFOX}, REMOTE_ADDR=address)


def sign_in(client: Client, name: str = "inzai", password: str = cast.PASSWORD) -> Any:
    return client.post("/login/", {"username": name, "password": password})


def is_in(client: Client) -> bool:
    return bool(client.get("/account/").status_code == 200)


def confirmed(client: Client, path: str) -> Any:
    """GET a page that asks for the password once more."""
    answer = client.get(path)
    if answer.status_code == 302 and "/account/again/" in answer["Location"]:
        answer = client.post(answer["Location"], {"password": cast.PASSWORD}, follow=True)
    return answer


def code(secret: str, *, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD_S + steps))


def with_app(client: Client) -> str:
    """Set up an authenticator app; return its secret."""
    page = confirmed(client, "/account/factors/app/activate/")
    found = re.search(r'id="authenticator_secret" value="([A-Z2-7]+)"', page.content.decode())
    assert found is not None, page.content.decode()
    done = client.post("/account/factors/app/activate/", {"code": code(found[1], steps=-1)})
    assert done.status_code == 302, done.content.decode()
    return found[1]


@pytest.mark.parametrize("name", ["inzai", "inzai@example.jp", "INZAI@example.jp", " inzai "])
def test_a_name_or_an_address_and_the_password_sign_in(owner: User, name: str) -> None:
    client = browser()
    answer = sign_in(client, name)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_in(client)


def test_nobody_signs_up(db: None) -> None:
    for path in ("/signup/", "/accounts/signup/", "/account/signup/", "/account/email/"):
        assert browser().get(path).status_code == 404


def test_five_wrong_passwords_lock_a_name_from_an_address_for_15_minutes(owner: User) -> None:
    client = browser()
    statuses = [sign_in(client, password=f"wrong-{n}").status_code for n in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    refused = sign_in(client)  # the right one comes too late
    assert (refused.status_code, refused["Retry-After"]) == (429, "900")
    assert "15分間" in refused.content.decode()
    assert not is_in(client)
    # another address and another name are not locked
    assert sign_in(browser("192.0.2.2")).status_code == 302
    assert sign_in(client, "shiroi").status_code == 302
    AccessAttempt.objects.update(attempt_time=Now() - timedelta(minutes=15, seconds=1))
    assert sign_in(browser()).status_code == 302


def test_a_name_that_does_not_exist_is_locked_in_the_same_words(db: None) -> None:
    client = browser()
    answers = [sign_in(client, "nobody", f"wrong-{n}") for n in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]


@override_settings(TRUSTED_PROXIES_COUNT=1)
def test_behind_a_proxy_the_address_it_wrote_is_locked_not_what_the_caller_claims(
    owner: User,
) -> None:
    def knock(claim: str, seen: str, password: str) -> int:
        client = browser("10.0.0.1")
        told = {"x-forwarded-for": f"{claim}, {seen}"}
        given = {"username": "inzai", "password": password}
        return int(client.post("/login/", given, headers=told).status_code)

    statuses = [knock(f"203.0.113.{n}", "198.51.100.7", "wrong") for n in range(5)]
    assert statuses[-1] == 429
    assert knock("203.0.113.99", "198.51.100.7", cast.PASSWORD) == 429
    assert knock("203.0.113.99", "198.51.100.8", cast.PASSWORD) == 302


def test_an_app_s_code_is_asked_for_and_each_is_good_once(owner: User) -> None:
    secret = _app_of(owner)
    client = browser()
    answer = sign_in(client)
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(client)
    now = code(secret)
    page = client.get(answer["Location"])
    assert page.status_code == 200
    assert "確認コード" in page.content.decode()
    assert client.post(answer["Location"], {"code": now}).status_code == 302
    assert is_in(client)
    again = browser()
    sign_in(again)
    assert again.post(answer["Location"], {"code": now}).status_code == 200
    assert not is_in(again)


def _app_of(owner: User) -> str:
    client = browser()
    sign_in(client, owner.username)
    return with_app(client)


def test_the_app_s_secret_rests_encrypted(owner: User) -> None:
    secret = _app_of(owner)
    row = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    assert secret not in json.dumps(row.data)


def test_five_wrong_codes_stop_all_codes_for_a_while_from_wherever(owner: User) -> None:
    secret = _app_of(owner)
    for number in range(5):
        client = browser(f"192.0.2.{10 + number}")
        where = sign_in(client)["Location"]
        assert client.post(where, {"code": "000000"}).status_code == 200
    client = browser("192.0.2.99")
    where = sign_in(client)["Location"]
    assert client.post(where, {"code": code(secret)}).status_code == 200
    assert not is_in(client)
    for row in Authenticator.objects.all():
        row.data["failed_at"] = [at - 901 for at in row.data.get("failed_at", ())]
        row.save()
    assert client.post(where, {"code": code(secret)}).status_code == 302


def test_a_recovery_code_replaces_the_app_once(owner: User) -> None:
    _app_of(owner)
    paper = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES)
    one = paper.wrap().get_unused_codes()[0]
    client = browser()
    where = sign_in(client)["Location"]
    assert client.post(where, {"code": one}).status_code == 302
    assert is_in(client)
    again = browser()
    sign_in(again)
    assert again.post(where, {"code": one}).status_code == 200
    assert not is_in(again)


def test_sign_ins_factors_passwords_and_locks_are_in_the_audit_trail(owner: User) -> None:
    _app_of(owner)
    # told after the commit, which a test's transaction never reaches
    factor = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    authenticator_added.send(Authenticator, request=None, user=owner, authenticator=factor)
    new = "kaki-ume-sakura-matsu"
    client = browser()
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    given = {"oldpassword": cast.PASSWORD, "password1": new, "password2": new}
    client.post("/account/password/", given)
    for number in range(5):
        sign_in(browser("192.0.2.7"), "nobody", f"wrong-{number}")
    told = AuditEntry.objects.filter(action__startswith="accounts.person.").order_by("pk")
    assert [entry.action.rsplit(".")[-1] for entry in told] == [
        "signed_in",
        "factor_added",
        "password_changed",
        "locked_out",
    ]
    assert told[0].detail == {"address": "192.0.2.1"}
    assert told.last().detail == {"name": "nobody", "address": "192.0.2.7"}  # type: ignore[union-attr]
    assert new not in str(list(told.values()))


def test_people_sign_in_while_redis_is_gone(owner: User) -> None:
    secret = _app_of(owner)
    gone = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
    with override_settings(CACHES={"default": {**gone, "LOCATION": "redis://127.0.0.1:1/0"}}):
        client = browser()
        assert sign_in(client, password="wrong").status_code == 200
        where = sign_in(client)["Location"]
        assert client.post(where, {"code": "000000"}).status_code == 200
        assert client.post(where, {"code": code(secret)}).status_code == 302
        assert is_in(client)


def test_an_app_s_secret_outlives_a_change_of_the_secret_key(owner: User) -> None:
    from django.conf import settings

    secret = _app_of(owner)
    with override_settings(SECRET_KEY="k" * 60, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        client = browser()
        where = sign_in(client)["Location"]
        assert client.post(where, {"code": code(secret)}).status_code == 302


class Key:
    """A security key in software: one ES256 credential."""

    def __init__(self, host: str = "localhost") -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.id = hashlib.sha256(b"credential").digest()
        self.host, self.count = host, 0

    def _client_data(self, kind: str, challenge: str) -> bytes:
        origin = f"https://{self.host}"
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin}).encode()

    def _data(self, *, new: bool = False) -> AuthenticatorData:
        flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV
        self.count += 1
        hashed = hashlib.sha256(self.host.encode()).digest()
        if not new:
            return AuthenticatorData.create(hashed, flags, self.count)
        public = ES256.from_cryptography_key(self.private.public_key())
        made = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        flags |= AuthenticatorData.FLAG.AT
        return AuthenticatorData.create(hashed, flags, self.count, made)

    def make(self, options: dict[str, Any]) -> str:
        from fido2.webauthn import AttestationObject

        said = self._client_data("webauthn.create", options["publicKey"]["challenge"])
        attested = AttestationObject.create("none", self._data(new=True), {})
        return json.dumps(
            {
                "id": websafe_encode(self.id),
                "rawId": websafe_encode(self.id),
                "type": "public-key",
                "response": {
                    "clientDataJSON": websafe_encode(said),
                    "attestationObject": websafe_encode(bytes(attested)),
                },
                "clientExtensionResults": {"credProps": {"rk": True}},
            }
        )

    def sign(self, options: dict[str, Any], user: User) -> str:
        said = self._client_data("webauthn.get", options["publicKey"]["challenge"])
        data = bytes(self._data())
        signed = self.private.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return json.dumps(
            {
                "id": websafe_encode(self.id),
                "rawId": websafe_encode(self.id),
                "type": "public-key",
                "response": {
                    "clientDataJSON": websafe_encode(said),
                    "authenticatorData": websafe_encode(data),
                    "signature": websafe_encode(signed),
                    "userHandle": websafe_encode(user_pk_to_url_str(user).encode()),
                },
                "clientExtensionResults": {},
            }
        )


def options_in(page: Any, name: str) -> dict[str, Any]:
    found = re.search(
        r'<script id="js_data" type="application/json">(.*?)</script>', page.content.decode()
    )
    assert found is not None
    return dict(json.loads(found[1])[name])


def with_key(owner: User) -> Key:
    client = Client(SERVER_NAME="localhost", headers={"accept-language": "ja"})
    sign_in(client)
    page = confirmed(client, "/account/factors/key/add/")
    key = Key()
    given = {"name": "鍵", "passwordless": "on", "credential": key.make(
        options_in(page, "creation_options"))}  # fmt: skip
    done = client.post("/account/factors/key/add/", given)
    assert done.status_code == 302, done.content.decode()
    assert Authenticator.objects.filter(user=owner, type="webauthn").count() == 1
    return key


def test_a_passkey_signs_in_without_a_password(owner: User) -> None:
    key = with_key(owner)
    client = Client(SERVER_NAME="localhost")
    asked = client.get("/account/factors/key/login/", headers={"accept": "application/json"}).json()
    given = {"credential": key.sign(asked["request_options"], owner)}
    assert client.post("/account/factors/key/login/", given).status_code == 302
    assert is_in(client)
    # the same answer to a question that was never asked again
    other = Client(SERVER_NAME="localhost")
    other.post("/account/factors/key/login/", given)
    assert not is_in(other)


def test_a_security_key_is_the_second_factor_after_a_password(owner: User) -> None:
    key = with_key(owner)
    client = Client(SERVER_NAME="localhost")
    where = sign_in(client)["Location"]
    page = client.get(where)
    options = options_in(page, "request_options")
    stranger = Key()
    bad = client.post(where, {"credential": stranger.sign(options, owner)})
    assert bad.status_code == 200
    assert not is_in(client)
    options = options_in(client.get(where), "request_options")
    assert client.post(where, {"credential": key.sign(options, owner)}).status_code == 302
    assert is_in(client)


def test_a_key_made_for_another_host_opens_nothing(owner: User) -> None:
    key = with_key(owner)
    key.host = "evil.example"
    client = Client(SERVER_NAME="localhost")
    where = sign_in(client)["Location"]
    options = options_in(client.get(where), "request_options")
    assert client.post(where, {"credential": key.sign(options, owner)}).status_code == 200
    assert not is_in(client)


def test_sessions_are_listed_with_device_and_address_and_ended_one_by_one(owner: User) -> None:
    here, there = browser("192.0.2.1"), browser("192.0.2.2")
    sign_in(here)
    sign_in(there)
    page = here.get("/account/").content.decode()
    assert page.count("Firefox · Windows") == 2
    assert "192.0.2.2" in page
    assert "この端末" in page
    (action,) = set(re.findall(r'action="(/account/sessions/\d+/end/)"', page))
    stranger = browser("192.0.2.3")
    sign_in(stranger, "shiroi")
    stranger.post(action)  # somebody else's: nothing happens
    assert is_in(there)
    here.post(action)
    assert not is_in(there)
    assert is_in(here)


def test_a_new_password_ends_all_other_sessions(owner: User) -> None:
    here, there = browser(), browser("192.0.2.2")
    sign_in(here)
    sign_in(there)
    new = "kaki-ume-sakura-matsu"
    given = {"oldpassword": cast.PASSWORD, "password1": new, "password2": new}
    assert here.post("/account/password/", given).status_code == 302
    assert is_in(here)
    assert not is_in(there)
    assert sign_in(browser("192.0.2.3")).status_code == 200
    assert sign_in(browser("192.0.2.3"), password=new).status_code == 302
    assert [letter.to for letter in mail.outbox] == [["inzai@example.jp"]]


def test_a_forgotten_password_is_replaced_by_mail_and_does_not_skip_the_second_factor(
    owner: User,
) -> None:
    _app_of(owner)
    mail.outbox.clear()
    client = browser()
    assert client.post("/account/password/reset/", {"email": owner.email}).status_code == 302
    (letter,) = mail.outbox
    found = re.search(r"https?://[^/]+(/account/password/reset/\S+)", letter.body)
    assert found is not None, letter.body
    form = client.get(found[1], follow=True)
    new = "kaki-ume-sakura-matsu"
    here = form.redirect_chain[-1][0]
    assert client.post(here, {"password1": new, "password2": new}).status_code == 302
    assert sign_in(browser(), password=new)["Location"] == reverse("mfa_authenticate")
    assert not is_in(client)


def test_an_unknown_address_is_answered_like_a_known_one(owner: User) -> None:
    known = browser().post("/account/password/reset/", {"email": owner.email})
    unknown = browser().post("/account/password/reset/", {"email": "nobody@example.jp"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


def test_who_needs_a_second_factor_is_led_to_it_and_may_nothing_before(owner: User) -> None:
    with override_settings(SECOND_FACTOR_ROLES=frozenset({Role.OPERATOR_TRADER})):
        client = browser()
        assert sign_in(client)["Location"] == "/account/factors/"
        assert client.get("/statements/").status_code == 403
        assert client.get("/api/v1/me").json()["lacks_second_factor"] is True
        with_app(client)
        assert client.get("/statements/").status_code == 200


def test_staff_enter_the_admin_by_the_same_door_and_with_a_second_factor(db: None) -> None:
    root = User.objects.create_superuser("root", password=cast.PASSWORD)
    anybody = browser()
    led = anybody.get("/admin/", follow=True)
    assert led.redirect_chain[-1][0].startswith("/login/?next=")
    client = browser()
    sign_in(client, "root")
    assert client.get("/admin/").status_code == 200
    with override_settings(SECOND_FACTOR_ROLES=frozenset({Role.MARKET_DESK})):
        assert client.get("/admin/")["Location"] == "/account/factors/"
        Authenticator.objects.create(user=root, type=Authenticator.Type.TOTP, data={})
        assert client.get("/admin/").status_code == 200


def test_an_invitation_is_accepted_on_its_page_and_signs_in_afterwards(db: None) -> None:
    row = invitation_create(
        organisation=cast.people().inzai_dc,
        email="hana@example.jp",
        role=Role.OPERATOR_TRADER,
        invited_by="user:1",
        address="https://market.example.jp/",
    )
    here = f"/invitations/{invitation_link(row)}/"
    client = browser()
    page = client.get(here)
    assert (page.status_code, page["Referrer-Policy"]) == (200, "no-referrer")
    assert "hana@example.jp" in page.content.decode()
    new = "kaki-ume-sakura-matsu"
    given = {"username": "hana", "display_name": "花", "password": new, "again": new}
    assert client.post(here, {**given, "again": "other"}).status_code == 200
    assert client.post(here, {**given, "username": "INZAI"}).status_code == 200
    assert client.post(here, given)["Location"] == "/login/"
    assert sign_in(client, "hana", new)["Location"] == "/"
    assert client.get(here).status_code == 410
    assert browser().get("/invitations/nonsense/").status_code == 410


PAGES = (
    "/login/", "/account/password/reset/", "/account/password/reset/sent/",
    "/account/password/reset/done/", "/account/inactive/",
)  # fmt: skip
OWN_PAGES = (
    "/account/", "/account/password/", "/account/factors/", "/account/factors/app/activate/",
    "/account/factors/key/", "/account/factors/key/add/",
)  # fmt: skip


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_has_our_frame_and_runs_nothing_inline(owner: User, language: str) -> None:
    client = Client(headers={"accept-language": language})
    shown = {path: client.get(path) for path in PAGES}
    sign_in(client)
    confirmed(client, "/account/factors/app/activate/")
    shown |= {path: client.get(path, follow=True) for path in OWN_PAGES}
    for path, page in shown.items():
        text = page.content.decode()
        assert page.status_code == 200, path
        assert f'<html lang="{language}"' in text, path
        assert 'class="topbar"' in text, path
        assert "script-src 'self'" in page["Content-Security-Policy"], path
        for tag in re.findall(r"<script[^>]*>", text):
            assert "src=" in tag or 'type="application/json"' in tag, (path, tag)
        assert not re.search(r'\s(style|on[a-z]+)="', text), path
        if language == "en":
            body = text[text.index("<main") :]
            assert not re.search(r"[ぁ-んァ-ヶ一-龠]", body.replace("日本語", "")), (path, body)
