"""Where a caller is, as far as our own proxies vouch for it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from accounts.core.text import is_plain
from accounts.parties.models import User

UNKNOWN: Final = "0.0.0.0"  # noqa: S104 - behind a socket without a proxy's word nobody knows
# of IPv6 everybody has at least so much of a network to themselves
SUBSCRIBER_PREFIX_LENGTH: Final = 64
NAME_LENGTH_MAX: Final = 254


def client_address(request: HttpRequest) -> str:
    """Return who is at the other end, believing only what our own proxies wrote.

    Each of the ``TRUSTED_PROXIES_COUNT`` proxies adds the address it was called from to
    ``X-Forwarded-For``: the entry that the outermost of them added is the caller's, everything
    before it is hearsay.
    """
    told = request.META.get("REMOTE_ADDR", "")
    count = settings.TRUSTED_PROXIES_COUNT
    if count:
        names = [name.strip() for name in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(names) >= count:
            told = names[-count]
    try:
        return str(ip_address(told.strip("[]")))
    except ValueError:
        return UNKNOWN


def locked_address(request: HttpRequest) -> str:
    """Return what is locked out for a caller: the address, of IPv6 the subscriber's network.

    Who has one address of IPv6 has 2^64, and would be given five guesses from each.
    """
    address: IPv4Address | IPv6Address = ip_address(client_address(request).partition("%")[0])
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    host_bits = address.max_prefixlen - SUBSCRIBER_PREFIX_LENGTH
    return str(IPv6Address(int(address) >> host_bits << host_bits))


def locked_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return whose guesses are counted: the person's name, however it was written.

    Names and addresses sign in in upper and lower case alike; counted as written, each way of
    writing would give five more guesses. Who does not exist is counted in the same way.
    """
    given = credentials if credentials is not None else request.POST
    text = str(given.get("username") or given.get("email") or "").strip()[:NAME_LENGTH_MAX]
    if not is_plain(text):
        return text.casefold()
    rows = User.objects.filter(Q(username__iexact=text) | Q(email__iexact=text))
    found: str | None = rows.order_by("pk").values_list("username", flat=True).first()
    return found if found is not None and text else text.casefold()
