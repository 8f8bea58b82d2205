"""Run in openadr3-client's own environment: what business logic and a site do with it, in 3.1.

Its look at notifiers is left out: it wants MQTT there, which the standard leaves open.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime, timedelta

# tokens are fetched from a server on this machine
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

from openadr3_client.bl.http_factory import BusinessLogicHttpClientFactory
from openadr3_client.oadr310._vtn.interfaces.filters import PaginationFilter, TargetFilter
from openadr3_client.oadr310.models.event.event import EventUpdate, Interval, NewEvent
from openadr3_client.oadr310.models.event.event_payload import (
    EventPayload,
    EventPayloadDescriptor,
    EventPayloadType,
)
from openadr3_client.oadr310.models.program.program import IntervalPeriod, NewProgram
from openadr3_client.oadr310.models.report.report import NewReport, ReportResource
from openadr3_client.oadr310.models.report.report_payload import (
    ReportDescriptor,
    ReportPayload,
    ReportPayloadType,
)
from openadr3_client.oadr310.models.resource.resource import NewResourceVenRequest
from openadr3_client.oadr310.models.subscriptions.subscription import (
    NewSubscription,
    Object,
    ObjectOperation,
    Operation,
    SubscriptionUpdate,
)
from openadr3_client.oadr310.models.unit import Unit
from openadr3_client.oadr310.models.ven.ven import NewVenBlRequest, NewVenVenRequest
from openadr3_client.ven.http_factory import VirtualEndNodeHttpClientFactory
from openadr3_client.version import OADRVersion
from requests import HTTPError

logging.disable(logging.WARNING)
config = json.loads(sys.stdin.read())
common = {
    "vtn_base_url": config["url"],
    "version": OADRVersion.OADR_310,
    "allow_insecure_http": True,
}
# neither is told where tokens are given: the server says so
business = BusinessLogicHttpClientFactory.create_http_bl_client(**common, **config["business"])
site = VirtualEndNodeHttpClientFactory.create_http_ven_client(
    **common, **config["site"], scopes=config["scopes"]
)
PERIOD = IntervalPeriod(start=datetime(2026, 11, 25, 8, tzinfo=UTC), duration=timedelta(hours=1))
found: dict[str, object] = {"token_url": site.auth.get_auth_server().token_url}


def event_of(name: str, program_id: str, targets: tuple[str, ...]) -> dict[str, object]:
    payload = EventPayload(type=EventPayloadType.PRICE, values=(12.5,))
    return {
        "programID": program_id,
        "event_name": name,
        "targets": targets,
        "payload_descriptors": (
            EventPayloadDescriptor(
                payload_type=EventPayloadType.PRICE, units=Unit.KWH, currency="JPY"
            ),
        ),
        "report_descriptors": (
            ReportDescriptor(payload_type=ReportPayloadType.USAGE, targets=targets),
        ),
        "interval_period": PERIOD,
        "intervals": (Interval(id=0, payloads=(payload,)),),
        "duration": timedelta(hours=1),
    }


def refused(status: int, act: object, *arguments: object) -> bool:
    try:
        act(*arguments)  # type: ignore[operator]
    except HTTPError as error:
        return error.response.status_code == status
    return False


# business logic: a program, what is granted to the site, events for it and for others
program = business.programs.create_program(NewProgram(program_name="by-openadr3-client"))
granted = business.vens.create_ven(
    NewVenBlRequest(ven_name="granted", clientID=config["site"]["client_id"], targets=("feeder-7",))
)
found["granted"] = granted.targets
# the site: its ven, a resource, and whom to tell of events
ven = site.vens.create_ven(NewVenVenRequest(ven_name="own"))
resource = site.resources.create_resource(NewResourceVenRequest(resource_name="load", venID=ven.id))
found["own"] = [row.ven_name for row in site.vens.get_vens("own", None, None)]
found["resources"] = [row.resource_name for row in site.resources.get_resources(ven_id=ven.id)]
rule = ObjectOperation(
    objects=(Object.EVENT,),
    operations=(Operation.POST, Operation.PUT, Operation.DELETE),
    callback_url=config["callback"],
    bearer_token="s3cret",
)
wish = {"client_name": "site", "programID": program.id, "object_operations": (rule,)}
subscription = site.subscriptions.create_subscription(NewSubscription(**wish))
found["token_shown"] = subscription.object_operations[0].bearer_token
changed = site.subscriptions.update_subscription_by_id(
    subscription.id, SubscriptionUpdate(**(wish | {"client_name": "renamed"}))
)
found["subscriptions"] = [
    row.client_name
    for row in site.subscriptions.get_subscriptions(None, program.id, "renamed", (Object.EVENT,))
]
# events
event = business.events.create_event(
    NewEvent(**event_of("aimed", program.id, ("feeder-7", "feeder-8")))
)
business.events.create_event(NewEvent(**event_of("hidden", program.id, ("feeder-8",))))
business.events.create_event(NewEvent(**event_of("public", program.id, ())))
business.events.update_event_by_id(
    event.id, EventUpdate(**event_of("again", program.id, ("feeder-7", "feeder-8")))
)
found["programs"] = [row.program_name for row in site.programs.get_programs(None, None)]
seen = site.events.get_events(None, PaginationFilter(skip=0, limit=50), program.id)
found["events"] = sorted(row.event_name for row in seen)
found["aimed"] = [
    (row.event_name, row.targets, row.report_descriptors[0].targets)
    for row in site.events.get_events(TargetFilter(targets=["feeder-7"]), None, None)
]
found["value"] = seen[0].intervals[0].payloads[0].values[0]
found["duration_s"] = seen[0].duration.total_seconds()
# a report
payload = ReportPayload(type=ReportPayloadType.USAGE, values=(1.5,))
part = ReportResource(
    resource_name="load", interval_period=PERIOD, intervals=(Interval(id=0, payloads=(payload,)),)
)
report = site.reports.create_report(
    NewReport(eventID=event.id, client_name="site", resources=(part,))
)
found["reported"] = [
    row.resources[0].intervals[0].payloads[0].values[0]
    for row in business.reports.get_reports(None, program.id, event.id, "site")
]
# each keeps to its side
found["refused"] = [
    refused(403, site.vens.create_ven, NewVenBlRequest(ven_name="x", clientID="x")),
    refused(404, site.events.get_event_by_id, program.id),
    refused(409, site.vens.create_ven, NewVenVenRequest(ven_name="granted")),
]
found["deleted"] = [
    site.reports.delete_report_by_id(report.id).client_name,
    business.events.delete_event_by_id(event.id).event_name,
    site.resources.delete_resource_by_id(resource.id).resource_name,
    site.vens.delete_ven_by_id(ven.id).ven_name,
]
sys.stdout.write(json.dumps(found))
