"""The edges that triggers allow are the edges of the tables in code."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from accounts.approvals.models import APPROVAL_TRANSITIONS
from accounts.jobs.models import TRANSITIONS as JOB_TRANSITIONS
from aggregator.control.models import ALARM_TRANSITIONS
from aggregator.dispatch.models import CONNECTION_TRANSITIONS, TRIAL_TRANSITIONS
from aggregator.dispatch.models import TRANSITIONS as INSTRUCTION_TRANSITIONS
from aggregator.metering.baseline_models import FINDING_TRANSITIONS
from aggregator.metering.excuse_models import EXCUSE_TRANSITIONS
from aggregator.outbox.models import MESSAGE_TRANSITIONS
from aggregator.protocols.uftp.models import OFFER_TRANSITIONS
from aggregator.settlement.dispute_models import DISPUTE_TRANSITIONS
from aggregator.settlement.documents_models import DOCUMENT_TRANSITIONS
from aggregator.settlement.payments_models import (
    BANK_ACCOUNT_TRANSITIONS,
    BATCH_TRANSITIONS,
    PAYMENT_TRANSITIONS,
)
from market.registry.models import PREQUALIFICATION_TRANSITIONS, REVENUE_TRANSITIONS
from market.trading.models import AUCTION_TRANSITIONS, NEED_TRANSITIONS

TABLES = {
    "approvals_approval": APPROVAL_TRANSITIONS,
    "control_alarm": ALARM_TRANSITIONS,
    "dispatch_dispatchinstruction": INSTRUCTION_TRANSITIONS,
    "dispatch_flexibleconnection": CONNECTION_TRANSITIONS,
    "dispatch_trial": TRIAL_TRANSITIONS,
    "jobs_job": JOB_TRANSITIONS,
    "outbox_outboxmessage": MESSAGE_TRANSITIONS,
    "registry_prequalification": PREQUALIFICATION_TRANSITIONS,
    "registry_revenueagreement": REVENUE_TRANSITIONS,
    "settlement_bankaccount": BANK_ACCOUNT_TRANSITIONS,
    "metering_forcemajeure": EXCUSE_TRANSITIONS,
    "metering_gamingfinding": FINDING_TRANSITIONS,
    "settlement_dispute": DISPUTE_TRANSITIONS,
    "settlement_document": DOCUMENT_TRANSITIONS,
    "settlement_paymentbatch": BATCH_TRANSITIONS,
    "settlement_paymentrow": PAYMENT_TRANSITIONS,
    "trading_auction": AUCTION_TRANSITIONS,
    "trading_need": NEED_TRANSITIONS,
    "uftp_flexoffer": OFFER_TRANSITIONS,
}


@pytest.mark.django_db
def test_the_database_lets_a_state_move_where_the_code_does_and_nowhere_else() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger "
            "WHERE tgname = 'transitions' AND NOT tgisinternal"
        )
        allowed = {table: set(re.findall(r"'(\w+>\w+)'", text)) for table, text in cursor}
    # a move to the same state is none to the trigger, which compares old and new
    wanted = {
        table: {f"{a}>{b}" for a, after in moves.items() for b in after if a != b}
        for table, moves in TABLES.items()
    }
    assert {table: edges for table, edges in allowed.items() if table in wanted} == wanted
    assert set(allowed) - set(wanted) == {
        "clearing_clearingrun",
        "settlement_settlementperiod",
        "trading_bid",
        "trading_standingbid",
    }  # their edges are in the migration only
