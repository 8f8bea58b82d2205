"""Where a caller is, as far as our own proxies vouch for it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from django.conf import settings
from django.http import HttpRequest

UNKNOWN: Final = "0.0.0.0"  # noqa: S104 - behind a socket without a proxy's word nobody knows


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
