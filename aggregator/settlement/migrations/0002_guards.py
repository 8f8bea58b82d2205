"""Lines, items and evidence are added, never changed; periods and disputes only move on."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_dispute
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'is_held', 'decision', 'ended_at', 'corrected_by_id');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_dispute
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'OPEN>UNDER_REVIEW', 'OPEN>WITHDRAWN', 'UNDER_REVIEW>ACCEPTED',
        'UNDER_REVIEW>REJECTED', 'UNDER_REVIEW>WITHDRAWN');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_disputedline
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_disputedline
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_disputeentry
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_disputeentry
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_disputeevidence
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_disputeevidence
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_settlementitem
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_settlementitem
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_settlementline
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_settlementline
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_settlementperiod
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'closed_at');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_settlementperiod
    FOR EACH ROW EXECUTE FUNCTION guard_transitions('OPEN>CLOSED');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_settlementrun
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_settlementrun
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only_all ON settlement_settlementrun;
DROP TRIGGER append_only ON settlement_settlementrun;
DROP TRIGGER transitions ON settlement_settlementperiod;
DROP TRIGGER only_columns ON settlement_settlementperiod;
DROP TRIGGER append_only_all ON settlement_settlementline;
DROP TRIGGER append_only ON settlement_settlementline;
DROP TRIGGER append_only_all ON settlement_settlementitem;
DROP TRIGGER append_only ON settlement_settlementitem;
DROP TRIGGER append_only_all ON settlement_disputeevidence;
DROP TRIGGER append_only ON settlement_disputeevidence;
DROP TRIGGER append_only_all ON settlement_disputeentry;
DROP TRIGGER append_only ON settlement_disputeentry;
DROP TRIGGER append_only_all ON settlement_disputedline;
DROP TRIGGER append_only ON settlement_disputedline;
DROP TRIGGER transitions ON settlement_dispute;
DROP TRIGGER only_columns ON settlement_dispute;
"""


class Migration(migrations.Migration):
    dependencies = [("settlement", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
