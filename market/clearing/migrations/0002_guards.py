"""Input and outcome of a run are never changed; a run's state only moves forward."""

from django.db import migrations

CREATE = """
CREATE FUNCTION guard_published_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state IN ('PUBLISHED', 'FAILED') THEN
        RAISE EXCEPTION '% on a finished clearing run refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_award
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_awardinterval
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_bidoutcome
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_capacityinterval
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_capacityprice
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_clearingprice
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER published BEFORE UPDATE OR DELETE ON clearing_clearingrun
    FOR EACH ROW EXECUTE FUNCTION guard_published_run();
CREATE TRIGGER transitions BEFORE UPDATE ON clearing_clearingrun
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'READY>RUNNING', 'READY>FAILED', 'RUNNING>VERIFIED', 'RUNNING>FAILED',
        'VERIFIED>PUBLISHED');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_computeplacement
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_computeuse
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_elementflow
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_envelopeuse
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_pivotalfinding
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_rentshare
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clearing_snapshotrecord
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON clearing_snapshotrecord;
DROP TRIGGER append_only ON clearing_rentshare;
DROP TRIGGER append_only ON clearing_pivotalfinding;
DROP TRIGGER append_only ON clearing_envelopeuse;
DROP TRIGGER append_only ON clearing_elementflow;
DROP TRIGGER append_only ON clearing_computeuse;
DROP TRIGGER append_only ON clearing_computeplacement;
DROP TRIGGER transitions ON clearing_clearingrun;
DROP TRIGGER published ON clearing_clearingrun;
DROP TRIGGER append_only ON clearing_clearingprice;
DROP TRIGGER append_only ON clearing_capacityprice;
DROP TRIGGER append_only ON clearing_capacityinterval;
DROP TRIGGER append_only ON clearing_bidoutcome;
DROP TRIGGER append_only ON clearing_awardinterval;
DROP TRIGGER append_only ON clearing_award;
DROP FUNCTION guard_published_run();
"""


class Migration(migrations.Migration):
    dependencies = [("clearing", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
