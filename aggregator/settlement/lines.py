"""Write settlement lines in bulk.

The pure functions of :mod:`aggregator.core.settlement` say what a line is. For awards, of which a
month of a large market has millions, the same is said here once more in SQL; a property test
holds the two equal line by line.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.fields.copying import rows_copy
from aggregator.core.settlement import OF_THE_DAY, House, Item, Line, Share
from aggregator.core.terms import SettlementRules
from aggregator.settlement.bodies import (
    capacity_bodies,
    day_shares,
    delivery_bodies,
    netting,
    writer,
)
from aggregator.settlement.models import SettlementLine
from aggregator.settlement.positions import (
    CHANGED_SQL,
    DAY_SQL,
    WHOLE_CHAINED,
    WHOLE_PLAIN,
    WHOLE_SQL,
)

# Sen per kWh times Wh has five places: the column holds it as it is.
ENERGY_BODY = """
SELECT p.run_id, 'SELLER_ENERGY' AS item, %(clearing)s::bigint AS from_id, p.seller_id AS to_id,
       p.award_id, NULL::uuid AS need_id, NULL::text AS element, p.t, p.start_at,
       p.ordered_kwh AS quantity_kwh, p.price,
       CASE p.direction WHEN 'UP' THEN p.price ELSE -p.price END * p.ordered_kwh AS amount
FROM ({position}) AS p
"""

# What an award received for delivered energy is what it was paid less what it gave back; both
# are exact, so a share of the difference is a share of the receipts.
SHARES_SQL = """
INSERT INTO settlement_settlementline (
    run_id, item, payer_id, payee_id, award_id, quantity_kwh, amount_exact_jpy)
SELECT r.run_id, share.item, r.seller_id, share.account_id, r.award_id, r.received_kwh,
       round(r.received_jpy * share.weight, 6)
FROM (
    SELECT l.run_id, l.award_id,
           CASE l.item WHEN 'SELLER_ENERGY' THEN l.payee_id ELSE l.payer_id END AS seller_id,
           sum(CASE l.item WHEN 'SELLER_ENERGY' THEN l.quantity_kwh ELSE -l.quantity_kwh END)
               AS received_kwh,
           sum(CASE l.item WHEN 'SELLER_ENERGY' THEN l.amount_exact_jpy
                           ELSE -l.amount_exact_jpy END) AS received_jpy
    FROM settlement_settlementline l
    WHERE l.run_id = ANY(%(runs)s)
      AND ((l.item = 'SELLER_ENERGY' AND l.payer_id = %(clearing)s)
           OR (l.item = 'SHORTFALL_REFUND' AND l.payee_id = %(clearing)s))
    GROUP BY 1, 2, 3
) AS r
JOIN clearing_award a ON a.id = r.award_id
JOIN registry_resource resource ON resource.id = a.resource_id
JOIN LATERAL (
    SELECT 'PLATFORM_FEE' AS item, %(fee_account)s::bigint AS account_id,
           %(fee)s::numeric AS weight
    UNION ALL
    SELECT 'REVENUE_SPLIT', split.account_id, split.weight
    FROM unnest(%(sites)s::uuid[], %(split_accounts)s::bigint[], %(split_weights)s::numeric[])
        AS split (site_id, account_id, weight)
    WHERE split.site_id = resource.site_id
) AS share ON share.account_id <> r.seller_id
WHERE round(r.received_jpy * share.weight, 6) <> 0
"""

# What follows from deliveries and assessments; the rest is as published.
MEASURED = frozenset(
    {
        Item.SHORTFALL_REFUND, Item.SHORTFALL_PENALTY, Item.SHORTFALL_CREDIT, Item.REPLACEMENT,
        Item.NEGAWATT_COMPENSATION, Item.IMBALANCE_CAUSED, Item.CAPACITY_PENALTY_I,
        Item.CAPACITY_PENALTY_II, Item.CAPACITY_CREDIT, Item.ACTIVATION_UP, Item.ACTIVATION_DOWN,
    }
)  # fmt: skip
STAGED_SQL = """
SELECT 'settlement_weight' WHERE EXISTS (SELECT 1 FROM settlement_weight) UNION ALL
SELECT 'settlement_negawatt' WHERE EXISTS (SELECT 1 FROM settlement_negawatt) UNION ALL
SELECT 'settlement_imbalance' WHERE EXISTS (SELECT 1 FROM settlement_imbalance) UNION ALL
SELECT 'settlement_assessed' WHERE EXISTS (SELECT 1 FROM settlement_assessed)
"""
LINE_COLUMNS = (
    "run_id",
    "item",
    "payer_id",
    "payee_id",
    "award_id",
    "need_id",
    "element",
    "t",
    "start_at",
    "quantity_kwh",
    "price_jpy_per_kwh",
    "quantity_gb",
    "price_jpy_per_gb",
    "amount_exact_jpy",
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the statements of some runs are told: rules, accounts, and who shares with whom.

    Attributes
    ----------
    sellers
        Organisation to its account.
    splits
        Site to the parts of its receipts that are passed on.
    """

    rules: SettlementRules
    house: House
    sellers: Mapping[UUID, str]
    splits: Mapping[UUID, Sequence[Share]]

    @property
    def has_shares(self) -> bool:
        """Whether anything is taken from receipts at all."""
        return bool(self.rules.fee_ratio) or any(self.splits.values())

    def parameters(self, run_ids: Sequence[int]) -> dict[str, Any]:
        """Return the values behind the statements' names."""
        parts = [(site, share) for site, shares in self.splits.items() for share in shares]
        rules = self.rules
        return {
            "runs": list(run_ids),
            "clearing": int(self.house.clearing),
            "organisations": list(self.sellers.keys()),
            "accounts": [int(account) for account in self.sellers.values()],
            "tolerance": rules.tolerance_ratio,
            "factor": rules.penalty_factor_ratio,
            "fee": rules.fee_ratio,
            "fee_account": int(self.house.fee),
            "sites": [site for site, _ in parts],
            "split_accounts": [int(share.account) for _, share in parts],
            "split_weights": [share.weight for _, share in parts],
            "declared": rules.penalties.declared_factor_ratio,
            "penalty_i": rules.penalties.penalty_i_factor_ratio,
            "penalty_ii": rules.penalties.penalty_ii_factor_ratio,
            "negawatt_by": rules.negawatt_borne_by,
            "imbalance_by": rules.imbalance_borne_by,
        }


