"""Jobs move along their edges, whatever path the change takes."""

from django.db import migrations

CREATE = """
CREATE TRIGGER transitions BEFORE UPDATE ON jobs_job
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'READY>RUNNING', 'RUNNING>DONE', 'RUNNING>READY', 'RUNNING>QUARANTINED',
        'QUARANTINED>READY');
"""

DROP = """
DROP TRIGGER transitions ON jobs_job;
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
