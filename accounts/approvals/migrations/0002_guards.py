"""Nobody decides a request for himself or changes a decision afterwards."""

from django.db import migrations

CREATE = """
-- a request begins undecided, and a decision is made once
CREATE FUNCTION guard_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'REQUESTED' THEN
            RAISE EXCEPTION 'an approval begins as REQUESTED, not %', NEW.state
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF OLD.checker <> '' AND
          (NEW.checker, NEW.decided_at, NEW.decision_reason)
          IS DISTINCT FROM (OLD.checker, OLD.decided_at, OLD.decision_reason) THEN
        RAISE EXCEPTION 'a decision is made once'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER append_only_all BEFORE TRUNCATE ON approvals_approval
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER decided_once BEFORE INSERT OR UPDATE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION guard_approval();
CREATE TRIGGER only_decision BEFORE UPDATE OR DELETE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'checker', 'decided_at', 'decision_reason', 'used_at');
CREATE TRIGGER transitions BEFORE UPDATE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'REQUESTED>APPROVED', 'REQUESTED>REJECTED', 'REQUESTED>EXPIRED',
        'APPROVED>USED', 'APPROVED>EXPIRED');
"""

DROP = """
DROP TRIGGER transitions ON approvals_approval;
DROP TRIGGER only_decision ON approvals_approval;
DROP TRIGGER decided_once ON approvals_approval;
DROP TRIGGER append_only_all ON approvals_approval;
DROP FUNCTION guard_approval();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
