"""Callers at the doors: ``as_member(role, organisation)``, ``as_stranger``, ``anonymous``.

A member signs in by a real session; the client of a test sends JSON, and a fresh
``Idempotency-Key`` with each POST unless the test names one (``key=None`` sends none)::

    client = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    assert client.post("/api/v1/bids", {...}).status_code == 201
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from tests import cast_places

FRESH = "fresh"
AsMember = Callable[..., "DoorClient"]


class DoorClient(APIClient):
    """DRF's client with the manners of our doors: JSON, and a key on each POST."""

    default_format = "json"

    def post(self, path: str, data: Any = None, *, key: str | None = FRESH, **more: Any) -> Any:
        """POST under `key`: a fresh one, a given one, or None for none."""
        if key is not None:
            name = str(uuid.uuid4()) if key == FRESH else key
            more["headers"] = {"Idempotency-Key": name, **(more.get("headers") or {})}
        return super().post(path, data, **more)

    def request(self, **given: Any) -> Any:
        """Ask; a refusal that cannot say in Japanese what it is about fails the test."""
        answer = super().request(**given)
        is_door = str(given.get("PATH_INFO", "")).startswith("/api/v1/")
        if is_door and answer.headers.get("Content-Type") == "application/problem+json":
            body = json.loads(answer.content)
            for told in (body, *body.get("errors", ())):
                assert told.get("detail_ja"), told["detail"]
        return answer


@pytest.fixture
def as_member(db: None) -> AsMember:
    """Return a client signed in as a member: ``as_member(role, organisation or its code)``.

    A code of the cast (``inzai-dc``, ``shiroi-dc``, ``grid-t``, ``wattbit``, ``stranger``)
    makes the cast if need be. The person is ``client.person``.
    """

    def sign_in(role: str, organisation: Organisation | str) -> DoorClient:
        if isinstance(organisation, str):
            cast_places.people()
            organisation = Organisation.objects.get(code=organisation)
        client = DoorClient()
        client.person = cast_places.member(f"{role}-at-{organisation.code}", organisation, role)
        client.force_login(client.person)
        return client

    return sign_in


@pytest.fixture
def as_stranger(as_member: AsMember) -> DoorClient:
    """Return a trader of an organisation that has nothing to do with anybody's rows."""
    return as_member(Role.OPERATOR_TRADER, "stranger")


@pytest.fixture
def anonymous(db: None) -> DoorClient:
    """Return somebody who is not signed in."""
    return DoorClient()
