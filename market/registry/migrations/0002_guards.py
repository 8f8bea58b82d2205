"""Rules and networks are followed by the next version, never edited."""

from django.db import migrations

FROZEN = (
    "registry_ruleset",
    "registry_gridmodel",
    "registry_bus",
    "registry_branch",
    "registry_controllablelink",
)

CREATE = "\n".join(
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION guard_append_only();"
    for table in FROZEN
)

DROP = "\n".join(f"DROP TRIGGER append_only ON {table};" for table in FROZEN)


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
