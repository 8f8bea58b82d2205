"""Periods and what may change by its state alone are never emptied at one go either."""

from django.db import migrations

TABLES = (
    "settlement_settlementperiod",
    "settlement_dispute",
    "settlement_documentseries",
    "settlement_bankaccount",
    "settlement_paymentbatch",
    "settlement_paymentrow",
)
GUARDED = "\n".join(
    f"CREATE TRIGGER append_only_all BEFORE TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();"
    for table in TABLES
)
OPEN = "\n".join(f"DROP TRIGGER append_only_all ON {table};" for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("settlement", "0009_run_terms"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(GUARDED, OPEN)]
