"""Payments: what was sent cannot change; states move forward only."""

from django.db import migrations


CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_paymentfile
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_paymentfile
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_paymentpart
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_paymentpart
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_paymentresult
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_paymentresult
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_incomingpayment
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_incomingpayment
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_bankaccount
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'activated_at', 'retired_at');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_bankaccount
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PROPOSED>ACTIVE', 'PROPOSED>RETIRED', 'ACTIVE>RETIRED');
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'released_by', 'released_at', 'approval_id');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'DRAFT>RELEASED', 'DRAFT>REJECTED', 'RELEASED>ACKNOWLEDGED', 'RELEASED>PARTLY_FAILED',
        'RELEASED>SETTLED', 'ACKNOWLEDGED>PARTLY_FAILED', 'ACKNOWLEDGED>SETTLED',
        'SETTLED>PARTLY_FAILED');
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_paymentrow
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'result_at');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_paymentrow
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PENDING>PAID', 'PENDING>FAILED', 'PAID>RETURNED');
"""
DROP = """
DROP TRIGGER append_only_all ON settlement_paymentfile;
DROP TRIGGER append_only ON settlement_paymentfile;
DROP TRIGGER append_only_all ON settlement_paymentpart;
DROP TRIGGER append_only ON settlement_paymentpart;
DROP TRIGGER append_only_all ON settlement_paymentresult;
DROP TRIGGER append_only ON settlement_paymentresult;
DROP TRIGGER append_only_all ON settlement_incomingpayment;
DROP TRIGGER append_only ON settlement_incomingpayment;
DROP TRIGGER transitions ON settlement_bankaccount;
DROP TRIGGER only_columns ON settlement_bankaccount;
DROP TRIGGER transitions ON settlement_paymentbatch;
DROP TRIGGER only_columns ON settlement_paymentbatch;
DROP TRIGGER transitions ON settlement_paymentrow;
DROP TRIGGER only_columns ON settlement_paymentrow;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0002_guards'),
        ('parties', '0002_identity_first'),
        ('settlement', '0004_documents'),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
