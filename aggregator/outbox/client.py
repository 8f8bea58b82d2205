"""The one HTTP client that leaves the platform. What it calls was named by strangers.

HTTPS only; every address the name resolves to must be public, and the connection goes to
the address that was checked, so that a name cannot answer differently the second time; no
redirects, no proxies from the environment; the whole exchange ends after five seconds, and
no more than 64 kB of the answer are read.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

CONNECT_S = 2.0
TOTAL_S = 5.0
BODY_S = 1.0
ANSWER_BYTES_MAX = 65_536
PORTS = (443, 8443)
URL_LENGTH_MAX = 2000
# hosts of DNS: what a resolver might read in yet another way is not passed to it
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9._])?")
_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# special by IANA's registries, whatever the interpreter's own lists know of them
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "2001::/23", "3fff::/20"),
    )
)
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class DestinationRefused(Exception):
    """The address may not be called at all; trying again would not help."""


class DeliveryFailed(Exception):
    """No usable answer this time."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What may be called; loosened by tests, and by deployments on networks of their own."""

    plain_http: bool = False
    private_addresses: bool = False


STRICT = Policy()


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A URL taken apart and found permissible, still by name."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status and the first 64 kB of an answer. The body is never shown to anybody."""

    status: int
    body: bytes


def policy_now() -> Policy:
    """Return what may be called here.

    A deployment on a network of its own may allow private addresses, by HTTPS all the same; test
    settings alone allow a server of this machine.
    """
    loose = bool(getattr(settings, "OUTBOX_CALLS_THIS_MACHINE", False))
    return Policy(plain_http=loose, private_addresses=loose or settings.OUTBOX_PRIVATE_ADDRESSES)


def destination_of(url: str, *, policy: Policy = STRICT) -> Destination:
    """Take a URL apart, refusing what may never be called, without asking anybody.

    Raises
    ------
    DestinationRefused
        On another scheme or port than HTTPS's, credentials, no host, or an address that is not
        public in whatever spelling: decimal, octal, hexadecimal, mapped.
    """
    if not (0 < len(url) <= URL_LENGTH_MAX and url.isascii() and url.isprintable()):
        raise DestinationRefused(f"a URL of at most {URL_LENGTH_MAX} ASCII characters")
    if {" ", "\\"} & set(url):
        raise DestinationRefused("a URL without spaces and backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DestinationRefused("not a URL") from error
    if parts.scheme != "https" and not (policy.plain_http and parts.scheme == "http"):
        raise DestinationRefused("only https is called")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise DestinationRefused("a host is needed, and no credentials")
    number = port if port is not None else (443 if parts.scheme == "https" else 80)
    if number not in PORTS and not policy.private_addresses:
        raise DestinationRefused(f"only ports {PORTS[0]} and {PORTS[1]} are called")
    _host_check(parts.hostname, policy)
    query = f"?{parts.query}" if parts.query else ""
    return Destination(
        scheme=parts.scheme, host=parts.hostname, port=number, path=(parts.path or "/") + query
    )


def is_public(address: IpAddress) -> bool:
    """Whether an address is public, also when it hides in a form of IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST or address.teredo is not None:
            return False
    if any(address in network for network in _SPECIAL if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _host_check(host: str, policy: Policy) -> None:
    literal: IpAddress | None = None
    if ":" in host:
        try:
            literal = ipaddress.IPv6Address(host)  # a zone (%eth0) makes it private anyway
        except ValueError as error:
            raise DestinationRefused("not an address") from error
    else:
        if _HOST.fullmatch(host) is None:
            raise DestinationRefused("a host name of letters, digits, dots and dashes")
        # every spelling that the C library takes for an IPv4 address: 0x7f000001, 017700000001, 1
        with contextlib.suppress(OSError):
            literal = ipaddress.IPv4Address(socket.inet_aton(host))
    if literal is not None and not policy.private_addresses and not is_public(literal):
        raise DestinationRefused("the address is not public")


def _resolved(destination: Destination, policy: Policy) -> IpAddress:
    """Ask for the name once, in a thread that is left behind if nobody answers."""
    found: list[Any] = []

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(
                socket.getaddrinfo(
                    destination.host,
                    destination.port,
                    type=socket.SOCK_STREAM,
                    proto=socket.IPPROTO_TCP,
                )
            )

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(CONNECT_S)
    if thread.is_alive() or not found:
        raise DeliveryFailed("the name does not resolve")
    addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    if not policy.private_addresses and not all(is_public(address) for address in addresses):
        raise DestinationRefused("the name leads to an address that is not public")
    return addresses[0]


@functools.lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Read the certificates that are trusted, once: it takes longer than most exchanges.

    ``SSL_CERT_FILE`` names those of a private network.
    """
    import httpx

    return httpx.create_ssl_context(trust_env=True)


def warm() -> None:
    """Load the client and the trusted certificates, which takes longer than most exchanges."""
    _trusted()


async def _asked(
    destination: Destination,
    address: IpAddress,
    content: bytes,
    headers: Mapping[str, str],
    method: str,
) -> Answer:
    import httpx

    host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
    named = destination.host if ":" not in destination.host else f"[{destination.host}]"
    limits = httpx.Timeout(TOTAL_S, connect=CONNECT_S)
    async with httpx.AsyncClient(
        timeout=limits, follow_redirects=False, trust_env=False, http2=False, verify=_trusted()
    ) as client:
        request = client.build_request(
            method,
            f"{destination.scheme}://{host}:{destination.port}{destination.path}",
            content=content,
            headers={**headers, "Host": f"{named}:{destination.port}"},
            # the certificate must be the name's, though the connection goes to the address
            extensions={"sni_hostname": destination.host},
        )
        response = await client.send(request, stream=True)
        body = bytearray()
        # the status has been said and counts, however long the rest would take
        with contextlib.suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(BODY_S):
                async for part in response.aiter_raw():
                    body += part[: ANSWER_BYTES_MAX - len(body)]
                    if len(body) >= ANSWER_BYTES_MAX:
                        break  # what it says beyond is of no interest
        await response.aclose()
        return Answer(status=response.status_code, body=bytes(body))


def exchange(
    url: str,
    *,
    content: bytes,
    headers: Mapping[str, str],
    policy: Policy = STRICT,
    method: str = "POST",
) -> Answer:
    """Send one request, a POST unless told otherwise, and return what was answered.

    Raises
    ------
    DestinationRefused
        If the address may not be called.
    DeliveryFailed
        If there is no answer within five seconds, or none that is HTTP.
    """
    import httpx

    destination = destination_of(url, policy=policy)
    address = _resolved(destination, policy)

    async def bounded() -> Answer:
        async with asyncio.timeout(TOTAL_S):
            return await _asked(destination, address, content, headers, method)

    try:
        return asyncio.run(bounded())
    except TimeoutError as error:
        raise DeliveryFailed(f"no answer within {TOTAL_S:.0f} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise DeliveryFailed(f"{type(error).__name__}: {error}"[:200]) from error


def post(url: str, *, content: bytes, headers: Mapping[str, str], policy: Policy = STRICT) -> int:
    """Send one POST and return the status of the answer; raises as :func:`exchange`."""
    return exchange(url, content=content, headers=headers, policy=policy).status
