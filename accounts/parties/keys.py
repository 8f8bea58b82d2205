"""Keys of machines: made, rotated with an overlap, taken back; only hashes of secrets are kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from oauth2_provider.models import AccessToken

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.core.text import is_plain
from accounts.fields.checking import instance_checked, text_checked
from accounts.parties.members import role_checked
from accounts.parties.models import ApiClient, Organisation

SECRET_BYTES_COUNT: Final = 32
CLIENT_ID_LENGTH_MAX: Final = 128
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
NAME_LENGTH_MAX: Final = 120
# the entries of the audit trail whose actor was shown a machine's secret
SECRET_SHOWN: Final = ("accounts.client.created", "accounts.client.rotated")
GRACE_S: Final = 24 * 3600
GRACE_MAX_S: Final = 7 * 24 * 3600


@transaction.atomic
def api_client_create(
    *,
    organisation: Organisation,
    client_id: str,
    scopes: Sequence[str] = (),
    role: str = "",
    name: str = "",
) -> tuple[ApiClient, str]:
    """Create a machine's key pair; the secret is returned once and stored only as a hash.

    Parameters
    ----------
    scopes
        What it may do in OpenADR.
    role
        What it may do in the API, by the table of roles; nothing if empty.
    name
        For people, in lists.

    Raises
    ------
    Refused
        If the role is unknown, the client's id is taken, or a text is too long.
    """
    instance_checked(organisation, Organisation, field="organisation")
    _role_checked(role, organisation)
    text_checked(client_id, field="client_id", length_max=CLIENT_ID_LENGTH_MAX)
    if CLIENT_ID.fullmatch(client_id) is None:  # HTTP Basic ends a name at its first colon
        raise Refused(field="client_id", value=client_id, rule="letters, digits and . _ ~ -")
    if name:
        text_checked(name, field="name", length_max=NAME_LENGTH_MAX)
    if ApiClient.objects.filter(client_id=client_id).exists():
        raise Refused(field="client_id", value=client_id, rule="already in use")
    secret = _secret()
    client = ApiClient.objects.create(
        organisation=organisation,
        client_id=client_id,
        name=name,
        client_secret=secret_hash(secret),
        scopes=list(scopes),
        role=role,
    )
    entry_append(
        action="accounts.client.created",
        subject=client,
        organisation_id=organisation.id,
        detail={"client_id": client_id, "scopes": list(scopes), "role": role},
    )
    return client, secret


@transaction.atomic
def api_client_rotate(*, client_id: UUID, grace_s: int = GRACE_S) -> tuple[ApiClient, str]:
    """Give a machine a new secret at once; the one before stays valid for `grace_s`.

    Tokens live on, but none longer than the secret it was given for. Without a grace, or if a
    third secret would become valid, all tokens end at once and are asked for anew.

    Raises
    ------
    Refused
        If the grace is not a whole number of seconds from 0 to a week.
    NotFound
        If there is no such client.
    """
    if type(grace_s) is not int or not 0 <= grace_s <= GRACE_MAX_S:
        raise Refused(field="grace_s", value=grace_s, rule=f"a number from 0 to {GRACE_MAX_S}")
    client = _locked(client_id)
    had_previous = bool(client.previous_secret)
    secret = _secret()
    client.previous_secret = client.client_secret if grace_s else ""
    client.client_secret = secret_hash(secret)
    ApiClient.objects.filter(pk=client.pk).update(
        client_secret=client.client_secret,
        secret_made_at=Now(),
        previous_secret=client.previous_secret,
        previous_until=Now() + timedelta(seconds=grace_s) if grace_s else None,
        version=F("version") + 1,
    )
    if had_previous or not grace_s:
        _tokens_end(client)
    return _told(client, "rotated", {"grace_s": grace_s}), secret


@transaction.atomic
def api_client_previous_revoke(*, client_id: UUID) -> ApiClient:
    """End the grace of the secret before now, and with it every token of the machine.

    Raises
    ------
    Refused
        If no earlier secret is valid.
    NotFound
        If there is no such client.
    """
    client = _locked(client_id)
    if not client.previous_secret:
        raise Refused(field="previous_until", value=None, rule="there is no earlier secret")
    ApiClient.objects.filter(pk=client.pk).update(
        previous_secret="", previous_until=None, version=F("version") + 1
    )
    _tokens_end(client)
    return _told(client, "previous_revoked", {})


@transaction.atomic
def api_client_change(
    *,
    client_id: UUID,
    name: str | None = None,
    role: str | None = None,
    is_active: bool | None = None,
) -> ApiClient:
    """Rename a machine, give it another role, or switch it off or on; None leaves as it is.

    What is switched off loses its tokens at once.

    Raises
    ------
    Refused
        If the role is unknown or the name too long.
    NotFound
        If there is no such client.
    """
    client = _locked(client_id)
    changes: dict[str, object] = {}
    if name is not None and name != client.name:
        changes["name"] = text_checked(name, field="name", length_max=NAME_LENGTH_MAX)
    if role is not None and role != client.role:
        _role_checked(role, client.organisation)
        changes["role"] = role
    if is_active is not None and is_active != client.is_active:
        changes["is_active"] = is_active
    if not changes:
        return client
    ApiClient.objects.filter(pk=client.pk).update(**changes, version=F("version") + 1)
    if is_active is False:
        _tokens_end(client)
    return _told(client, "changed", changes)


def api_client_authenticate(*, client_id: str, secret: str) -> ApiClient | None:
    """Return the active client whose secret this is, or None; takes equal time either way.

    ``client.admitted_until`` is the end of the secret presented, None for the present one.
    """
    if not is_plain(client_id) or len(client_id) > CLIENT_ID_LENGTH_MAX:
        return None
    rows = ApiClient.objects.select_related("organisation").annotate(read_at=Now())
    client: ApiClient | None = rows.filter(client_id=client_id).first()
    presented = secret_hash(secret)
    is_present = secrets.compare_digest(presented, client.client_secret if client else "-")
    is_previous = secrets.compare_digest(presented, client.previous_secret if client else "-")
    if client is None or not client.is_active:
        return None
    if is_present:
        client.admitted_until = None
        return client
    until: datetime | None = client.previous_until
    if not is_previous or until is None or until <= client.read_at:
        return None
    client.admitted_until = until
    return client


def api_client_hold(client: ApiClient) -> bool:
    """Keep a client as it was authenticated until the transaction ends, so as to give a token.

    Returns False if it changed meanwhile: who rotates or switches off waits for tokens that are
    being given out, and whoever asks after that finds the change.
    """
    held = ApiClient.objects.select_for_update(of=("self",), no_key=True).filter(
        pk=client.pk, version=client.version, is_active=True
    )
    return held.values_list("pk").first() is not None


def secret_hash(secret: str) -> str:
    """Hash a secret of our own making: 256 random bits need no slow hash, nobody guesses them."""
    return "sha256$" + hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES_COUNT)


def _role_checked(role: str, organisation: Organisation) -> None:
    if role != "":
        role_checked(role, organisation)


def _locked(client_id: UUID) -> ApiClient:
    rows = ApiClient.objects.select_for_update(of=("self",)).select_related("organisation")
    client: ApiClient | None = rows.filter(pk=client_id).first()
    if client is None:
        raise NotFound(field="client", value=str(client_id), rule="a client you can see")
    return client


def _tokens_end(client: ApiClient) -> None:
    """Forget every token of the machine; tokens of other protocols name the epoch."""
    AccessToken.objects.filter(application_id=client.pk).delete()
    ApiClient.objects.filter(pk=client.pk).update(token_epoch=F("token_epoch") + 1)


def _told(client: ApiClient, what: str, detail: dict[str, object]) -> ApiClient:
    client.refresh_from_db()
    entry_append(
        action=f"accounts.client.{what}",
        subject=client,
        organisation_id=client.organisation_id,
        detail={"client_id": client.client_id, **detail},
    )
    return client
