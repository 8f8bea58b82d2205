"""What was written to be sent is sent so: only the record of its delivery changes."""

from django.db import migrations

from aggregator.outbox.models import MESSAGE_TRANSITIONS

EDGES = ", ".join(f"'{a}>{b}'" for a, after in MESSAGE_TRANSITIONS.items() for b in after)

CREATE = f"""
CREATE TRIGGER transitions BEFORE UPDATE ON outbox_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({EDGES});
CREATE TRIGGER only_delivery BEFORE UPDATE OR DELETE ON outbox_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'attempts_count', 'next_attempt_at', 'status', 'error', 'delivered_at');
"""

DROP = """
DROP TRIGGER only_delivery ON outbox_outboxmessage;
DROP TRIGGER transitions ON outbox_outboxmessage;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