def award_lines_insert(*, run_ids: Sequence[int], terms: Terms, is_chained: bool = False) -> int:
    """Write every award's lines for some whole runs, by a few set-based statements.

    What else the statements need stands in the scratch tables of
    :mod:`aggregator.settlement.positions`, staged before.

    Parameters
    ----------
    run_ids
        Runs whose verified deliveries are to be settled, under the same terms.
    terms
        Rules and accounts.
    is_chained
        Whether a verification corrects another; a chain has to be searched for what counts.

    Returns
    -------
    int
        How many lines were written.
    """
    deliveries = WHOLE_CHAINED if is_chained else WHOLE_PLAIN
    position = WHOLE_SQL.format(deliveries=deliveries)
    staged = _staged()
    bodies = delivery_bodies(
        position,
        staged=staged,
        negawatt_by=terms.rules.negawatt_borne_by,
        imbalance_by=terms.rules.imbalance_borne_by,
    )
    statements = [writer(body) for body in [ENERGY_BODY.format(position=position), *bodies]]
    if terms.has_shares:
        statements.append(SHARES_SQL)
    if "settlement_assessed" in staged:
        statements += [writer(body) for body in capacity_bodies()]
    return _executed(statements, terms.parameters(run_ids))


def correction_lines_insert(*, run_ids: Sequence[int], terms: Terms) -> int:
    """Write what corrections change, and nothing else; see :func:`award_lines_insert`."""
    staged = _staged()
    bodies = delivery_bodies(
        CHANGED_SQL,
        staged=staged,
        negawatt_by=terms.rules.negawatt_borne_by,
        imbalance_by=terms.rules.imbalance_borne_by,
    )
    if terms.has_shares:
        bodies.append(day_shares(DAY_SQL))
    if "settlement_assessed" in staged:
        bodies += capacity_bodies()
    return _executed([netting(body) for body in bodies], terms.parameters(run_ids))


def _staged() -> set[str]:
    """Return the scratch tables that hold anything."""
    with connection.cursor() as cursor:
        cursor.execute(STAGED_SQL)
        return {row[0] for row in cursor}


def _executed(statements: Sequence[str], parameters: Mapping[str, Any]) -> int:
    written = 0
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, parameters)
            written += cursor.rowcount
    return written


def lines_copy(*, run_id: int, lines: Iterable[Line], starts_at: Sequence[datetime]) -> int:
    """Write lines of the pure core; returns how many."""
    rows = [_row(run_id, line, starts_at) for line in lines]
    if rows:
        rows_copy(SettlementLine, LINE_COLUMNS, rows)
    return len(rows)


def _row(run_id: int, line: Line, starts_at: Sequence[datetime]) -> tuple[Any, ...]:
    return (
        run_id,
        line.item.value,
        line.payer,
        line.payee,
        line.award,
        line.need,
        line.element,
        line.t,
        None if line.t is None else starts_at[line.t],
        line.quantity_kwh,
        line.price_jpy_per_kwh,
        line.quantity_gb,
        line.price_jpy_per_gb,
        line.amount_exact_jpy,
    )


LEFT_SQL = """
SELECT run_id, CASE WHEN item = ANY(%(of_the_day)s) THEN NULL ELSE t END,
       sum(CASE WHEN payee_id = %(clearing)s THEN amount_exact_jpy
                ELSE -amount_exact_jpy END)
FROM settlement_settlementline
WHERE run_id = ANY(%(runs)s) AND %(clearing)s IN (payer_id, payee_id)
  AND (%(items)s::text[] IS NULL OR item = ANY(%(items)s::text[]))
GROUP BY 1, 2
"""
Left = dict[int | None, Decimal]


def clearing_left_by_run(
    *, run_ids: Sequence[int], clearing: str, items: Collection[Item] | None = None
) -> dict[int, Left]:
    """Sum what lines of runs, or those of some items, leave in the clearing account [JPY].

    By run and half hour. Optical paths are charged by the day and paid by the half hour; they
    count for the day.
    """
    left: dict[int, Left] = {run_id: {} for run_id in run_ids}
    with connection.cursor() as cursor:
        cursor.execute(
            LEFT_SQL,
            {
                "runs": list(run_ids),
                "clearing": int(clearing),
                "of_the_day": sorted(item.value for item in OF_THE_DAY),
                "items": None if items is None else sorted(item.value for item in items),
            },
        )
        for run_id, t, amount_jpy in cursor:
            left[run_id][t] = amount_jpy
    return left


def clearing_left(*, run_id: int, clearing: str, items: Collection[Item] | None = None) -> Left:
    """Sum what one run's lines leave; see :func:`clearing_left_by_run`."""
    return clearing_left_by_run(run_ids=[run_id], clearing=clearing, items=items)[run_id]
