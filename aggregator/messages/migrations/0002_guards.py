"""What was said stays as it was said; it may be forgotten after a month at the earliest."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_outcome BEFORE UPDATE ON messagelog_protocolmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('subject', 'outcome');
CREATE FUNCTION messagelog_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at > clock_timestamp() - interval '30 days' THEN
        RAISE EXCEPTION '% on % refused: messages are kept for a month at least', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER kept BEFORE DELETE ON messagelog_protocolmessage
    FOR EACH ROW EXECUTE FUNCTION messagelog_kept();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON messagelog_protocolmessage
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only_all ON messagelog_protocolmessage;
DROP TRIGGER kept ON messagelog_protocolmessage;
DROP FUNCTION messagelog_kept();
DROP TRIGGER only_outcome ON messagelog_protocolmessage;
"""


class Migration(migrations.Migration):
    dependencies = [("messagelog", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
