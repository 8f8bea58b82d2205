"""What was told stays as a row: objects are hidden, not deleted; what made a report stays.

The programs that exist before this were written by the platform itself.
"""

from django.db import migrations

CREATE = """
UPDATE openadr3_program SET is_house = true;

DROP TRIGGER append_only ON openadr3_report;
CREATE TRIGGER only_said BEFORE UPDATE OR DELETE ON openadr3_report
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'body', 'body_3_0', 'client_name', 'event_id', 'modified_at', 'removed_at');

CREATE TRIGGER never_deleted BEFORE DELETE ON openadr3_program
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER never_deleted BEFORE DELETE ON openadr3_event
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER never_deleted BEFORE DELETE ON openadr3_ven
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER never_deleted BEFORE DELETE ON openadr3_venresource
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER never_deleted BEFORE DELETE ON openadr3_subscription
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER never_deleted ON openadr3_subscription;
DROP TRIGGER never_deleted ON openadr3_venresource;
DROP TRIGGER never_deleted ON openadr3_ven;
DROP TRIGGER never_deleted ON openadr3_event;
DROP TRIGGER never_deleted ON openadr3_program;
DROP TRIGGER only_said ON openadr3_report;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON openadr3_report
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("openadr3", "0003_whole_standard"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
