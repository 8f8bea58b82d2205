"""Access tokens: signed, for an hour, worth no more than the client's present rights.

A token names the client's epoch, which ends with a secret that is taken back, and the end of the
secret it was given for, if that one is being rotated out: no token outlives its secret.
"""

import time
from dataclasses import dataclass, replace
from uuid import UUID

from django.core import signing

from accounts.parties.models import ApiClient
from aggregator.protocols.openadr3.selectors import Caller, caller_read

# Real seconds: a token guards a door of this machine, whatever the market's clock says.
LIFETIME_S = 3_600
FOREVER_S = 2**40
SALT = "aggregator.protocols.openadr3.token"

VEN_SCOPES = frozenset(
    {"read_targets", "read_ven_objects", "write_reports", "write_vens", "write_subscriptions"}
)
BUSINESS_SCOPES = frozenset(
    {"read_all", "read_bl", "write_programs", "write_events", "write_vens", "write_subscriptions"}
)
# OpenADR 3.0 has one scope to read by; for a site it is worth its two of 3.1, and no more
READS_OF_SITES = frozenset({"read_targets", "read_ven_objects"})


@dataclass(frozen=True, kw_only=True)
class Token:
    """An access token and what it allows."""

    text: str
    scopes: tuple[str, ...]
    lifetime_s: int


def scopes_of(client: ApiClient, *, kind: str = "") -> frozenset[str]:
    """Return the scopes a client may have; those of the other side of the trade count nothing."""
    caller = Caller(client=client, scopes=frozenset(), kind=kind)
    known = frozenset(client.scopes)
    if caller.is_business:
        return known & BUSINESS_SCOPES
    # A site that was given read_all has the word for its own objects, as in 3.0.
    return known & (VEN_SCOPES | {"read_all"})


def token_issue(*, client: ApiClient, asked: frozenset[str]) -> Token:
    """Return a token for the scopes asked, or for all the client has if none is."""
    scopes = tuple(sorted(asked or scopes_of(client)))
    content = {"c": str(client.id), "s": list(scopes), "e": client.token_epoch}
    lifetime_s = LIFETIME_S
    if client.admitted_until is not None:
        end_s = int(client.admitted_until.timestamp())
        lifetime_s = max(0, min(LIFETIME_S, end_s - int(time.time())))
        content["u"] = end_s
    text = signing.dumps(content, salt=SALT, compress=False)
    return Token(text=text, scopes=scopes, lifetime_s=lifetime_s)


def scopes_allowed(*, client: ApiClient, asked: frozenset[str]) -> bool:
    """Whether the client may have all these scopes."""
    return asked <= _meant_by(scopes_of(client))


def _meant_by(scopes: frozenset[str]) -> frozenset[str]:
    return scopes | {"read_all"} if scopes >= READS_OF_SITES else scopes


def caller_of(text: str) -> Caller | None:
    """Return who presents the token, or None if it is forged, expired or its client inactive.

    Rights taken from the client count at once: the token's scopes are met with its present
    ones.
    """
    try:
        content = signing.loads(text, salt=SALT, max_age=LIFETIME_S)
        client_id = UUID(content["c"])
        scopes = frozenset(content["s"])
        epoch = int(content.get("e", 0))
        is_over = time.time() >= int(content.get("u", FOREVER_S))
    except (signing.BadSignature, ValueError, KeyError, TypeError):
        return None
    found = None if is_over else caller_read(client_id)
    if found is None:
        return None
    caller, epoch_now, is_active = found
    if not is_active or epoch != epoch_now:
        return None
    allowed = _meant_by(scopes_of(caller.client, kind=caller.kind))
    return replace(caller, scopes=scopes & allowed)
