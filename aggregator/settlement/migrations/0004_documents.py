"""Documents: only their confirmation changes; a series goes on by one, files stay as made."""

import accounts.fields.keys
import django.db.models.deletion
from django.db import migrations, models


CREATE = """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'confirmed_at', 'confirmation_method', 'confirmed_by', 'dispute_id');
CREATE TRIGGER only_columns_all BEFORE TRUNCATE ON settlement_document
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'ISSUED>CONFIRMED', 'ISSUED>OBJECTED', 'OBJECTED>CONFIRMED');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_documentfile
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_documentfile
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE FUNCTION guard_series() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR NEW.last_sequence <> OLD.last_sequence + 1
       OR NEW.kind <> OLD.kind OR NEW.fiscal_year <> OLD.fiscal_year THEN
        RAISE EXCEPTION 'a series of documents goes on by one' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER series BEFORE UPDATE OR DELETE ON settlement_documentseries
    FOR EACH ROW EXECUTE FUNCTION guard_series();
"""
DROP = """
DROP TRIGGER series ON settlement_documentseries;
DROP FUNCTION guard_series();
DROP TRIGGER append_only_all ON settlement_documentfile;
DROP TRIGGER append_only ON settlement_documentfile;
DROP TRIGGER transitions ON settlement_document;
DROP TRIGGER only_columns_all ON settlement_document;
DROP TRIGGER only_columns ON settlement_document;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("parties", "0003_registration_check_digit"),
        ("settlement", "0003_corrections"),
    ]

    operations = [
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.fields.keys.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("STATEMENT", "支払通知書（仕入明細書）"),
                            ("INVOICE", "請求書（適格請求書）"),
                            ("ACCOUNT", "精算書"),
                        ],
                        max_length=10,
                        verbose_name="種類",
                    ),
                ),
                ("revision", models.PositiveIntegerField(verbose_name="版")),
                ("fiscal_year", models.PositiveSmallIntegerField(verbose_name="年度")),
                ("sequence", models.PositiveIntegerField(verbose_name="番号")),
                ("number", models.CharField(max_length=16, unique=True, verbose_name="文書番号")),
                ("close_number", models.PositiveIntegerField(verbose_name="締の回")),
                ("issued_at", models.DateTimeField(help_text="市場時計", verbose_name="発行日時")),
                ("issued_on", models.DateField(verbose_name="発行日")),
                ("tax_jpy", models.BigIntegerField(verbose_name="消費税 (円)")),
                ("total_jpy", models.BigIntegerField(help_text="税込", verbose_name="合計 (円)")),
                ("content", models.JSONField(verbose_name="内容")),
                ("content_sha256", models.CharField(max_length=64, verbose_name="内容のハッシュ")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("ISSUED", "発行済"),
                            ("CONFIRMED", "確認済"),
                            ("OBJECTED", "異議あり"),
                        ],
                        default="ISSUED",
                        max_length=10,
                        verbose_name="状態",
                    ),
                ),
                (
                    "objection_due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="異議申立期限"),
                ),
                (
                    "confirmed_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="確認日時"),
                ),
                (
                    "confirmation_method",
                    models.CharField(
                        blank=True,
                        choices=[("CLICK", "確認操作"), ("NO_OBJECTION", "期限内に異議なし")],
                        max_length=12,
                        verbose_name="確認方法",
                    ),
                ),
                (
                    "confirmed_by",
                    models.CharField(blank=True, max_length=60, verbose_name="確認者"),
                ),
                (
                    "corrects",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrected_by",
                        to="settlement.document",
                        verbose_name="訂正対象",
                    ),
                ),
                (
                    "dispute",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="documents",
                        to="settlement.dispute",
                        verbose_name="異議",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="documents",
                        to="parties.organisation",
                        verbose_name="相手方",
                    ),
                ),
                (
                    "period",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="documents",
                        to="settlement.settlementperiod",
                        verbose_name="精算期間",
                    ),
                ),
            ],
            options={
                "verbose_name": "文書",
                "verbose_name_plural": "文書",
                "ordering": ["-issued_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="DocumentFile",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "language",
                    models.CharField(
                        choices=[("ja", "日本語"), ("en", "英語")],
                        max_length=2,
                        verbose_name="言語",
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[("pdf", "PDF"), ("xlsx", "XLSX"), ("csv", "CSV")],
                        max_length=4,
                        verbose_name="形式",
                    ),
                ),
                ("content", models.BinaryField(verbose_name="内容")),
                ("sha256", models.CharField(max_length=64, verbose_name="ハッシュ")),
                ("size_bytes", models.PositiveIntegerField(verbose_name="大きさ (B)")),
                ("made_at", models.DateTimeField(verbose_name="作成日時")),
                (
                    "document",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="files",
                        to="settlement.document",
                        verbose_name="文書",
                    ),
                ),
            ],
            options={
                "verbose_name": "文書ファイル",
                "verbose_name_plural": "文書ファイル",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="DocumentSeries",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("STATEMENT", "支払通知書（仕入明細書）"),
                            ("INVOICE", "請求書（適格請求書）"),
                            ("ACCOUNT", "精算書"),
                        ],
                        max_length=10,
                        verbose_name="種類",
                    ),
                ),
                ("fiscal_year", models.PositiveSmallIntegerField(verbose_name="年度")),
                ("last_sequence", models.PositiveIntegerField(default=0, verbose_name="最終番号")),
            ],
            options={
                "verbose_name": "文書番号の系列",
                "verbose_name_plural": "文書番号の系列",
                "ordering": ["-fiscal_year", "kind"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "fiscal_year"), name="documentseries_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("last_sequence__gte", 0), ("last_sequence__lte", 999999)
                        ),
                        name="documentseries_last_sequence",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fiscal_year__gte", 2000), ("fiscal_year__lte", 2999)),
                        name="documentseries_fiscal_year",
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["organisation", "issued_on", "id"], name="document_partner"),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["issued_on", "id"], name="document_day"),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["total_jpy", "id"], name="document_amount"),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(
                fields=("period", "organisation", "kind", "revision"), name="document_revision"
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(
                fields=("kind", "fiscal_year", "sequence"), name="document_in_series"
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["STATEMENT", "INVOICE", "ACCOUNT"])),
                name="document_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["ISSUED", "CONFIRMED", "OBJECTED"])),
                name="document_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("corrects__isnull", True), ("revision", 1)),
                    models.Q(("corrects__isnull", False), ("revision__gt", 1)),
                    _connector="OR",
                ),
                name="document_corrects",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("confirmation_method__in", ["CLICK", "NO_OBJECTION"]),
                        ("confirmed_at__isnull", False),
                        ("state", "CONFIRMED"),
                    ),
                    models.Q(
                        models.Q(("state", "CONFIRMED"), _negated=True),
                        ("confirmation_method", ""),
                        ("confirmed_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="document_confirmation",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "OBJECTED"), _negated=True),
                    ("dispute__isnull", False),
                    _connector="OR",
                ),
                name="document_objection",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("total_jpy__gte", -1000000000000000), ("total_jpy__lte", 1000000000000000)
                ),
                name="document_total_jpy",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("tax_jpy__gte", -1000000000000000), ("tax_jpy__lte", 1000000000000000)
                ),
                name="document_tax_jpy",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("sequence__gte", 1), ("sequence__lte", 999999)),
                name="document_sequence",
            ),
        ),
        migrations.AddConstraint(
            model_name="documentfile",
            constraint=models.UniqueConstraint(
                fields=("document", "language", "format"), name="documentfile_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="documentfile",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("format__in", ["pdf", "xlsx", "csv"]), ("language__in", ["ja", "en"])
                ),
                name="documentfile_form",
            ),
        ),
        migrations.AddConstraint(
            model_name="documentfile",
            constraint=models.CheckConstraint(
                condition=models.Q(("size_bytes__gte", 1), ("size_bytes__lte", 50000000)),
                name="documentfile_size_bytes",
            ),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
