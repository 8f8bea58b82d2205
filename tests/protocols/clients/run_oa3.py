"""Run in python-oa3-client's own environment: what a site and business logic do with it."""

from __future__ import annotations

import json
import sys

from openadr3_client.bl import BlClient
from openadr3_client.ven import VenClient

config = json.loads(sys.stdin.read())


def body(response: object) -> object:
    assert response.status_code in (200, 201), response.text
    return response.json()


found: dict[str, object] = {}
with BlClient(url=config["url"], **config["business"]) as business:
    program = body(business.create_program({"programName": "by-oa3"}))
    event = body(
        business.create_event(
            {
                "programID": program["id"],
                "eventName": "by-oa3",
                "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [12.5]}]}],
            }
        )
    )
    with VenClient(url=config["url"], **config["site"]) as site:
        site.register("oa3-ven")
        site.register("oa3-ven")  # a second time finds the first
        found["vens"] = len(body(site.api.get_vens()))
        found["program"] = site.resolve_program_id("by-oa3") == program["id"]
        found["events"] = [row.event_name for row in site.poll_events("by-oa3")]
        found["notifiers"] = site.discover_notifiers()
        found["mqtt"] = site.vtn_supports_mqtt()
        report = {"eventID": event["id"], "clientName": "oa3", "resources": []}
        made = body(site.api.create_report(report))
        found["report"] = made["objectType"]
    found["reports"] = len(body(business.get_reports()))
    found["deleted"] = body(business.delete_program(program["id"]))["programName"]
sys.stdout.write(json.dumps(found))
