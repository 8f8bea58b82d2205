"""A verified result waits for its publication; what a result says is never changed."""

from django.db import migrations

FROZEN = (
    "clearing_capacityinterval",
    "clearing_capacityprice",
    "clearing_bidoutcome",
    "clearing_rentshare",
    "clearing_pivotalfinding",
    "clearing_computeuse",
    "clearing_computeplacement",
    "clearing_envelopeuse",
)

BEFORE = "'READY>RUNNING', 'READY>FAILED', 'RUNNING>PUBLISHED', 'RUNNING>FAILED'"

AFTER = (
    "'READY>RUNNING', 'READY>FAILED', 'RUNNING>VERIFIED', 'RUNNING>FAILED', 'VERIFIED>PUBLISHED'"
)


def _transitions(edges: str) -> str:
    return (
        "DROP TRIGGER transitions ON clearing_clearingrun; "
        "CREATE TRIGGER transitions BEFORE UPDATE ON clearing_clearingrun "
        f"FOR EACH ROW EXECUTE FUNCTION guard_transitions({edges});"
    )


CREATE = "\n".join(
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION guard_append_only();"
    for table in FROZEN
) + _transitions(AFTER)

DROP = "\n".join(f"DROP TRIGGER append_only ON {table};" for table in FROZEN) + _transitions(BEFORE)


class Migration(migrations.Migration):
    dependencies = [("clearing", "0004_legs_capacity_findings")]
    operations = [migrations.RunSQL(CREATE, DROP)]
