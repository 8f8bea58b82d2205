"""What a reminder notes may move; connections, trials and units change in their state alone."""

from django.db import migrations

CREATE = """
DROP TRIGGER only_state ON dispatch_dispatchinstruction;
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'token', 'respond_by_at', 'sent_at', 'acknowledged_at',
        'started_at', 'finished_at', 'reminded_at');
DROP TRIGGER transitions ON dispatch_dispatchinstruction;
CREATE TRIGGER transitions BEFORE UPDATE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PLANNED>SENT', 'PLANNED>CANCELLED', 'SENT>ACKNOWLEDGED', 'SENT>OPTED_OUT',
        'SENT>UNREACHED', 'SENT>CANCELLED', 'ACKNOWLEDGED>OPTED_OUT',
        'ACKNOWLEDGED>ACTIVE', 'ACKNOWLEDGED>CANCELLED', 'ACKNOWLEDGED>PARTIAL',
        'ACKNOWLEDGED>EXTENDED', 'ACTIVE>FINISHED', 'ACTIVE>CANCELLED',
        'ACTIVE>PARTIAL', 'ACTIVE>EXTENDED', 'OPTED_OUT>REPLACED',
        'UNREACHED>REPLACED', 'PARTIAL>CANCELLED', 'EXTENDED>CANCELLED');

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON dispatch_flexibleconnection
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'heard_at', 'revision');
CREATE TRIGGER transitions BEFORE UPDATE ON dispatch_flexibleconnection
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'WAITING>LIVE', 'WAITING>ENDED', 'LIVE>LOST', 'LIVE>ENDED', 'LOST>LIVE', 'LOST>ENDED');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_connectionlimit
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER only_end BEFORE UPDATE OR DELETE ON dispatch_connectionoutage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('restored_at');

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON dispatch_trial
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'sent_at', 'acknowledged_at', 'scored_at', 'score_ratio', 'evidence',
        'evidence_sha256');
CREATE TRIGGER transitions BEFORE UPDATE ON dispatch_trial
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PLANNED>SENT', 'PLANNED>CANCELLED', 'SENT>ACKNOWLEDGED', 'SENT>FAILED',
        'SENT>CANCELLED', 'ACKNOWLEDGED>PASSED', 'ACKNOWLEDGED>FAILED',
        'ACKNOWLEDGED>CANCELLED');

CREATE TRIGGER only_end BEFORE UPDATE OR DELETE ON dispatch_resourceunit
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('retired_at');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_unitorder
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispatch_sitereport
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON dispatch_sitereport;
DROP TRIGGER append_only ON dispatch_unitorder;
DROP TRIGGER only_end ON dispatch_resourceunit;
DROP TRIGGER transitions ON dispatch_trial;
DROP TRIGGER only_state ON dispatch_trial;
DROP TRIGGER only_end ON dispatch_connectionoutage;
DROP TRIGGER append_only ON dispatch_connectionlimit;
DROP TRIGGER transitions ON dispatch_flexibleconnection;
DROP TRIGGER only_state ON dispatch_flexibleconnection;
DROP TRIGGER transitions ON dispatch_dispatchinstruction;
CREATE TRIGGER transitions BEFORE UPDATE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PLANNED>SENT', 'PLANNED>CANCELLED', 'SENT>ACKNOWLEDGED', 'SENT>OPTED_OUT',
        'SENT>UNREACHED', 'SENT>CANCELLED', 'ACKNOWLEDGED>OPTED_OUT',
        'ACKNOWLEDGED>ACTIVE', 'ACKNOWLEDGED>CANCELLED', 'ACKNOWLEDGED>PARTIAL',
        'ACKNOWLEDGED>EXTENDED', 'ACTIVE>FINISHED', 'ACTIVE>CANCELLED',
        'ACTIVE>PARTIAL', 'ACTIVE>EXTENDED', 'OPTED_OUT>REPLACED',
        'UNREACHED>REPLACED');
DROP TRIGGER only_state ON dispatch_dispatchinstruction;
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON dispatch_dispatchinstruction
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'token', 'respond_by_at', 'sent_at', 'acknowledged_at',
        'started_at', 'finished_at');
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0003_changes_connections_trials")]
    operations = [migrations.RunSQL(CREATE, DROP)]
