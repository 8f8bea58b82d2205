"""Steps that tests of dispatch and its protocol share: a frozen clock, and jobs run by hand.

A test stands in for the worker: it claims the job rows that are due and calls the service
behind each, exactly as the task would, without Celery.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.test import Client

from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from accounts.jobs.selectors import jobs_due
from accounts.jobs.services import Claim, job_claim, job_create
from accounts.parties.keys import api_client_create
from accounts.parties.models import ApiClient, Organisation
from aggregator.dispatch import replacements, services
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.models import Meter
from aggregator.protocols.openadr3 import services as openadr3_services
from aggregator.protocols.openadr3.models import Event
from tests import cast

BASE = "/openadr3/3.1.0"
VEN_SCOPES = ("read_targets", "read_ven_objects", "write_reports", "write_vens")
WORK: dict[str, Callable[..., Any]] = {
    services.PLAN_KIND: services.instructions_plan,
    services.EXPIRE_KIND: services.instructions_expire,
    services.CLOCK_KIND: services.instructions_clock,
    services.REPLACE_KIND: replacements.instruction_replace,
    services.SEND_KIND: openadr3_services.instructions_send,
}


def jst(hour: float, *, day: int = 0) -> datetime:
    """Return an hour of the delivery day in Japan; ``day=-1`` is the day before."""
    return cast.day_start(cast.DAY) + timedelta(days=day, hours=hour)


def freeze(moment: datetime) -> None:
    """Stop the market's clock at a moment."""
    clock_set(market_at=moment, speed_ratio=Decimal(0))


def claim_of(kind: str, key: str) -> Claim:
    """Claim a due job."""
    claim = job_claim(job_id=Job.objects.get(kind=kind, key=key).id)
    assert claim is not None
    return claim


def work(*kinds: str) -> list[str]:
    """Run due jobs, of these kinds or all that dispatch knows, until none is left."""
    done = []
    for _ in range(50):
        due = [(job_id, kind) for job_id, kind in jobs_due() if kind in (kinds or WORK)]
        if not due:
            return done
        for job_id, kind in due:
            claim = job_claim(job_id=job_id)
            if claim is not None:
                WORK[kind](claim=claim)
                done.append(kind)
    raise AssertionError("jobs keep being due")


def planned_day() -> cast.MarketDay:
    """Return a published day whose instructions are planned, at 15:00 of the day before."""
    freeze(jst(15, day=-1))
    day = cast.published_day()
    job_create(
        kind=services.PLAN_KIND,
        key=str(day.auction.id),
        payload={"auction": str(day.auction.id)},
    )
    work(services.PLAN_KIND)
    return day


def sent_day() -> cast.MarketDay:
    """Return a planned day at 14:00 of the day itself: everything has been sent.

    Midday starts at 10:00 and is sent at 04:00, the evening at 17:00 and 11:00.
    """
    day = planned_day()
    freeze(jst(8.5))
    work()
    freeze(jst(14))
    work(services.SEND_KIND)
    return day


def instruction(of: cast.MarketDay, name: str) -> DispatchInstruction:
    """Return the first version of an award's instruction."""
    return DispatchInstruction.objects.get(award=of.awards[name], version=1)


def meters(of: cast.MarketDay) -> None:
    """Give each resource a meter."""
    for number, resource in enumerate(of.places.resources.values(), start=1):
        Meter.objects.create(point_number=f"03{number:020d}", resource=resource)


def api_client(organisation: Organisation, *, scopes: tuple[str, ...] = VEN_SCOPES) -> ApiClient:
    """Return a new machine of an organisation."""
    count = ApiClient.objects.count()
    client, secret = api_client_create(
        organisation=organisation, client_id=f"{organisation.code}-{count}", scopes=scopes
    )
    client.secret = secret  # type: ignore[attr-defined]
    return client


class Ven:
    """A site's client over Django's test client."""

    def __init__(self, organisation: Organisation, *, scopes: tuple[str, ...] = VEN_SCOPES) -> None:
        from aggregator.protocols.openadr3.tokens import token_issue

        self.client = api_client(organisation, scopes=scopes)
        self.http = Client()
        self.headers = {
            "Authorization": f"Bearer {token_issue(client=self.client, asked=frozenset()).text}"
        }
        self.ven_id = ""
        self.name = self.client.client_id

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self.http.get(f"{BASE}/{path}", query, headers=self.headers)

    def post(self, path: str, body: Any) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.http.post(
            f"{BASE}/{path}", content, content_type="application/json", headers=self.headers
        )

    def enrol(self, *names: str) -> Ven:
        made = self.post("vens", {"objectType": "VEN_VEN_REQUEST", "venName": self.name})
        assert made.status_code == 201, made.content
        self.ven_id = made.json()["id"]
        for name in names:
            body = {
                "objectType": "VEN_RESOURCE_REQUEST",
                "resourceName": name,
                "venID": self.ven_id,
            }
            assert self.post("resources", body).status_code == 201
        return self


def event_of(day: cast.MarketDay, name: str) -> Event:
    """Return the event of an award's instruction."""
    return Event.objects.get(instruction=instruction(day, name))


def ack_report(event: Event, *, name: str = "inzai-dc-1-load") -> dict[str, Any]:
    payloads = [{"type": "ACK", "values": [True]}]
    return {
        "eventID": str(event.id),
        "clientName": "v",
        "resources": [{"resourceName": name, "intervals": [{"id": 0, "payloads": payloads}]}],
    }


def usage_report(
    event: Event, *values: Any, name: str = "inzai-dc-1-load", start: str = ""
) -> dict[str, Any]:
    return {
        "eventID": str(event.id),
        "clientName": "v",
        "resources": [
            {
                "resourceName": name,
                "intervalPeriod": {
                    "start": start or "2026-11-24T15:00:00Z",
                    "duration": "PT30M",
                },
                "intervals": [
                    {"id": i, "payloads": [{"type": "USAGE", "values": [value]}]}
                    for i, value in enumerate(values)
                ],
            }
        ],
    }


def is_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == status
    assert body.keys() == {"type", "title", "status", "detail", "instance"}
    return body
