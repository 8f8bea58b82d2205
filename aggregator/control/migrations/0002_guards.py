"""What an alarm says is never changed but by its repetitions; its state moves along its edges."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON control_alarm
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'count', 'version', 'priority', 'text', 'repeated_at',
        'acknowledged_by_id', 'acknowledged_at', 'cleared_at');
CREATE TRIGGER transitions BEFORE UPDATE ON control_alarm
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'RAISED>ACKNOWLEDGED', 'RAISED>CLEARED', 'ACKNOWLEDGED>RAISED', 'ACKNOWLEDGED>CLEARED');
"""

DROP = """
DROP TRIGGER transitions ON control_alarm;
DROP TRIGGER only_state ON control_alarm;
"""


class Migration(migrations.Migration):
    dependencies = [("control", "0001_alarms"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
