"""Corrections of a final run, what decided disputes say, contracts on negawatt compensation."""

import django.db.models.deletion
from django.db import migrations, models

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_lineadjustment
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_lineadjustment
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_negawattcontract
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('valid_to_on');
"""
DROP = """
DROP TRIGGER only_columns ON settlement_negawattcontract;
DROP TRIGGER append_only_all ON settlement_lineadjustment;
DROP TRIGGER append_only ON settlement_lineadjustment;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0003_corrections"),
        ("parties", "0002_identity_first"),
        ("registry", "0002_guards"),
        ("settlement", "0002_guards"),
        ("trading", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="LineAdjustment",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "quantity_kwh",
                    models.DecimalField(
                        blank=True,
                        decimal_places=6,
                        max_digits=20,
                        null=True,
                        verbose_name="正しい電力量 (kWh)",
                    ),
                ),
                (
                    "price_jpy_per_kwh",
                    models.DecimalField(
                        blank=True,
                        decimal_places=6,
                        max_digits=14,
                        null=True,
                        verbose_name="正しい単価 (円/kWh)",
                    ),
                ),
                (
                    "amount_exact_jpy",
                    models.DecimalField(
                        blank=True,
                        decimal_places=6,
                        help_text="明細の向きで正；負は支払と受取が逆",
                        max_digits=22,
                        null=True,
                        verbose_name="正しい金額（円、端数あり）",
                    ),
                ),
            ],
            options={
                "verbose_name": "明細の訂正",
                "verbose_name_plural": "明細の訂正",
            },
        ),
        migrations.CreateModel(
            name="NegawattContract",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "method",
                    models.CharField(
                        choices=[
                            ("UNIT_PRICE", "単価"),
                            ("RETAIL_MINUS_WHEELING", "小売料金－託送料金"),
                            ("SPOT_LINKED", "スポット価格連動"),
                        ],
                        max_length=24,
                        verbose_name="方式",
                    ),
                ),
                (
                    "price_jpy_per_kwh",
                    models.DecimalField(
                        decimal_places=2, max_digits=8, verbose_name="単価 (円/kWh)"
                    ),
                ),
                (
                    "wheeling_jpy_per_kwh",
                    models.DecimalField(
                        decimal_places=2,
                        default=0,
                        help_text="小売料金－託送料金の方式のみ",
                        max_digits=8,
                        verbose_name="託送料金 (円/kWh)",
                    ),
                ),
                ("valid_from_on", models.DateField(verbose_name="開始日")),
                (
                    "valid_to_on",
                    models.DateField(blank=True, null=True, verbose_name="終了日（含まない）"),
                ),
                ("noted_at", models.DateTimeField(verbose_name="登録日時")),
            ],
            options={
                "verbose_name": "ネガワット調整金の契約",
                "verbose_name_plural": "ネガワット調整金の契約",
                "ordering": ["-valid_from_on", "-id"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="settlementrun",
            name="settlementrun_kind",
        ),
        migrations.AddField(
            model_name="settlementrun",
            name="cause_id",
            field=models.CharField(
                blank=True, default="", max_length=64, verbose_name="原因の番号"
            ),
        ),
        migrations.AddField(
            model_name="settlementrun",
            name="cause_kind",
            field=models.CharField(
                blank=True,
                choices=[
                    ("READING", "計量値の訂正"),
                    ("DISPUTE", "異議の認容"),
                    ("FORCE_MAJEURE", "不可抗力"),
                    ("PLACEMENT", "配置記録"),
                    ("ACTIVATION", "調整力の発動"),
                    ("RULE", "規則の訂正"),
                ],
                default="",
                max_length=16,
                verbose_name="訂正の原因",
            ),
        ),
        migrations.AddField(
            model_name="settlementrun",
            name="corrects",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrected_by",
                to="settlement.settlementrun",
                verbose_name="訂正対象",
            ),
        ),
        migrations.AlterField(
            model_name="dispute",
            name="corrected_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="disputes",
                to="settlement.settlementrun",
                verbose_name="訂正した精算",
            ),
        ),
        migrations.AlterField(
            model_name="settlementitem",
            name="item",
            field=models.CharField(max_length=24, verbose_name="項目"),
        ),
        migrations.AlterField(
            model_name="settlementline",
            name="item",
            field=models.CharField(
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
        migrations.AlterField(
            model_name="settlementrun",
            name="kind",
            field=models.CharField(
                choices=[("PROVISIONAL", "速報"), ("FINAL", "確定"), ("CORRECTION", "訂正")],
                max_length=12,
                verbose_name="種別",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["PROVISIONAL", "FINAL", "CORRECTION"])),
                name="settlementrun_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        (
                            "cause_kind__in",
                            [
                                "READING",
                                "DISPUTE",
                                "FORCE_MAJEURE",
                                "PLACEMENT",
                                "ACTIVATION",
                                "RULE",
                            ],
                        ),
                        ("corrects__isnull", False),
                        ("kind", "CORRECTION"),
                        models.Q(("cause_id", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("kind", "CORRECTION"), _negated=True),
                        ("cause_id", ""),
                        ("cause_kind", ""),
                        ("corrects__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="settlementrun_cause",
            ),
        ),
        migrations.AddField(
            model_name="lineadjustment",
            name="line",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="adjustments",
                to="settlement.settlementline",
                verbose_name="明細",
            ),
        ),
        migrations.AddField(
            model_name="lineadjustment",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="adjustments",
                to="settlement.settlementrun",
                verbose_name="訂正",
            ),
        ),
        migrations.AddField(
            model_name="negawattcontract",
            name="resource",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="negawatt_contracts",
                to="registry.resource",
                verbose_name="リソース",
            ),
        ),
        migrations.AddField(
            model_name="negawattcontract",
            name="retailer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="negawatt_contracts",
                to="parties.organisation",
                verbose_name="小売事業者",
            ),
        ),
        migrations.AddField(
            model_name="negawattcontract",
            name="site",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="negawatt_contracts",
                to="registry.site",
                verbose_name="拠点",
            ),
        ),
        migrations.AddConstraint(
            model_name="lineadjustment",
            constraint=models.UniqueConstraint(fields=("run", "line"), name="lineadjustment_once"),
        ),
        migrations.AddConstraint(
            model_name="lineadjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("amount_exact_jpy__isnull", True),
                        models.Q(
                            ("quantity_kwh__isnull", False),
                            ("price_jpy_per_kwh__isnull", False),
                            _connector="OR",
                        ),
                    ),
                    models.Q(
                        ("amount_exact_jpy__isnull", False),
                        ("price_jpy_per_kwh__isnull", True),
                        ("quantity_kwh__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="lineadjustment_says_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="lineadjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity_kwh__gte", 0), ("quantity_kwh__lte", 1000000000)),
                name="lineadjustment_quantity_kwh",
            ),
        ),
        migrations.AddConstraint(
            model_name="lineadjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("price_jpy_per_kwh__gte", -99999), ("price_jpy_per_kwh__lte", 99999)
                ),
                name="lineadjustment_price_jpy_per_kwh",
            ),
        ),
        migrations.AddConstraint(
            model_name="lineadjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_exact_jpy__gte", -1000000000000000),
                    ("amount_exact_jpy__lte", 1000000000000000),
                ),
                name="lineadjustment_amount_exact_jpy",
            ),
        ),
        migrations.AddConstraint(
            model_name="negawattcontract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("method__in", ["UNIT_PRICE", "RETAIL_MINUS_WHEELING", "SPOT_LINKED"])
                ),
                name="negawatt_method",
            ),
        ),
        migrations.AddConstraint(
            model_name="negawattcontract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("site__isnull", True), ("resource__isnull", True), _connector="OR"
                ),
                name="negawatt_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="negawattcontract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("method", "RETAIL_MINUS_WHEELING"),
                    ("wheeling_jpy_per_kwh", 0),
                    _connector="OR",
                ),
                name="negawatt_wheeling",
            ),
        ),
        migrations.AddConstraint(
            model_name="negawattcontract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_to_on__isnull", True),
                    ("valid_to_on__gt", models.F("valid_from_on")),
                    _connector="OR",
                ),
                name="negawatt_dates",
            ),
        ),
        migrations.AddConstraint(
            model_name="negawattcontract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("price_jpy_per_kwh__gte", -99999), ("price_jpy_per_kwh__lte", 99999)
                ),
                name="negawatt_price_jpy_per_kwh",
            ),
        ),
        migrations.AddConstraint(
            model_name="negawattcontract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("wheeling_jpy_per_kwh__gte", 0), ("wheeling_jpy_per_kwh__lte", 99999)
                ),
                name="negawatt_wheeling_jpy_per_kwh",
            ),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
