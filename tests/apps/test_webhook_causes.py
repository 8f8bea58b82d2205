"""Causes become messages: each told once, to whom it concerns, with nobody else's rows in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from accounts.audit.models import AuditEntry
from accounts.audit.sealing import checkpoint_make, entries_link
from accounts.audit.services import entry_append
from accounts.jobs.models import Job
from accounts.ledger.services import TransferDraft, ledger_account_open, transfers_post
from aggregator.outbox import fanout, services, subscriptions
from aggregator.outbox.models import OutboxMessage, Topic, WebhookCursor, WebhookSubscription
from market.registry.models import MarketProduct, Prequalification
from tests import cast, dispatching
from tests.hooks import URL, confirmed, tell, told


@pytest.mark.django_db(transaction=True)
def test_a_cause_is_told_once_to_each_who_listens_and_to_nobody_else() -> None:
    day = cast.open_day()
    people = day.places.people
    listening, _ = confirmed(people.inzai_dc, Topic.AUCTION_OPENED)
    other, _ = confirmed(people.shiroi_dc, Topic.RESULT_PUBLISHED)
    paused, _ = confirmed(people.shiroi_dc, Topic.AUCTION_OPENED)
    WebhookSubscription.objects.filter(id=paused.id).update(is_active=False)
    silent, _ = subscriptions.subscription_create(
        organisation=people.shiroi_dc, url=URL, topics=[Topic.AUCTION_OPENED]
    )
    tell()
    with transaction.atomic():
        entry_append(action="market.auction.opened", subject=day.auction)
    entry = AuditEntry.objects.latest("id")
    assert tell() == 1
    assert tell() == 0  # the cursor has passed
    (message,) = OutboxMessage.objects.all()
    assert (message.subscription_id, message.topic) == (listening.id, "auction.opened")
    assert told(listening) == [
        {
            "id": str(message.id),
            "topic": "auction.opened",
            "at": entry.at.isoformat().replace("+00:00", "Z"),
            "links": {"auction": f"/api/v1/auctions/{day.auction.code}"},
            "auction": day.auction.code,
        }
    ]
    assert (told(other), told(paused), told(silent)) == ([], [], [])
    assert Job.objects.filter(kind=services.DELIVER_KIND, key=str(message.id)).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_cause_that_was_rolled_back_is_never_told() -> None:
    day = cast.open_day()
    row, _ = confirmed(day.places.people.inzai_dc)
    tell()
    with transaction.atomic():
        entry_append(action="market.auction.opened", subject=day.auction)
        transaction.set_rollback(True)
    assert tell() == 0
    assert told(row) == []


@pytest.mark.django_db(transaction=True)
def test_after_a_crash_the_same_causes_make_the_same_messages() -> None:
    day = cast.open_day()
    row, _ = confirmed(day.places.people.inzai_dc, Topic.AUCTION_CLOSED)
    with transaction.atomic():
        entry_append(action="market.auction.closed", subject=day.auction)
    tell()
    before = list(OutboxMessage.objects.values_list("id", flat=True))
    WebhookCursor.objects.update(link_number=0)
    tell()
    assert list(OutboxMessage.objects.values_list("id", flat=True)) == before
    assert len(told(row)) == 1


@pytest.mark.django_db(transaction=True)
def test_of_a_result_everybody_hears_and_of_awards_only_their_owners() -> None:
    day = cast.published_day()
    people = day.places.people
    owner, _ = confirmed(people.inzai_dc)
    stranger, _ = confirmed(people.stranger_org)
    tell()
    with transaction.atomic():
        entry_append(action="market.result.published", subject=day.run)
    tell()
    code = day.auction.code
    assert day.run is not None
    assert [(m["topic"], m["links"]) for m in told(stranger)] == [
        (
            "result.published",
            {"auction": f"/api/v1/auctions/{code}", "prices": f"/api/v1/auctions/{code}/prices"},
        )
    ]
    assert sorted(m["topic"] for m in told(owner)) == ["award.published", "result.published"]
    for message in told(owner):
        assert message.keys() <= {"id", "topic", "at", "links", "auction", "result_sha256"}


@pytest.mark.django_db(transaction=True)
def test_an_instruction_is_its_receivers_business_alone() -> None:
    day = dispatching.planned_day()
    people = day.places.people
    owner, _ = confirmed(people.inzai_dc)
    rival, _ = confirmed(people.shiroi_dc)
    desk, _ = confirmed(people.platform)
    tell()
    row = dispatching.instruction(day, "inzai-defer")
    with transaction.atomic():
        entry_append(
            action="aggregator.instruction.sent", subject=row, organisation_id=row.organisation_id
        )
    tell()
    assert [m["links"] for m in told(owner)] == [{"instruction": f"/api/v1/instructions/{row.id}"}]
    assert (told(rival), told(desk)) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_needs_and_cancellations_are_told_by_code() -> None:
    day = cast.open_day()
    row, _ = confirmed(day.places.people.inzai_dc)
    tell()
    with transaction.atomic():
        entry_append(action="market.need.published", subject=day.needs["local"])
        entry_append(action="market.auction.cancelled", subject=day.auction)
        entry_append(action="market.need.withdrawn", subject=day.needs["local"])  # nobody's topic
    tell()
    assert sorted((m["topic"], m.get("need")) for m in told(row)) == [
        ("auction.cancelled", None),
        ("need.published", "inzai-line-up"),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_checkpoint_leaves_the_house_whole() -> None:
    people = cast.people()
    row, _ = confirmed(people.inzai_dc, Topic.AUDIT_CHECKPOINT)
    entries_link()
    checkpoint = checkpoint_make(every=timedelta(0))
    assert checkpoint is not None
    fanout.causes_tell()
    (message,) = told(row)
    assert message["checkpoint"] == checkpoint.as_checkpoint().as_json()
    assert message["links"] == {"checkpoint": "/api/v1/audit/checkpoints/1"}


@pytest.mark.django_db(transaction=True)
def test_a_closed_period_is_told_to_those_whose_account_it_touches() -> None:
    people = cast.people()
    payer, _ = confirmed(people.grid_t, Topic.STATEMENT_ISSUED)
    stranger, _ = confirmed(people.stranger_org, Topic.STATEMENT_ISSUED)
    tell()
    house, theirs = (
        ledger_account_open(organisation=one, code=code, name="x", kind=kind)
        for one, code, kind in (
            (people.platform, "clearing", "CLEARING"),
            (people.grid_t, "member", "MEMBER"),
        )
    )
    period = "2026-11-25/2026-11-26"
    transfers_post(
        transfers=[
            TransferDraft(
                key="k",
                debit_id=theirs.id,
                credit_id=house.id,
                amount_jpy=100,
                code="BUYER_ENERGY",
                cause_kind="test",
                cause_id="1",
                period=period,
            )
        ]
    )
    with transaction.atomic():
        entry_append(
            action="settlement.period.closed", subject="p:1", detail={"period": period, "close": 1}
        )
    tell()
    (message,) = told(payer)
    assert message["links"] == {"statements": "/api/v1/statements?organisation=grid-t"}
    assert (message["period"], message["close"]) == (period, 1)
    assert told(stranger) == []


@pytest.mark.django_db(transaction=True)
def test_of_a_prequalification_both_sides_are_told() -> None:
    day = cast.open_day()
    people = day.places.people
    owner, _ = confirmed(people.inzai_dc)
    operator, _ = confirmed(people.grid_t)
    rival, _ = confirmed(people.shiroi_dc)
    product = MarketProduct.objects.create(
        code="ready", response_s=1, quantity_min_kw=1, quantity_tick_kw=1
    )
    row = Prequalification.objects.create(
        resource=day.places.resources["inzai-load"],
        product=product,
        area=day.places.area,
        organisation=people.inzai_dc,
        quantity_kw=100,
        requested_at=day.auction.opens_at,
    )
    tell()
    with transaction.atomic():
        entry_append(
            action="market.prequalification.qualified",
            subject=row,
            organisation_id=people.grid_t.id,  # who acts
        )
    tell()
    for side in (owner, operator):
        (message,) = told(side)
        assert message["links"] == {"prequalification": f"/api/v1/prequalifications/{row.id}"}
        assert message["state"] == "qualified"
    assert told(rival) == []
