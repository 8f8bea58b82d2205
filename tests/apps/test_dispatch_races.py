"""Two connections at once: whatever the interleaving, one outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from accounts.audit.models import AuditEntry
from accounts.core.errors import ClaimLost
from accounts.jobs.services import Claim, job_claim, job_create
from aggregator.dispatch import services
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from tests import cast
from tests.dispatching import freeze, instruction, jst, sent_day, work

pytestmark = pytest.mark.django_db(transaction=True)
S = InstructionState


def _at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run each call on a connection of its own, all released together; errors are results."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(i: int) -> None:
        try:
            barrier.wait(10)
            results[i] = calls[i]()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[i] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_acknowledging_from_two_connections_moves_the_instruction_once() -> None:
    day = sent_day()
    row, inzai = instruction(day, "inzai-defer"), day.places.people.inzai_dc
    results = _at_once(
        *[lambda: services.instruction_acknowledge(instruction_id=row.id, organisation=inzai)] * 4
    )
    assert [result.state for result in results] == [S.ACKNOWLEDGED] * 4
    moves = AuditEntry.objects.filter(action="aggregator.instruction.acknowledged")
    assert moves.count() == 1
    row.refresh_from_db()
    assert row.token == 2  # sent, acknowledged


def test_accepting_and_declining_at_once_ends_in_one_of_the_two() -> None:
    day = sent_day()
    row, inzai = instruction(day, "inzai-defer"), day.places.people.inzai_dc
    accepted, declined = _at_once(
        lambda: services.instruction_acknowledge(instruction_id=row.id, organisation=inzai),
        lambda: services.instruction_opt_out(
            instruction_id=row.id, organisation=inzai, reason="fault"
        ),
    )
    row.refresh_from_db()
    # declining wins after accepting too; accepting is refused after declining
    assert row.state == S.OPTED_OUT
    assert declined.state == S.OPTED_OUT
    assert isinstance(accepted, InstructionClosed) or accepted.state == S.ACKNOWLEDGED


def test_cancelling_and_acknowledging_at_once_ends_cancelled() -> None:
    day = sent_day()
    row, inzai = instruction(day, "inzai-defer"), day.places.people.inzai_dc
    _at_once(
        lambda: services.instruction_acknowledge(instruction_id=row.id, organisation=inzai),
        lambda: services.instruction_cancel(instruction_id=row.id, reason="out of service"),
    )
    row.refresh_from_db()
    assert row.state == S.CANCELLED


def test_planning_from_two_workers_makes_one_instruction_per_award() -> None:
    freeze(jst(15, day=-1))
    day = cast.published_day()
    payload = {"auction": str(day.auction.id)}
    job = job_create(kind=services.PLAN_KIND, key="plan", payload=payload)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    # the second is a worker whose lease ran out: same job, older token
    stale = Claim(
        job_id=claim.job_id, token=claim.token - 1, kind=claim.kind, key="plan", payload=payload
    )
    results = _at_once(
        lambda: services.instructions_plan(claim=claim),
        lambda: services.instructions_plan(claim=stale),
    )
    assert results[0] == 4 or not isinstance(results[0], int)
    assert not isinstance(results[1], int)
    if results[0] != 4:  # both inserted at once: the unique key refused the rightful one too
        assert services.instructions_plan(claim=claim) == 4
    assert DispatchInstruction.objects.count() == 4


def test_a_sweep_that_lost_its_claim_moves_nothing() -> None:
    day = sent_day()
    freeze(jst(16.5))
    job = job_create(
        kind=services.EXPIRE_KIND, key="again", payload={"auction": str(day.auction.id)}
    )
    claim = job_claim(job_id=job.id)
    assert claim is not None
    stale = Claim(
        job_id=job.id, token=claim.token - 1, kind=job.kind, key=job.key, payload=job.payload
    )
    with pytest.raises(ClaimLost):
        services.instructions_expire(claim=stale)
    assert instruction(day, "inzai-defer").state == S.SENT
    services.instructions_expire(claim=claim)
    assert instruction(day, "inzai-defer").state == S.UNREACHED


def test_two_replacements_at_once_do_not_sell_one_offer_twice() -> None:
    from aggregator.dispatch import replacements
    from market.trading.models import Bid, BidContent, BidForm, Mechanism

    day = sent_day()
    # an offer of 6,000 of a third resource at Inzai, for 6,000 + 9,000 lost
    unit = cast._resource(day.places.sites["inzai"], "ups", "UPS", 6_000, 0)
    bid = Bid.objects.create(
        client_bid_id="ups",
        auction=day.auction,
        organisation=unit.site.organisation,
        resource=unit,
        form=BidForm.STEPS,
        mechanism=Mechanism.BATTERY,
        received_at=day.auction.gate_closure_at,
        leaf_sha256="0" * 64,
    )
    step = {"quantity_kw": "6000", "ask_jpy_per_kwh": "30"}
    curve = {"first_t": 34, "last_t": 39, "steps": [step]}
    BidContent.objects.create(bid=bid, content={"direction": "UP", "curves": [curve]})
    claims = []
    for name in ("inzai-battery-up", "inzai-defer"):
        row = instruction(day, name)
        services.instruction_opt_out(
            instruction_id=row.id, organisation=row.organisation, reason="fault"
        )
        job = job_create(kind=services.REPLACE_KIND, key=str(row.id))
        claims.append(job_claim(job_id=job.id))
    results = _at_once(
        *[lambda claim=claim: replacements.instruction_replace(claim=claim) for claim in claims]
    )
    assert sorted(results) == [0, 1]
    stand_in = DispatchInstruction.objects.get(version__gt=1)
    assert set(stand_in.intervals.values_list("quantity_kw", flat=True)) == {6_000}
    work()


def test_a_name_enrolled_from_two_connections_is_taken_once() -> None:
    from aggregator.protocols.openadr3 import wire_requests
    from aggregator.protocols.openadr3.errors import NameTaken
    from aggregator.protocols.openadr3.models import Ven
    from aggregator.protocols.openadr3.selectors import Caller
    from aggregator.protocols.openadr3.writing import Sent, ven_create
    from tests.dispatching import api_client

    client = api_client(cast.people().inzai_dc)
    caller = Caller(client=client, scopes=frozenset())
    request = wire_requests.VenRequest(object_type="VEN_VEN_REQUEST", name="one")
    results = _at_once(
        *[lambda: ven_create(caller=caller, request=request, sent=Sent(body={}))] * 4
    )
    assert sum(isinstance(result, NameTaken) for result in results) == 3
    assert Ven.objects.count() == 1
