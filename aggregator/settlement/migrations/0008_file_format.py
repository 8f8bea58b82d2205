"""The form in which a batch's files left the house is written when it is released."""

from django.db import migrations, models

OFF = """
DROP TRIGGER with_state ON settlement_paymentbatch;
DROP TRIGGER only_columns ON settlement_paymentbatch;
"""
ON_BEFORE = """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'released_by', 'released_at', 'approval_id');
CREATE TRIGGER with_state BEFORE UPDATE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_with_state(
        'released_by', 'released_at', 'approval_id');
"""
# what was released before was the fixed-length file, the first form there was
FILL = """
UPDATE settlement_paymentbatch SET file_format = 'ZENGIN'
WHERE state NOT IN ('DRAFT', 'REJECTED');
"""
ON = """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'released_by', 'released_at', 'file_format', 'approval_id');
CREATE TRIGGER with_state BEFORE UPDATE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_with_state(
        'released_by', 'released_at', 'file_format', 'approval_id');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0002_guards"),
        ("settlement", "0007_facts_with_state"),
    ]

    operations = [
        migrations.RunSQL(OFF, ON_BEFORE),
        migrations.RemoveConstraint(
            model_name="paymentbatch",
            name="paymentbatch_release",
        ),
        migrations.AddField(
            model_name="paymentbatch",
            name="file_format",
            field=models.CharField(
                blank=True,
                choices=[("ZENGIN", "全銀総合振込"), ("PAIN001", "ISO 20022 pain.001")],
                max_length=8,
                verbose_name="送付形式",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="paymentbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("file_format", ""),
                        ("released_at__isnull", True),
                        ("state__in", ["DRAFT", "REJECTED"]),
                    ),
                    models.Q(
                        models.Q(("state__in", ["DRAFT", "REJECTED"]), _negated=True),
                        ("approval__isnull", False),
                        ("file_format__in", ["ZENGIN", "PAIN001"]),
                        ("released_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="paymentbatch_release",
            ),
        ),
        migrations.RunSQL(ON, OFF),
    ]
