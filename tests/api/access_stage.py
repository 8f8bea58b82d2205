"""The stage of the access matrix: who knocks, and what stands behind the doors.

Paths of the matrix name things of the stage in braces: ``instructions/{instruction}``. Things of
inzai-dc or grid-t only: whoever else is shown one of them is shown what is not theirs.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

from allauth.usersessions.models import UserSession

from accounts.approvals.services import approval_request
from accounts.clock.selectors import market_now
from accounts.core.files import file_checked
from accounts.ledger.services import ledger_account_open
from accounts.parties.invitations import invitation_create
from accounts.parties.keys import api_client_create
from accounts.parties.models import Membership, OrganisationKind
from accounts.parties.roles import Role
from aggregator.core.documents import DocumentKind, Frame, Party, tax_document
from aggregator.core.taxing import DocumentRules
from aggregator.dispatch.models import FlexibleConnection, ResourceUnit, Trial
from aggregator.metering.excuses import force_majeure_request
from aggregator.metering.services import meter_register
from aggregator.outbox.models import OutboxMessage
from aggregator.outbox.subscriptions import subscription_create
from aggregator.settlement.disputes import dispute_evidence_add
from aggregator.settlement.models import Dispute, Document, SettlementItem, SettlementPeriod
from market.registry.agreement_services import Days, revenue_agreement_propose
from market.registry.models import Area, Consent, MarketProduct, OpticalPath, WorkloadClass
from market.registry.prequalification_services import (
    Caller,
    prequalification_file_add,
    prequalification_request,
)
from market.trading.models import Auction, AuctionState, StandingBid
from market.trading.services import auction_schedule
from tests import cast, cast_places
from tests.api.conftest import DoorClient
from tests.api.good_bodies import BID, NEED
from tests.dispatching import instruction, sent_day

# column of the matrix: organisation, role
WHO = {
    "anonymous": None,
    "inzai": ("inzai-dc", Role.OPERATOR_TRADER),
    "shiroi": ("shiroi-dc", Role.OPERATOR_TRADER),
    "grid_t": ("grid-t", Role.GRID_PLANNER),
    "grid_u": ("grid-u", Role.GRID_PLANNER),
    "stranger": ("stranger", Role.OPERATOR_TRADER),
    "desk": ("wattbit", Role.MARKET_DESK),
    "admin": ("inzai-dc", Role.ADMINISTRATOR),
}
OTHERS = ("anonymous", "shiroi", "grid_u", "stranger")


class Stage:
    """A market day in which instructions were sent, and one client per column."""

    def __init__(self) -> None:
        self.day = sent_day()
        cast_places.organisation("grid-u", OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
        self.clients = {who: self._client(of) for who, of in WHO.items()}
        self.things = self._things()
        self.answers: dict[tuple[str, ...], Any] = {}  # of lines that were asked already

    def _client(self, of: tuple[str, Role] | None) -> DoorClient:
        client = DoorClient(raise_request_exception=False)
        if of is not None:
            code, role = of
            organisation = cast.organisation(code, "", "", "")
            client.force_login(cast_places.member(f"{role}-at-{code}", organisation, role))
        return client

    def _things(self) -> dict[str, Any]:
        """Return what paths may name; a line here, and a line in the matrix."""
        day = self.day
        return {
            "instruction": instruction(day, "inzai-defer").id,
            "grid_model": day.places.grid_model.id,
            "element": day.places.points["inzai-line"].id,
            "auction": day.auction.code,
            "bid": day.bids["inzai-defer"].id,
            "award": day.awards["inzai-defer"].id,
            "need": day.needs["local"].id,
            "standing_bid": StandingBid.objects.create(
                organisation=day.places.people.inzai_dc,
                code="evenings",
                valid_from_on=day.auction.delivery_on,
                weekdays=[0],
            ).id,
            "site": "inzai-dc-1",
            "resource": "inzai-dc-1-battery",
            "run": day.run.id if day.run else "",
            **self._dispatched(),
            **self._requests(),
            **self._identities(),
            **self._registered(),
            **self._settled(),
            **self._open(),
        }

    def _open(self) -> dict[str, Any]:
        """Return an auction that takes bids, with a bid of inzai-dc and a need of grid-t."""
        places, now = self.day.places, market_now()
        auction = auction_schedule(
            code="open",
            name="受付中",
            delivery_on=cast.DAY + timedelta(days=2),
            opens_at=now - timedelta(hours=1),
            gate_closure_at=now + timedelta(hours=1),
            grid_model=places.grid_model,
        )
        Auction.objects.filter(id=auction.id).update(state=AuctionState.OPEN)
        cast.base_flows(places, auction)
        Area.objects.create(code="02", name="東北", name_en="Tohoku", frequency_hz=50)
        here = f"/api/v1/auctions/{auction.code}"
        bid = self.clients["inzai"].post(f"{here}/bids", {**BID, "client_bid_id": "mine"}).json()
        need = self.clients["grid_t"].post(f"{here}/needs", {**NEED, "code": "ours"}).json()
        return {
            "open": auction.code,
            "open_bid": uuid.UUID(bid["bid_id"]),
            "open_need": uuid.UUID(need["needs"][0]["id"]),
            "branch": places.points["inzai-line"].branch.code,
        }

    def _dispatched(self) -> dict[str, Any]:
        """Return a conditional connection of grid-t, and a unit of inzai-dc."""
        places, now = self.day.places, market_now()
        return {
            "connection": FlexibleConnection.objects.create(
                site=places.sites["inzai"],
                organisation=places.people.grid_t,
                firm_kw=500,
                flexible_kw=500,
                heartbeat_s=30,
                failsafe_s=90,
                created_at=now,
            ).id,
            "unit": ResourceUnit.objects.create(
                resource=places.resources["inzai-load"],
                code="hall-b",
                rank=1,
                limit_up_kw=500,
                limit_down_kw=500,
                added_at=now,
            ).id,
        }

    def _requests(self) -> dict[str, Any]:
        """Return what waits for grid-t's second person, and a webhook of inzai-dc."""
        people = self.day.places.people
        webhook, _ = subscription_create(
            organisation=people.inzai_dc,
            url="https://hooks.example.com/",
            topics=["auction.opened"],
        )
        return {
            "approval": approval_request(
                kind="need.publish",
                organisation=people.grid_t,
                subject=self.day.needs["local"],
                content=b"",
                maker="system",
            ).id,
            "webhook": webhook.id,
            "message": OutboxMessage.objects.create(
                destination=webhook.url, body="{}", cause="ping", subscription=webhook
            ).id,
        }

    def _identities(self) -> dict[str, Any]:
        """Return who and what is of inzai-dc: a role, an invitation, a machine, a session."""
        inzai = self.day.places.people.inzai_dc
        person = Membership.objects.get(user__username="operator_trader-at-inzai-dc")
        return {
            "organisation": inzai.code,
            "member": person.uid,
            "invitation": invitation_create(
                organisation=inzai,
                email="hana@example.jp",
                role=Role.OPERATOR_VIEWER,
                invited_by="system",
                address="https://market.example.jp/",
            ).id,
            "client": api_client_create(organisation=inzai, client_id="inzai-robot")[0].id,
            "session": UserSession.objects.create(
                user=person.user,
                session_key=self.clients["inzai"].session.session_key,
                ip="192.0.2.1",
                user_agent="Firefox",
            ).pk,
        }

    def _registered(self) -> dict[str, Any]:
        """Return what inzai-dc agreed on and asked for its battery."""
        places = self.day.places
        inzai = places.people.inzai_dc
        site, battery = places.sites["inzai"], places.resources["inzai-battery"]
        path = OpticalPath.objects.create(
            owner=inzai,
            code="inzai-loop",
            name="構内",
            from_site=site,
            to_site=site,
            capacity_gb=1,
            price_jpy_per_gb=1,
            latency_ms=1,
        )
        WorkloadClass.objects.create(
            resource=battery, kind="BATCH", pool="CPU", power_kw=1, slack_h=1, value_jpy_per_kwh=1
        )
        asked = prequalification_request(
            resource=battery,
            product=MarketProduct.objects.create(
                code="ready", response_s=1, quantity_min_kw=1, quantity_tick_kw=1
            ),
            area=places.area,
            by=Caller(organisation=inzai, actor="system"),
            quantity_kw=Decimal(1),
            security_confirmed_to_on=None,
            is_metered=False,
        )
        pdf = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
        now = market_now()
        trial = Trial.objects.create(
            prequalification=asked,
            resource=battery,
            organisation=inzai,
            direction="UP",
            quantity_kw=1,
            response_s=1,
            send_at=now,
            starts_at=now + timedelta(hours=1),
            ends_at=now + timedelta(hours=2),
            state="SENT",
            ordered_by="system",
            ordered_at=now,
        )
        return {
            "trial": trial.id,
            "consent": Consent.objects.create(
                site=site,
                granted_by=inzai,
                granted_to=cast.organisation("tenant", "DC_OPERATOR", "借主", "Tenant"),
                valid_from_on=cast.DAY,
            ).id,
            "agreement": revenue_agreement_propose(
                site=site,
                proposed_by=inzai,
                actor="system",
                shares=[(inzai, Decimal(1))],
                days=Days(from_on=cast.DAY),
            ).id,
            "optical_path": path.code,
            "prequalification": asked.id,
            "file": prequalification_file_add(
                row=asked,
                by=Caller(organisation=inzai, actor="system"),
                file=file_checked("a.pdf", "application/pdf", pdf),
            ).id,
        }

    def _settled(self) -> dict[str, Any]:
        """Return a meter of inzai-dc, a statement of it and a dispute with a file."""
        people, at = self.day.places.people, self.day.auction.gate_closure_at
        battery = self.day.places.resources["inzai-battery"]
        meter = meter_register(point_number=f"03{101:020d}", resource=battery)
        account = ledger_account_open(
            organisation=people.inzai_dc, code="member", name="参加者勘定", kind="MEMBER"
        )
        period = SettlementPeriod.objects.create(
            start_on=cast.DAY, end_on=cast.DAY + timedelta(days=1)
        )
        SettlementItem.objects.create(
            period=period,
            close_number=1,
            account_id=account.pk,
            item="SELLER_ENERGY",
            total_exact_jpy=0,
            amount_jpy=0,
            posted_before_jpy=0,
        )
        dispute = Dispute.objects.create(
            organisation=people.inzai_dc,
            counterparty=people.platform,
            reason_code="OTHER",
            reason="誤り",
            disputed_exact_jpy=1,
            opened_at=at,
        )
        pdf = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
        now = market_now()
        return {
            "point_number": meter.point_number,
            "force_majeure": force_majeure_request(
                organisation=people.inzai_dc,
                site=self.day.places.sites["inzai"],
                starts_at=now - timedelta(hours=1),
                ends_at=now,
                reason="落雷",
                evidence=file_checked("a.pdf", "application/pdf", pdf),
                actor="system",
            ).id,
            "document": Document.objects.create(
                kind="STATEMENT",
                organisation=people.inzai_dc,
                period=period,
                revision=1,
                fiscal_year=2026,
                sequence=1,
                number="S2026-000001",
                close_number=1,
                issued_at=at,
                issued_on=cast.DAY,
                tax_jpy=0,
                total_jpy=0,
                content=_statement(),
                content_sha256="0" * 64,
            ).id,
            "dispute": dispute.id,
            "evidence": dispute_evidence_add(
                dispute_id=dispute.id,
                organisation=people.inzai_dc,
                file=file_checked("a.pdf", "application/pdf", pdf),
                actor="system",
            ).id,
        }

    def secrets(self) -> list[str]:
        """Texts that only inzai-dc and the market may see in an answer."""
        return [
            *(str(bid.id) for name, bid in self.day.bids.items() if name.startswith("inzai")),
            *(bid.client_bid_id for name, bid in self.day.bids.items() if name.startswith("inzai")),
            *(str(award.id) for name, award in self.day.awards.items() if name.startswith("inzai")),
        ]


def _statement() -> dict[str, Any]:
    """Return a statement of nothing."""
    house = Party(code="wattbit", name="市場", name_en="Market", registration_number="")
    frame = Frame(
        kind=DocumentKind.STATEMENT,
        number="S2026-000001",
        revision=1,
        issued_on=cast.DAY,
        start_on=cast.DAY,
        end_on=cast.DAY + timedelta(days=1),
        issuer=house,
        recipient=house,
    )
    return tax_document(frame, [], [], DocumentRules(), names={})
