"""Jobs move along their edges, whatever path the change takes."""

from django.db import migrations

from accounts.jobs.models import TRANSITIONS

# a move to the same state is none to the trigger: it compares old and new
EDGES = ", ".join(f"'{a}>{b}'" for a, after in TRANSITIONS.items() for b in after if a != b)

CREATE = f"""
CREATE TRIGGER transitions BEFORE UPDATE ON jobs_job
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({EDGES});
"""

DROP = "DROP TRIGGER transitions ON jobs_job;"


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
