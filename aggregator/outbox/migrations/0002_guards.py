"""What was written to be sent is sent so: only the record of its delivery changes."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_delivery BEFORE UPDATE OR DELETE ON outbox_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'attempts_count', 'next_attempt_at', 'status', 'error',
        'delivered_at', 'retry_until');
CREATE TRIGGER transitions BEFORE UPDATE ON outbox_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'WAITING>DELIVERED', 'WAITING>DEAD', 'DEAD>WAITING');

CREATE TRIGGER never_removed BEFORE UPDATE OR DELETE ON outbox_webhooksubscription
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'url', 'topics', 'secret_sealed', 'secret_before_sealed',
        'secret_before_until', 'is_active', 'confirmed_at', 'version', 'rotated_at',
        'removed_at', 'failures_count', 'paused_until', 'busy_until');
"""

DROP = """
DROP TRIGGER never_removed ON outbox_webhooksubscription;
DROP TRIGGER transitions ON outbox_outboxmessage;
DROP TRIGGER only_delivery ON outbox_outboxmessage;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
