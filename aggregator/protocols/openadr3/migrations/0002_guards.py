"""A report stays as it was received."""

from django.db import migrations

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON openadr3_report
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON openadr3_report;
"""


class Migration(migrations.Migration):
    dependencies = [("openadr3", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
