"""Clients of the OpenADR doors in tests: sites, and business logic of a grid operator."""

from __future__ import annotations

import json
from typing import Any

from accounts.parties.models import Organisation
from tests.dispatching import BASE, VEN_SCOPES, Ven

BL_SCOPES = ("read_all", "write_programs", "write_events", "write_vens", "write_subscriptions")
SITE_SCOPES = (*VEN_SCOPES, "write_subscriptions")
BASE_3_0 = "/openadr3/3.0.1"


class Machine(Ven):
    """A client that writes by every method, in either version."""

    base = BASE

    def __init__(
        self, organisation: Organisation, *, scopes: tuple[str, ...] = SITE_SCOPES, base: str = BASE
    ) -> None:
        super().__init__(organisation, scopes=scopes)
        self.base = base

    def get(self, path: str, query: Any = None, **headers: str) -> Any:
        return self.http.get(f"{self.base}/{path}", query, headers=self.headers | headers)

    def post(self, path: str, body: Any) -> Any:
        return self._said("post", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self._said("put", path, body)

    def delete(self, path: str) -> Any:
        return self.http.delete(f"{self.base}/{path}", headers=self.headers)

    def made(self, path: str, body: Any) -> Any:
        answer = self.post(path, body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def program(self, name: str, **more: Any) -> Any:
        return self.made("programs", {"programName": name, **more})

    def event(self, program: Any, **more: Any) -> Any:
        return self.made("events", {"programID": program["id"], **more})

    def _said(self, method: str, path: str, body: Any) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body)
        send = getattr(self.http, method)
        return send(
            f"{self.base}/{path}", content, content_type="application/json", headers=self.headers
        )


def business(organisation: Organisation, *, base: str = BASE) -> Machine:
    """Return business logic of an organisation."""
    return Machine(organisation, scopes=BL_SCOPES, base=base)
