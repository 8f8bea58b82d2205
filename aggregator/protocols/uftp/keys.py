"""Our own domain and key, and those that a participant's messages may be signed with."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from nacl.signing import SigningKey, VerifyKey

from accounts.audit.services import entry_append
from accounts.core.errors import BrokenInvariant, Refused
from aggregator.protocols.uftp.models import Participant, ParticipantKey
from aggregator.protocols.uftp.wire import InvalidKey, signing_key, verify_key

ROLE = "AGR"
OVERLAP = timedelta(days=7)
OVERLAP_MAX = timedelta(days=90)


def own_domain() -> str:
    """Return the domain that messages come from and go to here; empty if UFTP is not spoken."""
    domain: str = settings.UFTP_DOMAIN or ""
    return domain


def own_key() -> SigningKey:
    """Return the key that our messages are signed with.

    Raises
    ------
    BrokenInvariant
        If the deployment gives none, or none that is one.
    """
    return _own_key(settings.UFTP_PRIVATE_KEY or "", settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _own_key(text: str, secret: str) -> SigningKey:
    if text:
        try:
            return signing_key(text)
        except InvalidKey as error:
            raise BrokenInvariant(f"UFTP_PRIVATE_KEY is not {error}") from error
    if not settings.UFTP_KEY_IS_DERIVED:
        raise BrokenInvariant("UFTP_PRIVATE_KEY is not set")
    # one's own machine and the demo: a key that stays the same as long as the secret does
    seed = hashlib.blake2b(secret.encode(), digest_size=32, person=b"wattbit uftp").digest()
    return SigningKey(seed)


def own_public_key() -> str:
    """Return what participants verify our messages with, in base64."""
    return base64.b64encode(bytes(own_key().verify_key)).decode()


def keys_of(participant: Participant) -> list[VerifyKey]:
    """Return the keys that count now, the newest first."""
    rows = ParticipantKey.objects.filter(
        Q(valid_until__isnull=True) | Q(valid_until__gt=Now()),
        participant=participant,
        valid_from__lte=Now(),
    ).order_by("-valid_from", "-id")
    return [verify_key(row.public_key) for row in rows]


@transaction.atomic
def participant_key_rotate(
    *, participant: Participant, public_key: str, overlap: timedelta = OVERLAP
) -> ParticipantKey:
    """Take a participant's new key; the ones before count until the overlap is over.

    Raises
    ------
    Refused
        If it is no key of Ed25519, one of the participant's already, or the overlap is negative or
        longer than 90 days.
    """
    try:
        verify_key(public_key)
    except InvalidKey as error:
        raise Refused(field="public_key", value=public_key[:50], rule=str(error)) from error
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise Refused(field="overlap", value=str(overlap), rule="0 to 90 days")
    if ParticipantKey.objects.filter(participant=participant, public_key=public_key).exists():
        raise Refused(
            field="public_key", value=public_key[:50], rule="a key that was not used before"
        )
    before = ParticipantKey.objects.filter(participant=participant).filter(
        Q(valid_until__isnull=True) | Q(valid_until__gt=Now() + overlap)
    )
    if overlap:
        before.filter(valid_from__lt=Now() + overlap).update(valid_until=Now() + overlap)
    else:
        before.update(valid_until=F("valid_from") + timedelta(microseconds=1))
    key = ParticipantKey.objects.create(participant=participant, public_key=public_key)
    entry_append(
        action="uftp.participant.key_rotated",
        subject=participant,
        organisation_id=participant.organisation_id,
        detail={"key": public_key[:8], "overlap_h": round(overlap.total_seconds() / 3600)},
    )
    return key
