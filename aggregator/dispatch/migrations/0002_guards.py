"""An instruction's order is never changed; only its state moves, along the table's edges."""

from django.db import migrations

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_availabilitynotice
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'token', 'respond_by_at', 'sent_at', 'acknowledged_at',
        'started_at', 'finished_at');
CREATE TRIGGER transitions BEFORE UPDATE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PLANNED>SENT', 'PLANNED>CANCELLED', 'SENT>ACKNOWLEDGED', 'SENT>OPTED_OUT',
        'SENT>UNREACHED', 'SENT>CANCELLED', 'ACKNOWLEDGED>OPTED_OUT',
        'ACKNOWLEDGED>ACTIVE', 'ACKNOWLEDGED>CANCELLED', 'ACKNOWLEDGED>PARTIAL',
        'ACKNOWLEDGED>EXTENDED', 'ACTIVE>FINISHED', 'ACTIVE>CANCELLED',
        'ACTIVE>PARTIAL', 'ACTIVE>EXTENDED', 'OPTED_OUT>REPLACED',
        'UNREACHED>REPLACED');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_instructioninterval
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_servedneed
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON dispatch_servedneed;
DROP TRIGGER append_only ON dispatch_instructioninterval;
DROP TRIGGER transitions ON dispatch_dispatchinstruction;
DROP TRIGGER only_state ON dispatch_dispatchinstruction;
DROP TRIGGER append_only ON dispatch_availabilitynotice;
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
