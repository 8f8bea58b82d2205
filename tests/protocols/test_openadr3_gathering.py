"""Reports that come at once are written together, each with its own answer; all or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aggregator.messages.models import ProtocolMessage
from aggregator.metering.models import IntervalReading
from aggregator.protocols.openadr3 import gathering, wire
from aggregator.protocols.openadr3.models import Event, Report
from aggregator.protocols.openadr3.selectors import caller_read
from aggregator.protocols.openadr3.writing import Sent
from tests import cast
from tests.dispatching import meters, sent_day, usage_report
from tests.protocols.openadr import Machine, business

pytestmark = pytest.mark.django_db
LOAD, BATTERY, SHIROI = "inzai-dc-1-load", "inzai-dc-1-battery", "shiroi-dc-1-load"


def _item(machine: Machine, body: dict[str, Any]) -> Any:
    found = caller_read(machine.client.id)
    assert found is not None
    return gathering._ready(
        found[0], wire.read_report(body), Sent(body=body), json.dumps(body).encode(), "3.1.0"
    )


def _sites() -> tuple[Event, Machine, Machine]:
    meters(sent_day())
    people = cast.people()
    metering = Event.objects.get(key="metering-2026-11-25")
    inzai = Machine(people.inzai_dc).enrol(LOAD, BATTERY)
    return metering, inzai, Machine(people.shiroi_dc).enrol(SHIROI)


def test_a_go_writes_all_with_each_ones_own_source_message_and_answer() -> None:
    metering, inzai, shiroi = _sites()
    bodies = [
        (inzai, usage_report(metering, 1.5, 2, name=LOAD)),
        (inzai, usage_report(metering, -3, name=BATTERY)),
        (shiroi, usage_report(metering, 4, name=SHIROI)),
    ]
    items = [_item(machine, body) for machine, body in bodies]
    before = ProtocolMessage.objects.count()
    texts = gathering._written(items)
    for text, item, (machine, body) in zip(texts, items, bodies, strict=True):
        told = json.loads(text or "")
        assert told["id"] == str(item.id)
        assert told["clientID"] == machine.client.client_id
        assert machine.get(f"reports/{item.id}").json() == told
        assert {name: told[name] for name in body} == body
        logged = ProtocolMessage.objects.get(message_id=str(item.id))
        assert json.loads(logged.content) == body
    assert ProtocolMessage.objects.count() == before + 3
    read = IntervalReading.objects.order_by("energy_kwh").values_list("energy_kwh", "source")
    sources = [f"openadr3:{machine.client.client_id}" for machine in (inzai, inzai, inzai, shiroi)]
    assert [(float(kwh), source) for kwh, source in read] == list(
        zip([-3.0, 1.5, 2.0, 4.0], sources, strict=True)
    )


def test_one_wrong_reading_undoes_the_go_and_costs_only_its_own_report() -> None:
    metering, inzai, shiroi = _sites()
    good = usage_report(metering, 1, name=LOAD)
    wrong = usage_report(metering, 1e8, name=SHIROI)  # more than its site can carry
    items = [_item(inzai, good), _item(shiroi, wrong)]
    with pytest.raises(Exception, match="plausible"):
        gathering._written(items)
    assert (Report.objects.count(), IntervalReading.objects.count()) == (0, 0)
    assert shiroi.post("reports", wrong).status_code == 400
    assert inzai.post("reports", good).status_code == 201
    assert (Report.objects.count(), IntervalReading.objects.count()) == (1, 1)


def test_what_might_disturb_others_goes_alone() -> None:
    metering, inzai, _ = _sites()
    good = usage_report(metering, 1, name=LOAD)
    assert _item(inzai, good) is not None
    rival = usage_report(metering, 1, name=SHIROI)
    assert _item(inzai, rival) is None
    answer = usage_report(metering, 1, name=LOAD)
    answer["resources"][0]["intervals"][0]["payloads"] = [{"type": "ACK", "values": [True]}]
    assert _item(inzai, answer) is None
    fine = usage_report(metering, 1, name=LOAD)
    fine["resources"][0]["intervalPeriod"]["duration"] = "PT5M"
    assert _item(inzai, fine) is None
    tso = business(cast.people().grid_t)
    other = usage_report(metering, 1, name=LOAD) | {"eventID": tso.event(tso.program("p"))["id"]}
    assert _item(inzai, other) is None
