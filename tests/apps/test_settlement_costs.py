"""The cost-allocation report: who bore what for which congestion, tied to the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger.models import LedgerAccount
from accounts.ledger.selectors import trial_balance_at
from accounts.parties.models import Organisation
from aggregator.metering.verifications import verification_execute
from aggregator.settlement.closes import period_close, period_of_auction_ensure
from aggregator.settlement.costs import CostRow, cost_allocation, cost_allocation_csv
from aggregator.settlement.models import SettlementPeriod
from tests import settled_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def period(db: None) -> SettlementPeriod:
    # an uneven price leaves a fraction of a yen to round
    where = settled_day.settled_places({**settled_day.SETTLEMENT, "fee_ratio": "0.0203"})
    day = settled_day.published(where)
    settled_day.metered(day, scarce_kwh=Decimal("6500.333"))
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    return period_close(period_id=period_of_auction_ensure(auction=day.auction).pk)


def _of(rows: list[CostRow], **wanted: Any) -> list[tuple[str, Decimal]]:
    return [
        (row.item, row.net_exact_jpy)
        for row in rows
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]


def test_each_congestion_names_who_bore_it(period: SettlementPeriod) -> None:
    rows = cost_allocation(period=period)
    # The line: 6,000 kWh at 45 (180 in the scarce half hour) = 2,430,000, less 4 / 5 of what the
    # shortfall of 1,000.333 kWh gave back: 150,049.95 + 550.333 x 75 = 191,324.925 in all.
    line = _of(rows, place_kind="ELEMENT", place="inzai-line", organisation="grid-t")
    assert line == [
        ("NEED_CHARGE", Decimal(-2_430_000)),
        ("SHORTFALL_CREDIT", Decimal("153059.94")),
    ]
    # The area: its shortage of 1,890,000, the surplus that paid 90,000, and the last fifth.
    area = _of(rows, place_kind="AREA", place="03", organisation="grid-t")
    assert area == [
        ("NEED_CHARGE", Decimal(-1_800_000)),
        ("SHORTFALL_CREDIT", Decimal("38264.985")),
    ]


def test_the_rows_of_each_account_come_to_what_the_ledger_holds(period: SettlementPeriod) -> None:
    rows = cost_allocation(period=period)
    assert sum(row.net_exact_jpy for row in rows) == 0
    nets: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        key = (row.organisation, row.account)
        nets[key] = nets.get(key, Decimal(0)) + row.net_exact_jpy
    codes = dict(Organisation.objects.values_list("id", "code"))
    held = {
        (codes[balance.organisation_id], balance.code): balance.balance_jpy
        for balance in trial_balance_at().balances
    }
    assert {key: value for key, value in nets.items() if value} == {
        key: value for key, value in held.items() if value
    }
    assert any(row.item == "ROUNDING" for row in rows)
    assert not [row for row in rows if row.item == "UNPOSTED"]


def test_a_party_is_given_its_own_rows_and_the_file_says_the_same(
    period: SettlementPeriod,
) -> None:
    every = cost_allocation(period=period)
    own = LedgerAccount.objects.get(organisation__code="shiroi-dc", code="member")
    mine = cost_allocation(period=period, account_ids=[own.pk])
    assert mine == [row for row in every if row.organisation == "shiroi-dc"]
    text = cost_allocation_csv(mine).decode("utf-8-sig")
    assert text.splitlines()[0] == "区分,場所,組織,勘定,項目,コード,負担（円）,受取（円）"
    assert len(text.splitlines()) == 1 + len(mine)
    assert "エリア,03,shiroi-dc,member,電力量料金,SELLER_ENERGY,0,945000.000000" in text
