"""Our messages against the public OpenAPI description of OpenADR 3.1, where it is at hand."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft4Validator
from ruamel.yaml import YAML

from aggregator.protocols.openadr3 import mapping
from aggregator.protocols.openadr3.models import Event
from tests import cast
from tests.dispatching import Ven, instruction, jst, sent_day
from tests.shared_files import shared_directory

pytestmark = pytest.mark.django_db
LOAD = "inzai-dc-1-load"


def _nullable(node: Any) -> Any:
    """Say ``nullable`` of OpenAPI 3.0, else a dialect of JSON Schema 4, in the schema's words."""
    if isinstance(node, dict):
        read = {key: _nullable(value) for key, value in node.items()}
        if read.pop("nullable", False) and "type" in read:
            read["type"] = [read["type"], "null"]
        return read
    return [_nullable(item) for item in node] if isinstance(node, list) else node


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    data = shared_directory()
    path = data.parent / "spec" / "openadr3-3.1.0.yaml" if data else None
    if path is None or not path.is_file():
        pytest.skip("the OpenAPI description of OpenADR 3.1 is not at hand")
    read: dict[str, Any] = _nullable(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    return read


def _check(description: dict[str, Any], name: str, message: Any) -> None:
    schema = {
        "$ref": f"#/components/schemas/{name}",
        "components": description["components"],
    }
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft4Validator(schema).iter_errors(message)
    ]
    assert errors == []


def test_programs_and_events_are_as_the_standard_describes(description: dict[str, Any]) -> None:
    sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    programs, events = ven.get("programs").json(), ven.get("events").json()
    assert (len(programs), len(events)) == (3, 3)  # dispatch, metering, prices
    for program in programs:
        _check(description, "program", program)
    for event in events:
        _check(description, "event", event)


def test_requests_and_reports_of_our_client_are_as_the_standard_describes(
    description: dict[str, Any],
) -> None:
    from decimal import Decimal

    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    event_id = str(Event.objects.get(instruction=instruction(day, "inzai-defer")).id)
    common = {"event_id": event_id, "client_name": "v"}
    reports = [
        mapping.ack_report(**common, resource_name=LOAD),
        mapping.opt_out_report(**common, resource_name=LOAD, reason="ポンプ故障"),
        mapping.usage_report(**common, name="n", readings={LOAD: [(jst(1), Decimal("1.5"))]}),
    ]
    for report in reports:
        _check(description, "reportRequest", report)
    _check(description, "report", ven.post("reports", reports[0]).json())
    _check(description, "venRequest", {"objectType": "VEN_VEN_REQUEST", "venName": "x"})


def test_problems_and_tokens_are_as_the_standard_describes(description: dict[str, Any]) -> None:
    ven = Ven(cast.people().inzai_dc)
    _check(description, "problem", ven.get("events/none").json())
    _check(description, "authServerInfo", ven.http.get("/openadr3/3.1.0/auth/server").json())
    form = {
        "grant_type": "client_credentials",
        "client_id": ven.client.client_id,
        "client_secret": ven.client.secret,
    }
    answer = ven.http.post(
        "/openadr3/3.1.0/auth/token",
        "&".join(f"{key}={value}" for key, value in form.items()),
        content_type="application/x-www-form-urlencoded",
    )
    _check(description, "clientCredentialResponse", answer.json())
