"""An instruction's order is never changed; only its state moves, along the table's edges."""

from django.db import migrations

from aggregator.dispatch.models import TRANSITIONS

EDGES = ", ".join(f"'{a}>{b}'" for a, after in TRANSITIONS.items() for b in after)

CREATE = f"""
CREATE TRIGGER transitions BEFORE UPDATE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({EDGES});
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'token', 'respond_by_at',
        'sent_at', 'acknowledged_at', 'started_at', 'finished_at');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_instructioninterval
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON dispatch_instructioninterval;
DROP TRIGGER only_state ON dispatch_dispatchinstruction;
DROP TRIGGER transitions ON dispatch_dispatchinstruction;
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0001_initial"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
