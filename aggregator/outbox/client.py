"""The one HTTP client that leaves the platform. What it calls was named by strangers.

HTTPS only; every address the name resolves to must be public, and the connection goes to
the address that was checked, so that a name cannot answer differently the second time; no
redirects, no proxies from the environment; the whole exchange ends after five seconds, and
no more than 64 kB of the answer are read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

CONNECT_S = 2.0
TOTAL_S = 5.0
ANSWER_BYTES_MAX = 65_536
PORTS = (443, 8443)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class DestinationRefused(Exception):
    """The address may not be called at all; trying again would not help."""


class DeliveryFailed(Exception):
    """No usable answer this time."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What may be called; tests alone loosen it, to reach a server of their own."""

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


def destination_of(url: str, *, policy: Policy = STRICT) -> Destination:
    """Take a URL apart, refusing what may never be called.

    Raises
    ------
    DestinationRefused
        On another scheme or port than HTTPS's, credentials, or no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DestinationRefused("not a URL") from error
    if parts.scheme != "https" and not (policy.plain_http and parts.scheme == "http"):
        raise DestinationRefused("only https is called")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise DestinationRefused("a host is needed, and no credentials")
    number = port or (443 if parts.scheme == "https" else 80)
    if number not in PORTS and not policy.private_addresses:
        raise DestinationRefused(f"only ports {PORTS[0]} and {PORTS[1]} are called")
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
    return address.is_global and not address.is_multicast


async def _address(destination: Destination, policy: Policy) -> IpAddress:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            destination.host, destination.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except (socket.gaierror, UnicodeError) as error:
        raise DeliveryFailed("the name does not resolve") from error
    addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    if not policy.private_addresses and not all(is_public(address) for address in addresses):
        raise DestinationRefused("the name leads to an address that is not public")
    return addresses[0]


async def _post(url: str, content: bytes, headers: Mapping[str, str], policy: Policy) -> int:
    destination = destination_of(url, policy=policy)
    address = await _address(destination, policy)
    host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
    named = destination.host if ":" not in destination.host else f"[{destination.host}]"
    limits = httpx.Timeout(TOTAL_S, connect=CONNECT_S)
    async with httpx.AsyncClient(
        timeout=limits, follow_redirects=False, trust_env=False, http2=False
    ) as client:
        request = client.build_request(
            "POST",
            f"{destination.scheme}://{host}:{destination.port}{destination.path}",
            content=content,
            headers={**headers, "Host": f"{named}:{destination.port}"},
            # the certificate must be the name's, though the connection goes to the address
            extensions={"sni_hostname": destination.host},
        )
        response = await client.send(request, stream=True)
        try:
            read_count = 0
            async for part in response.aiter_raw():
                read_count += len(part)
                if read_count > ANSWER_BYTES_MAX:
                    break  # what it says beyond is of no interest; its status counts
        finally:
            await response.aclose()
        return response.status_code


def post(url: str, *, content: bytes, headers: Mapping[str, str], policy: Policy = STRICT) -> int:
    """Send one POST and return the status of the answer.

    Raises
    ------
    DestinationRefused
        If the address may not be called.
    DeliveryFailed
        If there is no answer within five seconds, or none that is HTTP.
    """

    async def bounded() -> int:
        async with asyncio.timeout(TOTAL_S):
            return await _post(url, content, headers, policy)

    try:
        return asyncio.run(bounded())
    except TimeoutError as error:
        raise DeliveryFailed(f"no answer within {TOTAL_S:.0f} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise DeliveryFailed(f"{type(error).__name__}: {error}"[:200]) from error
