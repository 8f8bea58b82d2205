"""What money stands on is never emptied at one go either: neither whole tables nor a month's part.

A statement trigger of a partitioned table does not fire for TRUNCATE of a partition, so each has
one of its own; `partitions.py` gives it to new ones.
"""

from django.db import migrations

TABLES = (
    "metering_meter",
    "metering_declaredschedule",
    "metering_deliveryverification",
    "metering_baseline",
    "metering_delivery",
    "metering_forcemajeure",
    "metering_gamingfinding",
    "metering_intervalreading",
    "metering_finereading",
)
PARTITIONS = """
DO $$ DECLARE part regclass; BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent IN (
        'metering_intervalreading'::regclass, 'metering_finereading'::regclass)
    LOOP
        EXECUTE format({statement}, part);
    END LOOP;
END $$;
"""
GUARDED = "\n".join(
    f"CREATE TRIGGER append_only_all BEFORE TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();"
    for table in TABLES
) + PARTITIONS.format(
    statement="'CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %s "
    "FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only()'"
)
OPEN = "\n".join(
    f"DROP TRIGGER append_only_all ON {table};" for table in TABLES
) + PARTITIONS.format(statement="'DROP TRIGGER IF EXISTS append_only_all ON %s'")


class Migration(migrations.Migration):
    dependencies = [("metering", "0005_delivery_key_alone"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(GUARDED, OPEN)]
