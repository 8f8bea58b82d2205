"""Guards that every path obeys, SQL and COPY included.

`guard_append_only` refuses UPDATE, DELETE and TRUNCATE. `guard_only_columns` lets an
UPDATE touch the named columns only and refuses DELETE. `guard_transitions` lets `state`
move along the edges given as `FROM>TO` arguments.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION guard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: rows are added, never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION guard_only_columns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV) THEN
        RAISE EXCEPTION '% on % refused: only % may change', TG_OP, TG_TABLE_NAME, TG_ARGV
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION guard_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> NEW.state AND NOT (OLD.state || '>' || NEW.state) = ANY (TG_ARGV) THEN
        RAISE EXCEPTION '%: state cannot move from % to %', TG_TABLE_NAME, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditcheckpoint
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_auditcheckpoint
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditlink
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_auditlink
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only_all ON audit_auditlink;
DROP TRIGGER append_only ON audit_auditlink;
DROP TRIGGER append_only_all ON audit_auditentry;
DROP TRIGGER append_only ON audit_auditentry;
DROP TRIGGER append_only_all ON audit_auditcheckpoint;
DROP TRIGGER append_only ON audit_auditcheckpoint;
DROP FUNCTION guard_transitions();
DROP FUNCTION guard_only_columns();
DROP FUNCTION guard_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial"), ("clock", "0002_market_now")]
    operations = [migrations.RunSQL(CREATE, DROP)]
