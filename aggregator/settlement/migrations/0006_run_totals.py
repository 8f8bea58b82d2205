"""What a run comes to, kept when a close first asks."""

import django.db.models.deletion
from django.db import migrations, models

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_runtotal
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_runtotal
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""
DROP = """
DROP TRIGGER append_only_all ON settlement_runtotal;
DROP TRIGGER append_only ON settlement_runtotal;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0002_guards"),
        ("settlement", "0005_payments"),
    ]

    operations = [
        migrations.CreateModel(
            name="RunTotal",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "item",
                    models.CharField(
                        choices=[
                            ("NEED_CHARGE", "調整力利用料"),
                            ("SELLER_ENERGY", "電力量料金"),
                            ("SHORTFALL_REFUND", "未達返還"),
                            ("SHORTFALL_PENALTY", "未達ペナルティ"),
                            ("SHORTFALL_CREDIT", "未達分の返金"),
                            ("CONGESTION_RENT", "混雑収入"),
                            ("LINK_RENT", "連系収入"),
                            ("PATH_FEE", "光パス利用料"),
                            ("PLATFORM_FEE", "市場利用手数料"),
                            ("REVENUE_SPLIT", "収益分配"),
                            ("DEVIATION", "インバランス"),
                            ("CAPACITY_CHARGE", "調整力（ΔkW）利用料"),
                            ("CAPACITY", "調整力（ΔkW）料金"),
                            ("COMPUTE_CHARGE", "計算利用料"),
                            ("COMPUTE", "計算提供料"),
                            ("ENVELOPE", "受電枠料金"),
                            ("ENVELOPE_PENALTY", "受電枠超過金"),
                            ("TRUNK_RENT", "光幹線収入"),
                            ("PAYMENT_RULE", "支払規則による調整"),
                            ("MARKET_FEE", "市場手数料（買い手）"),
                            ("ACTIVATION_UP", "上げ調整電力量料金（V1）"),
                            ("ACTIVATION_DOWN", "下げ調整電力量料金（V2）"),
                            ("CAPACITY_PENALTY_I", "アセスメントIペナルティ"),
                            ("CAPACITY_PENALTY_II", "アセスメントIIペナルティ"),
                            ("CAPACITY_CREDIT", "調整力不適合の返金"),
                            ("EXCHANGE_FEE", "取引所手数料"),
                            ("NEGAWATT_COMPENSATION", "ネガワット調整金"),
                            ("IMBALANCE_CAUSED", "未達によるインバランス負担"),
                            ("REPLACEMENT", "差替電力量料金"),
                            ("ADJUSTMENT", "異議訂正の負担"),
                            ("RESIDUAL", "公表値の端数"),
                        ],
                        max_length=24,
                        verbose_name="項目",
                    ),
                ),
                (
                    "total_exact_jpy",
                    models.DecimalField(
                        decimal_places=6, max_digits=22, verbose_name="合計（円、端数あり）"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.ledgeraccount",
                        verbose_name="勘定",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="totals",
                        to="settlement.settlementrun",
                        verbose_name="精算",
                    ),
                ),
            ],
            options={
                "verbose_name": "精算の合計",
                "verbose_name_plural": "精算の合計",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "account", "item"), name="runtotal_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("total_exact_jpy__gte", -1000000000000000),
                            ("total_exact_jpy__lte", 1000000000000000),
                        ),
                        name="runtotal_total_exact_jpy",
                    ),
                ],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
