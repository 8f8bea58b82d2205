"""Versions that rise with every change, and what may still change in the new tables."""

from django.db import migrations

from market.registry.models import PREQUALIFICATION_TRANSITIONS, REVENUE_TRANSITIONS

VERSIONED = (
    "registry_site",
    "registry_resource",
    "registry_workloadclass",
    "registry_congestionpoint",
    "registry_consent",
    "registry_revenueagreement",
    "registry_prequalification",
)
ADDED_ONLY = (
    "registry_prequalificationstep",
    "registry_prequalificationcomment",
    "registry_prequalificationfile",
)
ONLY_COLUMNS = {
    "registry_consent": ("valid_to_on", "version"),
    "registry_revenueagreement": ("state", "state_reason", "version"),
    "registry_revenueshare": ("agreed_at", "agreed_by"),
    "registry_revenuesplit": ("valid_to_on",),
    "registry_prequalification": (
        "state",
        "state_reason",
        "valid_until_at",
        "findings",
        "checked_at",
        "security_confirmed_to_on",
        "version",
    ),
}
MOVES = {
    "registry_revenueagreement": REVENUE_TRANSITIONS,
    "registry_prequalification": PREQUALIFICATION_TRANSITIONS,
}


def _edges(moves):
    return ", ".join(f"'{a}>{b}'" for a, after in moves.items() for b in after if a != b)


# The counts of models registered before are filled in past the guard, which stays otherwise.
COUNTS = """
ALTER TABLE registry_gridmodel DISABLE TRIGGER append_only;
UPDATE registry_gridmodel AS model SET
    bus_count = (SELECT count(*) FROM registry_bus WHERE grid_model_id = model.id),
    branch_count = (SELECT count(*) FROM registry_branch WHERE grid_model_id = model.id),
    link_count = (SELECT count(*) FROM registry_controllablelink WHERE grid_model_id = model.id);
ALTER TABLE registry_gridmodel ENABLE TRIGGER append_only;
"""

FUNCTION = """
CREATE FUNCTION guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;
"""

CREATE = "\n".join(
    (
        COUNTS,
        FUNCTION,
        *(
            f"CREATE TRIGGER version BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION guard_version();"
            for table in VERSIONED
        ),
        *(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION guard_append_only();"
            for table in ADDED_ONLY
        ),
        *(
            f"CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION guard_only_columns("
            + ", ".join(f"'{name}'" for name in names)
            + ");"
            for table, names in ONLY_COLUMNS.items()
        ),
        *(
            f"CREATE TRIGGER transitions BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION guard_transitions({_edges(moves)});"
            for table, moves in MOVES.items()
        ),
    )
)

DROP = "\n".join(
    (
        *(f"DROP TRIGGER transitions ON {table};" for table in MOVES),
        *(f"DROP TRIGGER only_columns ON {table};" for table in ONLY_COLUMNS),
        *(f"DROP TRIGGER append_only ON {table};" for table in ADDED_ONLY),
        *(f"DROP TRIGGER version ON {table};" for table in VERSIONED),
        "DROP FUNCTION guard_version();",
    )
)


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0004_versions_agreements_prequalification"),
        ("audit", "0003_guards"),
    ]
    operations = [migrations.RunSQL(CREATE, DROP)]
