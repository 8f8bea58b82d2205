"""Bids over HTTP: single ones on a timetable, baskets against COPY, the gate and an overload.

Server, database and generator share the machine. Machines of several operators send, each with
its own token. What was acknowledged is looked up in the book afterwards: anything missing is lost.
"""

from __future__ import annotations

import http.client
import itertools
import json
import statistics
import threading
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_set
from accounts.parties.keys import api_client_create
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.roles import Role
from accounts.parties.services import organisation_register
from aggregator.metering.services import meter_register
from aggregator.ops.bench.bids import SPANS, STEPS_COUNT, copier
from aggregator.ops.bench.book import DELIVERY_ON, opened_auction
from aggregator.ops.bench.open_loop import (
    Shot,
    fired,
    json_of,
    percentile_ms,
    request_bytes,
)
from aggregator.ops.bench.peers import flexmeasures
from aggregator.ops.demo import cast
from aggregator.ops.demo.qualify import resource_qualify
from aggregator.ops.stack import Stack
from market.registry.models import MarketProduct, Resource, Site
from market.registry.services import SiteDetails, resource_register, site_register
from market.trading.gates import gate_shut
from market.trading.models import Auction, Bid, BidState

OPERATOR_COUNT: Final = 16
RESOURCE_COUNT: Final = 4
RATES_PER_S: Final = (100, 150, 200, 250, 300, 350, 400, 450, 500)
STAIR_S: Final = 8.0
LATENCY_MAX_MS: Final = 250.0
BASKET_SIZE: Final = 1_000
BASKET_COUNT: Final = 5
OVERLOAD_RATIO: Final = 3
OVERLOAD_S: Final = 10.0
GATE_AFTER_S: Final = 5.0
AT_ONCE_COUNT: Final = 600
CREATED: Final = 201
REFUSALS: Final = (429, 503)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One bidder of the bench: what it bids with, and how it signs in."""

    organisation: Organisation
    resources: tuple[Resource, ...]
    client_id: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """Where the bench plays: a server, an auction, bidders with tokens."""

    address: tuple[str, int]
    auction: Auction
    operators: tuple[Operator, ...]
    tokens: tuple[str, ...]
    numbers: Iterator[int]


def run(stack: Stack, *, is_with_peers: bool = False) -> dict[str, Any]:
    """Measure all of it on a database and a server of the stack's.

    Parameters
    ----------
    is_with_peers
        Whether FlexMeasures is asked the comparable thing in the same run.
    """
    auction = opened_auction()
    operators = _operators()
    port = _served(stack)
    address = ("127.0.0.1", port)
    field = Field(
        address=address,
        auction=auction,
        operators=operators,
        tokens=tuple(_token(address, operator) for operator in operators),
        numbers=itertools.count(1),
    )
    fired(address, _singles(field, 200), rate_per_s=60)
    figures: dict[str, Any] = {"operators": len(operators)}
    rate_per_s, found = _staircase(field)
    figures |= found
    figures |= _baskets(field)
    figures |= _overload(field, rate_per_s)
    ours_per_s = _at_once_per_s(field)
    figures["at_once_per_s"] = round(ours_per_s, 1)
    figures |= _closing(field, rate_per_s)
    if is_with_peers:
        stack.stop_child(next(child for child in stack.children if child.name == "api"))
        theirs = flexmeasures.run(stack)
        figures |= theirs
        if theirs.get("flexmeasures_per_s"):
            ratio = ours_per_s / theirs["flexmeasures_per_s"]
            figures["single_ratio_to_flexmeasures"] = round(ratio, 1)
    return figures


def _at_once_per_s(field: Field) -> float:
    """Return how many single bids a second are answered when all are due at once."""
    requests = _singles(field, AT_ONCE_COUNT)
    began_s = time.perf_counter()
    shots = fired(
        field.address,
        requests,
        rate_per_s=flexmeasures.AT_ONCE_PER_S,
        connection_count=flexmeasures.CONNECTION_COUNT,
    )
    lasted_s = time.perf_counter() - began_s
    return sum(shot.status == CREATED for shot in shots) / lasted_s


def _served(stack: Stack) -> int:
    """Start the server as it is deployed for the API, on a free port."""
    port = stack.start_api()
    stack.wait_ready()
    return port


def _operators() -> tuple[Operator, ...]:
    model = Site.objects.select_related("area", "retailer").order_by("code")[0]
    return tuple(_operator(number, model) for number in range(OPERATOR_COUNT))


@transaction.atomic
def _operator(number: int, model: Site) -> Operator:
    code = f"bench-{number}"
    organisation = organisation_register(
        code=code,
        kind=OrganisationKind.DC_OPERATOR,
        name=f"試験事業者{number}",
        name_en=f"Bench operator {number}",
    )
    site = site_register(
        organisation=organisation,
        facility_owner=organisation,
        retailer=model.retailer,
        details=SiteDetails(
            code=code,
            name=f"試験地点{number}",
            name_en=f"Bench site {number}",
            bus_code=model.bus_code,
            area_code=model.area.code,
            point_number=f"{model.area.code}9{number:019d}",
            contract_kw=Decimal(50_000),
            loss_ratio=model.loss_ratio,
            longitude_deg=model.longitude_deg,
            latitude_deg=model.latitude_deg,
            labels=model.labels,
        ),
    )
    resources = tuple(
        resource_register(
            site=site,
            fields={
                "code": f"{code}-{unit}",
                "name": f"試験負荷{number}-{unit}",
                "name_en": f"Bench load {number}-{unit}",
                "kind": "DC_LOAD",
                "limit_up_kw": Decimal(5_000),
                "limit_down_kw": Decimal(1_000),
                "response_s": cast.RESPONSE_S["DC_LOAD"],
            },
        )
        for unit in range(RESOURCE_COUNT)
    )
    product = MarketProduct.objects.get(code=cast.ENERGY_PRODUCT)
    for unit, resource in enumerate(resources):
        meter_register(point_number=f"{model.area.code}8{number:010d}{unit:09d}", resource=resource)
        resource_qualify(resource, product, resource.limit_up_kw, DELIVERY_ON)
    client, secret = api_client_create(
        organisation=organisation, client_id=code, role=Role.OPERATOR_TRADER
    )
    return Operator(
        organisation=organisation, resources=resources, client_id=client.client_id, secret=secret
    )


def _token(address: tuple[str, int], operator: Operator) -> str:
    line = http.client.HTTPConnection(*address, timeout=30)
    basic = b64encode(f"{operator.client_id}:{operator.secret}".encode()).decode()
    line.request(
        "POST",
        "/oauth/token",
        urllib.parse.urlencode({"grant_type": "client_credentials"}),
        {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    answer = line.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"no token: {answer.status} {body[:200]!r}")
    return str(json.loads(body)["access_token"])


def _offer(number: int) -> dict[str, Any]:
    steps = [
        {"quantity_kw": str(100 + number % 7), "ask_jpy_per_kwh": str(10 + 3 * step)}
        for step in range(STEPS_COUNT)
    ]
    curves = [{"first_t": first, "last_t": last, "steps": steps} for first, last in SPANS]
    return {"form": "STEPS", "mechanism": "DEFERRAL", "direction": "UP", "curves": curves}


def _bid(operator: Operator, number: int) -> dict[str, Any]:
    resource = operator.resources[number % len(operator.resources)]
    return {"client_bid_id": f"b-{number}", "resource": resource.code, **_offer(number)}


def _path(field: Field) -> str:
    return f"/api/v1/auctions/{field.auction.code}/bids"


def _singles(field: Field, count: int) -> list[bytes]:
    path, requests = _path(field), []
    for number in itertools.islice(field.numbers, count):
        which = number % len(field.operators)
        body = json.dumps(_bid(field.operators[which], number)).encode()
        requests.append(
            request_bytes(path, body, token=field.tokens[which], key=f"single-{number}")
        )
    return requests


def _staircase(field: Field) -> tuple[float, dict[str, Any]]:
    """Raise the rate until a step of the stairs is too slow; return the last that held."""
    best_per_s, p99_ms, p50_ms, lost_count, stairs = 0.0, 0.0, 0.0, 0, []
    for rate_per_s in RATES_PER_S:
        shots = fired(
            field.address, _singles(field, int(rate_per_s * STAIR_S)), rate_per_s=rate_per_s
        )
        acked = [shot for shot in shots if shot.status == CREATED]
        lost_count += _lost_count(field, acked)
        stair_ms = percentile_ms(shots, 0.99)
        stairs.append([rate_per_s, stair_ms, len(shots) - len(acked)])
        if len(acked) < len(shots) or stair_ms > LATENCY_MAX_MS:
            break
        best_per_s, p99_ms = float(rate_per_s), stair_ms
        p50_ms = percentile_ms(shots, 0.5)
    return best_per_s, {
        "single_bids_per_s": best_per_s,
        "single_p99_ms": p99_ms,
        "single_p50_ms": p50_ms,
        "lost": lost_count,
        "stairs_rate_p99ms_refused": stairs,
    }


def _lost_count(field: Field, acked: Sequence[Shot]) -> int:
    """Return how many bids were acknowledged and are not in the book."""
    names = [
        receipt["client_bid_id"]
        for shot in acked
        for receipt in json_of(shot).get("receipts", [json_of(shot)])
    ]
    kept = Bid.objects.filter(
        auction=field.auction, state=BidState.SUBMITTED, client_bid_id__in=names
    ).count()
    return len(names) - kept


def _baskets(field: Field) -> dict[str, Any]:
    """Post baskets, in turn with COPY of as many ready rows."""
    copy_rows = copier(
        field.auction,
        field.operators[0].organisation,
        list(field.operators[0].resources),
        BASKET_SIZE,
        BASKET_COUNT + 1,
    )
    ours_s, floor_s = [], []
    for number in range(BASKET_COUNT + 1):
        operator, token = field.operators[number + 1], field.tokens[number + 1]
        bids = [_bid(operator, n) for n in itertools.islice(field.numbers, BASKET_SIZE)]
        body = json.dumps({"bids": bids}).encode()
        request = request_bytes(_path(field), body, token=token, key=f"basket-{number}")
        shot = fired(field.address, [request], rate_per_s=1.0, connection_count=1)[0]
        if shot.status != CREATED:
            raise RuntimeError(f"a basket was answered {shot.status}: {shot.body[:300]!r}")
        began_s = time.perf_counter()
        copy_rows(number)
        floor_s.append(time.perf_counter() - began_s)
        ours_s.append(shot.latency_s)
    ratios = [ours / floor for ours, floor in zip(ours_s[1:], floor_s[1:], strict=True)]
    return {
        "bulk_ms": round(1e3 * statistics.median(ours_s[1:]), 1),
        "bulk_copy_ms": round(1e3 * statistics.median(floor_s[1:]), 1),
        "bulk_ratio_to_copy": round(statistics.median(ratios), 2),
    }


def _overload(field: Field, rate_per_s: float) -> dict[str, Any]:
    """Send three times what the server can take."""
    sent_per_s = OVERLOAD_RATIO * max(rate_per_s, float(RATES_PER_S[0]))
    requests = _singles(field, int(sent_per_s * OVERLOAD_S))
    shots = fired(field.address, requests, rate_per_s=sent_per_s, connection_count=256)
    done = [shot for shot in shots if shot.status == CREATED]
    refused = [shot for shot in shots if shot.status in REFUSALS]
    lasted_s = max(shot.number / sent_per_s + shot.latency_s for shot in shots)
    goodput_per_s = len(done) / lasted_s
    return {
        "overload_goodput_per_s": round(goodput_per_s, 1),
        "overload_goodput_ratio": round(goodput_per_s / max(rate_per_s, 1.0), 3),
        "overload_refused": len(refused),
        "overload_refusal_p99_ms": percentile_ms(refused, 0.99),
        "overload_done_p99_ms": percentile_ms(done, 0.99),
        "overload_500s": sum(shot.status >= 500 and shot not in refused for shot in shots),  # noqa: PLR2004
        "overload_no_answer": sum(shot.status == 0 for shot in shots),
        "overload_lost": _lost_count(field, done),
    }


def _closing(field: Field, rate_per_s: float) -> dict[str, Any]:
    """Let the gate close in the midst of bids, and see how long the closing takes."""
    auction = field.auction
    clock_set(market_at=auction.gate_closure_at - timedelta(seconds=GATE_AFTER_S))
    closer = _Closer(auction)
    closer.start()
    requests = _singles(field, int(rate_per_s * 2 * GATE_AFTER_S))
    shots = fired(field.address, requests, rate_per_s=max(rate_per_s, 1.0))
    closer.join(timeout=30.0)
    acked = [shot for shot in shots if shot.status == CREATED]
    late = Bid.objects.filter(auction=auction, received_at__gte=auction.gate_closure_at).count()
    return {
        "close_ms": closer.close_ms,
        "close_lost": _lost_count(field, acked),
        "close_late": late,
        "close_refused": len(shots) - len(acked),
    }


class _Closer(threading.Thread):
    """Shuts the gate when its time has come, as the worker's job does."""

    def __init__(self, auction: Auction) -> None:
        super().__init__(name="closer")
        self._auction = auction
        self.close_ms = -1.0

    def run(self) -> None:
        """Wait for the gate, shut it, and see how late that was."""
        try:
            while market_now() < self._auction.gate_closure_at:
                time.sleep(0.002)
            with transaction.atomic():
                gate_shut(self._auction.id)
            late = market_now() - self._auction.gate_closure_at
            self.close_ms = round(late.total_seconds() * 1e3, 1)
        finally:
            connection.close()
