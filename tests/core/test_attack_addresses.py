"""Addresses that webhooks never go to, in whatever form; and those they do."""

from __future__ import annotations

import ipaddress

import pytest

from aggregator.outbox.client import is_public


@pytest.mark.parametrize(
    "address",
    [
        "192.0.0.8",  # for protocols, not for hosts
        "192.88.99.1",
        "198.18.0.1",
        "100.64.0.1",
        "255.255.255.255",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "::ffff:192.0.0.8",
        "64:ff9b::192.168.0.1",
        "64:ff9b:1::1",
        "2002:a00:1::",
        "fec0::1",
        "::127.0.0.1",
    ],
)
def test_what_is_no_public_host_is_not_called(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["192.0.1.1", "198.20.0.1", "2001:200::1", "2400:4050::1"])
def test_public_hosts_are_called(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
