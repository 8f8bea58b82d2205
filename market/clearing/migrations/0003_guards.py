"""Input and outcome of a run are never changed; a run's state only moves forward."""

from django.db import migrations

FROZEN = (
    "clearing_snapshotrecord",
    "clearing_award",
    "clearing_awardinterval",
    "clearing_clearingprice",
    "clearing_elementflow",
)

CREATE = (
    "\n".join(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION guard_append_only();"
        for table in FROZEN
    )
    + """
CREATE TRIGGER transitions BEFORE UPDATE ON clearing_clearingrun
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'READY>RUNNING', 'READY>FAILED', 'RUNNING>PUBLISHED', 'RUNNING>FAILED');
CREATE FUNCTION guard_published_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state IN ('PUBLISHED', 'FAILED') THEN
        RAISE EXCEPTION '% on a finished clearing run refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER published BEFORE UPDATE OR DELETE ON clearing_clearingrun
    FOR EACH ROW EXECUTE FUNCTION guard_published_run();
"""
)

DROP = (
    "DROP TRIGGER published ON clearing_clearingrun; DROP FUNCTION guard_published_run(); "
    "DROP TRIGGER transitions ON clearing_clearingrun; "
    + " ".join(f"DROP TRIGGER append_only ON {table};" for table in FROZEN)
)


class Migration(migrations.Migration):
    dependencies = [("clearing", "0002_initial"), ("trading", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
