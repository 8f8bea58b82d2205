"""The readings table, partitioned by month, and the guards of this app.

No default partition: a reading of a month that nobody prepared is refused. Rows are never
changed, so the key may carry the revision. The sequence feeds `id` in every version of
PostgreSQL (identity columns of partitioned tables came with 17).
"""

from django.db import migrations

CREATE = """
CREATE SEQUENCE metering_intervalreading_id_seq AS bigint CACHE 100;
CREATE TABLE metering_intervalreading (
    id bigint NOT NULL DEFAULT nextval('metering_intervalreading_id_seq'),
    meter_id bigint NOT NULL,
    start_at timestamptz NOT NULL,
    energy_kwh numeric(14,3),
    quality smallint NOT NULL,
    revision smallint NOT NULL,
    stage smallint NOT NULL,
    available_at timestamptz NOT NULL,
    source varchar(40) NOT NULL,
    PRIMARY KEY (start_at, meter_id, revision),
    CONSTRAINT intervalreading_energy CHECK (
        energy_kwh >= -1000000000 AND energy_kwh <= 1000000000),
    CONSTRAINT intervalreading_missing CHECK ((energy_kwh IS NULL) = (quality = 2)),
    CONSTRAINT intervalreading_quality CHECK (quality >= 0 AND quality <= 3),
    CONSTRAINT intervalreading_stage CHECK (stage >= 1 AND stage <= 3),
    CONSTRAINT intervalreading_revision CHECK (revision >= 1 AND revision <= 32767),
    CONSTRAINT intervalreading_known_after CHECK (
        available_at >= start_at + interval '30 minutes')
) PARTITION BY RANGE (start_at);
ALTER SEQUENCE metering_intervalreading_id_seq OWNED BY metering_intervalreading.id;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON metering_intervalreading
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER no_delete BEFORE UPDATE OR DELETE ON metering_meter
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON metering_declaredschedule
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON metering_deliveryverification
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON metering_baseline
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON metering_delivery
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""
DROP = """
DROP TRIGGER append_only ON metering_delivery;
DROP TRIGGER append_only ON metering_baseline;
DROP TRIGGER append_only ON metering_deliveryverification;
DROP TRIGGER append_only ON metering_declaredschedule;
DROP TRIGGER no_delete ON metering_meter;
DROP TABLE metering_intervalreading;
"""


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
