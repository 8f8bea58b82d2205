"""What a run comes to, kept when a close first asks."""

from django.db import migrations

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
        migrations.RunSQL(CREATE, DROP),
    ]
