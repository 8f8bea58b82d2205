"""Corrections of a final run, what decided disputes say, contracts on negawatt compensation."""

from django.db import migrations

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
        migrations.RunSQL(CREATE, DROP),
    ]
