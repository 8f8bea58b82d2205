"""Lines and items are added, never changed; a period only moves from open to closed."""

from django.db import migrations

FROZEN = ("settlement_settlementrun", "settlement_settlementline", "settlement_settlementitem")

CREATE = (
    "\n".join(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION guard_append_only();\n"
        f"CREATE TRIGGER append_only_all BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();"
        for table in FROZEN
    )
    + """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_settlementperiod
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'closed_at');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_settlementperiod
    FOR EACH ROW EXECUTE FUNCTION guard_transitions('OPEN>CLOSED');
"""
)
DROP = """
DROP TRIGGER transitions ON settlement_settlementperiod;
DROP TRIGGER only_columns ON settlement_settlementperiod;
""" + "\n".join(
    f"DROP TRIGGER append_only_all ON {table}; DROP TRIGGER append_only ON {table};"
    for table in FROZEN
)


class Migration(migrations.Migration):
    dependencies = [("settlement", "0001_initial"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
