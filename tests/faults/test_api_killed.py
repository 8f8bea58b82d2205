"""The API's processes are killed in the midst of single bids: what was answered is in the book."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from accounts.audit.models import AuditEntry
from accounts.clock.services import clock_set
from accounts.parties.keys import api_client_create
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from aggregator.api.models import IdempotentAnswer
from aggregator.ops.bench.open_loop import Shot, fired, json_of, request_bytes
from market.trading.keys import book_key_register
from market.trading.models import Bid, SealedBasket
from tests import cast
from tests.faults.market import offers, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

BIDS_COUNT = 600
CONNECTIONS_COUNT = 24
ANSWERED_BEFORE = 60
AT_ONCE_PER_S = 1e6


def _token(port: int, organisation: Organisation) -> str:
    client, secret = api_client_create(
        organisation=organisation, client_id=organisation.code, role=Role.OPERATOR_TRADER
    )
    answer = httpx.post(
        f"http://127.0.0.1:{port}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(client.client_id, secret),
        timeout=20,
    )
    return str(answer.json()["access_token"])


def _stored() -> dict[str, int]:
    entries = AuditEntry.objects.filter(action="market.bid.submitted")
    return {
        "bids": Bid.objects.count(),
        "names": Bid.objects.values("client_bid_id").distinct().count(),
        "baskets": SealedBasket.objects.count(),
        "answers": IdempotentAnswer.objects.count(),
        "entries": entries.count(),
    }


def test_no_answered_bid_is_lost_and_none_is_half_stored(celery_worker_processes: Any) -> None:
    stack = celery_worker_processes.stack
    where = cast.places()
    auction = cast.auction(where)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    book_key_register()  # as the first worker does
    port = stack.start_api()
    stack.wait_ready()
    token = _token(port, where.people.inzai_dc)
    bids = offers("kill", "inzai-dc-1-load", BIDS_COUNT)
    for number, bid in enumerate(bids):
        bid["curves"][0]["steps"][0]["ask_jpy_per_kwh"] = str(10 + number % 7)
    requests = [
        request_bytes(
            f"/api/v1/auctions/{auction.code}/bids",
            json.dumps(bid).encode(),
            token=token,
            key=bid["client_bid_id"],
        )
        for bid in bids
    ]
    shots: list[Shot] = []

    def shoot() -> None:
        shots.extend(
            fired(
                ("127.0.0.1", port),
                requests,
                rate_per_s=AT_ONCE_PER_S,
                connection_count=CONNECTIONS_COUNT,
            )
        )

    shooter = threading.Thread(target=shoot)
    shooter.start()
    wait_for("bids come in", lambda: Bid.objects.count() > ANSWERED_BEFORE)
    api = next(child for child in stack.children if child.name == "api")
    os.killpg(api.process.pid, signal.SIGKILL)
    shooter.join(60)
    stack.stop_child(api)

    acked = [shot for shot in shots if shot.status == 201]
    assert len(acked) >= ANSWERED_BEFORE // 2
    assert Counter(shot.status for shot in shots)[0] > 0, "the kill came too late"
    # PostgreSQL ends what the killed processes left open
    wait_for("nothing is written any more", lambda: _stored() == _stored())
    stored = _stored()
    assert len(set(stored.values())) == 1, stored
    assert stored["bids"] >= len(acked)
    kept = {str(number): name for number, name in Bid.objects.values_list("id", "client_bid_id")}
    for shot in acked:
        answer = json_of(shot)
        assert kept[answer["bid_id"]] == f"kill-{shot.number}"
    together = Counter(
        AuditEntry.objects.filter(action="market.bid.submitted").values_list("txid", flat=True)
    )
    assert max(together.values()) > 1, "no bids went together"

    # everybody asks again under the same key: the answered get the same, the others theirs
    again_port = stack.start_api(name="api-again")
    stack.wait_ready()
    again = fired(("127.0.0.1", again_port), requests, rate_per_s=AT_ONCE_PER_S, connection_count=8)
    assert {shot.status for shot in again} == {201}
    assert {shot.number: shot.body for shot in acked}.items() <= {
        shot.number: shot.body for shot in again
    }.items()
    assert set(_stored().values()) == {BIDS_COUNT}
