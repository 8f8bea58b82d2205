"""Of an endpoint only how it fares changes, and whether it is still wanted."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_fare BEFORE UPDATE OR DELETE ON outbox_outboxendpoint
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'is_active', 'failures_count', 'paused_until', 'busy_until', 'broken_at');
"""

DROP = """
DROP TRIGGER only_fare ON outbox_outboxendpoint;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0003_endpoints"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
