"""What was said stays said: messages and what came of them gain facts and lose none."""

from django.db import migrations

CREATE = """
CREATE TRIGGER only_outcome BEFORE UPDATE OR DELETE ON uftp_inboundmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'repeated_count', 'decided_at', 'result', 'reason');
CREATE TRIGGER only_answer BEFORE UPDATE OR DELETE ON uftp_sentmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('result', 'reason', 'answered_at');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON uftp_flexrequest
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON uftp_requestedneed
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON uftp_flexorder
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON uftp_reservation
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON uftp_ordersettlement
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON uftp_flexoffer
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'reason', 'closed_at');
CREATE TRIGGER transitions BEFORE UPDATE ON uftp_flexoffer
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'OPEN>ORDERED', 'OPEN>EXPIRED', 'OPEN>DECLINED', 'OPEN>REVOKED', 'ORDERED>EXPIRED');
"""

DROP = """
DROP TRIGGER transitions ON uftp_flexoffer;
DROP TRIGGER only_state ON uftp_flexoffer;
DROP TRIGGER append_only ON uftp_ordersettlement;
DROP TRIGGER append_only ON uftp_reservation;
DROP TRIGGER append_only ON uftp_flexorder;
DROP TRIGGER append_only ON uftp_requestedneed;
DROP TRIGGER append_only ON uftp_flexrequest;
DROP TRIGGER only_answer ON uftp_sentmessage;
DROP TRIGGER only_outcome ON uftp_inboundmessage;
"""


class Migration(migrations.Migration):
    dependencies = [("uftp", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
