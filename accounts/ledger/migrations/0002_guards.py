"""Nothing in the ledger is edited: neither by the ORM nor by hand."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON ledger_ledgeraccount
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('name');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_transfer
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only_all ON ledger_transfer;
DROP TRIGGER append_only ON ledger_transfer;
DROP TRIGGER only_columns ON ledger_ledgeraccount;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
