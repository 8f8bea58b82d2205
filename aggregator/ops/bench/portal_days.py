"""What came of the bids of :mod:`portal_books` as SQL: results, orders, deliveries, money."""

from __future__ import annotations

from typing import Final

RESULTS_SQL: Final = (
    """
    INSERT INTO clearing_clearingprice (run_id, kind, site_id, t, start_at, price_jpy_per_kwh)
    SELECT run_id, 'PLACE', id, t, start_at + t * interval '30 minutes', 8 + (s + t) %% 40
    FROM bench_day, bench_site, generate_series(0, 47) AS t WHERE day BETWEEN 1 - %(priced)s AND 0
    """,
    """
    INSERT INTO clearing_clearingprice (run_id, kind, area_id, t, start_at, price_jpy_per_kwh)
    SELECT run_id, 'AREA', lpad(area::text, 2, '0'), t, start_at + t * interval '30 minutes',
           8 + (area + t) %% 40
    FROM bench_day, generate_series(1, %(areas)s) AS area, generate_series(0, 47) AS t
    WHERE day < 1
    """,
    """
    INSERT INTO clearing_clearingprice (run_id, kind, need_id, t, start_at, price_jpy_per_kwh,
        served_kw, unserved_kw)
    SELECT run_id, 'NEED', n.id, t, start_at + t * interval '30 minutes', 30,
           n.quantity_kw[t + 1], 0
    FROM bench_day JOIN trading_need n USING (auction_id), generate_series(0, 47) AS t
    WHERE day < 1 AND day > -%(awarded)s
    """,
    """
    INSERT INTO clearing_elementflow (run_id, congestion_point_id, t, before_kw, after_kw)
    SELECT run_id, c.id, t, b.base_flow_kw[t + 1], b.base_flow_kw[t + 1] - 15000
    FROM bench_day JOIN trading_baseflow b USING (auction_id)
    JOIN registry_congestionpoint c ON c.id = b.congestion_point_id, generate_series(0, 47) AS t
    WHERE day < 1
    """,
    """
    INSERT INTO clearing_rentshare (run_id, kind, code, organisation_id, amount_jpy)
    SELECT run_id, 'ELEMENT', c.code, c.owner_id, 1000 FROM bench_day, registry_congestionpoint c
    WHERE c.grid_model_id = md5('grid')::uuid AND day BETWEEN 1 - %(priced)s AND 0
    """,
    """
    INSERT INTO clearing_award (id, run_id, auction_id, bid_id, organisation_id, resource_id, leg,
        direction, version)
    SELECT md5('award' || day || '-' || s)::uuid, run_id, auction_id,
           md5('bid' || day || '-' || CASE WHEN s = 1 THEN %(sites)s ELSE s - 1 END)::uuid,
           organisation_id, resource_id, 'STEPS',
           CASE WHEN s %% 5 = 0 THEN 'DOWN' ELSE 'UP' END, 1
    FROM bench_day, bench_site WHERE day BETWEEN 1 - %(awarded)s AND 0
    """,
    """
    INSERT INTO clearing_awardinterval (award_id, t, start_at, quantity_kw, price_jpy_per_kwh)
    SELECT md5('award' || day || '-' || s)::uuid, t, start_at + t * interval '30 minutes',
           1000 + s, 8 + (s + t) %% 40
    FROM bench_day, bench_site, generate_series(24, 35) AS t WHERE day BETWEEN 1 - %(awarded)s AND 0
    """,
)
ORDERS_SQL: Final = (
    """
    INSERT INTO dispatch_dispatchinstruction (id, award_id, version, bid_id, organisation_id,
        resource_id, direction, starts_at, ends_at, send_at, respond_by_at, state, reason, token,
        sent_at, acknowledged_at, started_at, finished_at, response_s)
    SELECT md5('order' || a.id)::uuid, a.id, 1, a.bid_id, a.organisation_id, a.resource_id,
           a.direction, start_at + interval '12 hours', start_at + interval '18 hours',
           start_at - interval '8 hours', start_at + interval '11 hours',
           CASE WHEN day < 0 THEN 'FINISHED' WHEN s %% 7 = 0 THEN 'SENT'
                WHEN s %% 50 = 1 THEN 'UNREACHED' ELSE 'ACTIVE' END, '', 3,
           start_at - interval '8 hours', start_at - interval '7 hours',
           start_at + interval '12 hours',
           CASE WHEN day < 0 THEN start_at + interval '18 hours' END, 1800
    FROM bench_day JOIN clearing_award a USING (auction_id)
    JOIN bench_site b ON b.resource_id = a.resource_id
    """,
    """
    INSERT INTO dispatch_instructioninterval (instruction_id, t, start_at, quantity_kw)
    SELECT md5('order' || award_id)::uuid, t, start_at, quantity_kw FROM clearing_awardinterval
    """,
    """
    INSERT INTO dispatch_servedneed (award_id, need_id, organisation_id)
    SELECT a.id, n.id, n.organisation_id FROM clearing_award a JOIN trading_need n
      ON n.auction_id = a.auction_id AND n.kind = 'BALANCE' AND n.direction = a.direction
    JOIN bench_site b ON b.resource_id = a.resource_id AND n.area_id = lpad(b.area::text, 2, '0')
    """,
    """
    INSERT INTO dispatch_sitereport (id, kind, start_at, power_kw, number, noted_at,
        organisation_id, resource_id)
    SELECT md5('report' || s || '-' || t)::uuid, 'DELIVERED',
           %(today_at)s::timestamptz + t * interval '30 minutes', 950 + s, t,
           %(today_at)s::timestamptz + t * interval '30 minutes', organisation_id, resource_id
    FROM bench_site, generate_series(24, 25) AS t
    """,
    """
    INSERT INTO jobs_job (id, kind, key, payload, state, due_at, token, attempts_count,
        attempts_max, step, error, created_at)
    SELECT md5('job' || n)::uuid, 'market.trading.gate_close', 'bench-' || n, '{}',
           CASE WHEN n %% 1000 = 0 THEN 'QUARANTINED' WHEN n %% 250 = 1 THEN 'READY'
                ELSE 'DONE' END,
           %(today_at)s::timestamptz - n * interval '1 minute', 1, 1, 5, '', '',
           %(today_at)s::timestamptz - n * interval '1 minute'
    FROM generate_series(1, %(jobs)s) AS n
    """,
    """
    INSERT INTO control_alarm (id, kind, key, priority, subject, text, state, count, version,
        raised_at, repeated_at, cleared_at)
    SELECT md5('alarm' || n)::uuid, 'instruction.silent', 'bench-' || n, 2,
           'dispatch.dispatchinstruction:' || o.id, '',
           CASE WHEN n <= 60 THEN 'RAISED' ELSE 'CLEARED' END, 1, 1,
           %(today_at)s::timestamptz - n * interval '1 minute',
           %(today_at)s::timestamptz - n * interval '1 minute',
           CASE WHEN n > 60 THEN %(today_at)s::timestamptz END
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM dispatch_dispatchinstruction) AS o
    WHERE n <= %(alarms)s
    """,
)
MONEY_SQL: Final = (
    """
    INSERT INTO ledger_ledgeraccount (organisation_id, code, name, kind)
    SELECT id, 'member', '参加者勘定', 'MEMBER' FROM parties_organisation
    WHERE kind IN ('DC_OPERATOR', 'TSO')
    UNION ALL SELECT id, opened.code, opened.code, opened.kind FROM parties_organisation AS house,
        (VALUES ('clearing', 'CLEARING'), ('fee', 'REVENUE'), ('rounding', 'ROUNDING'),
                ('exchange-fee', 'REVENUE'), ('bank', 'BANK')) AS opened (code, kind)
    WHERE house.kind = 'AGGREGATOR'
    """,
    """
    INSERT INTO metering_deliveryverification (auction_id, revision, stage, as_of, ruleset_id,
        input_sha256)
    SELECT auction_id, 1, 'FINAL', start_at + interval '2 days', %(ruleset)s, '' FROM bench_day
    WHERE day BETWEEN 1 - %(awarded)s AND -1 ORDER BY day
    """,
    """
    INSERT INTO metering_delivery (verification_id, award_id, t, start_at, ordered_kwh,
        baseline_kwh, metered_kwh, delivered_kwh, shortfall_kwh, over_kwh, reading_revision,
        reading_stage)
    SELECT v.id, a.id, i.t, i.start_at, i.quantity_kw / 2, 9000, 8000,
           CASE WHEN i.t %% 12 = 0 THEN i.quantity_kw * 0.4 ELSE i.quantity_kw / 2 END,
           CASE WHEN i.t %% 12 = 0 THEN i.quantity_kw * 0.1 ELSE 0 END, 0, 1, 3
    FROM metering_deliveryverification v JOIN clearing_award a USING (auction_id)
    JOIN clearing_awardinterval i ON i.award_id = a.id
    """,
    """
    INSERT INTO metering_baseline (id, verification_id, resource_id, delivery_on, revision,
        method, variant, baseline_kwh, adjustment_kwh, days_used, reason, computed_at, is_locked)
    SELECT md5('baseline' || v.id || '-' || s)::uuid, v.id, b.resource_id, d.delivery_on, 1,
           'HIGH_4_OF_5', '', array_fill(9000.0, ARRAY[48]), 0, '{}', '', v.as_of, true
    FROM metering_deliveryverification v JOIN bench_day d USING (auction_id), bench_site b
    """,
    """
    INSERT INTO settlement_settlementrun (auction_id, verification_id, kind, revision,
        input_sha256, ruleset_version, executed_at, cause_kind, cause_id)
    SELECT auction_id, id, 'FINAL', 1, '', %(ruleset)s, as_of, '', ''
    FROM metering_deliveryverification ORDER BY id
    """,
    """
    INSERT INTO settlement_settlementline (run_id, item, payer_id, payee_id, award_id, t,
        start_at, quantity_kwh, price_jpy_per_kwh, amount_exact_jpy)
    SELECT r.id, 'SELLER_ENERGY', house.id, member.id, d.award_id, d.t, d.start_at, d.ordered_kwh,
           20, d.ordered_kwh * 20
    FROM settlement_settlementrun r
    JOIN metering_delivery d ON d.verification_id = r.verification_id
    JOIN clearing_award a ON a.id = d.award_id
    JOIN ledger_ledgeraccount member
      ON member.organisation_id = a.organisation_id AND member.code = 'member'
    JOIN ledger_ledgeraccount house ON house.code = 'clearing'
    ORDER BY r.id
    """,
    """
    INSERT INTO settlement_settlementperiod (start_on, end_on, state, closed_at)
    SELECT m, m + interval '1 month', CASE WHEN n = 0 THEN 'OPEN' ELSE 'CLOSED' END,
           CASE WHEN n > 0 THEN m + interval '40 days' END
    FROM generate_series(0, %(months)s) AS n,
         LATERAL (SELECT date_trunc('month', %(today_on)s::date) - n * interval '1 month' AS m) AS o
    """,
    """
    INSERT INTO ledger_transfer (id, debit_id, credit_id, amount_jpy, state, code, period,
        posted_at, cause_kind, cause_id, detail)
    SELECT md5('transfer' || p.id || '-' || member.id || item)::uuid,
           CASE item WHEN 'SELLER_ENERGY' THEN house.id ELSE member.id END,
           CASE item WHEN 'SELLER_ENERGY' THEN member.id ELSE house.id END, 100000 + member.id,
           'POSTED', item, to_char(p.start_on, 'YYYY-MM-DD/') || to_char(p.end_on, 'YYYY-MM-DD'),
           p.closed_at, 'settlement.period', p.id::text, '{}'
    FROM settlement_settlementperiod p, ledger_ledgeraccount member, ledger_ledgeraccount house,
         unnest('{SELLER_ENERGY,SHORTFALL_REFUND,PLATFORM_FEE}'::text[]) AS item
    WHERE member.code = 'member' AND house.code = 'clearing' AND p.state = 'CLOSED'
    """,
    """
    INSERT INTO settlement_settlementitem (period_id, close_number, account_id, item,
        total_exact_jpy, amount_jpy, posted_before_jpy, transfer_id)
    SELECT t.cause_id::bigint, 1, m.id, t.code,
           CASE WHEN t.credit_id = m.id THEN 1 ELSE -1 END * t.amount_jpy,
           CASE WHEN t.credit_id = m.id THEN 1 ELSE -1 END * t.amount_jpy, 0, t.id
    FROM ledger_transfer t JOIN ledger_ledgeraccount m
      ON m.id IN (t.debit_id, t.credit_id) AND m.code = 'member'
    """,
)
