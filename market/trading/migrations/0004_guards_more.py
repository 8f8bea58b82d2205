"""What may still change in steps, envelopes and standing bids."""

from django.db import migrations

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_needstep
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_envelope
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER transitions BEFORE UPDATE ON trading_standingbid
    FOR EACH ROW EXECUTE FUNCTION guard_transitions('ACTIVE>WITHDRAWN');
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_standingbid
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_standingbidcontent
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_standingrenewal
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON trading_standingrenewal;
DROP TRIGGER append_only ON trading_standingbidcontent;
DROP TRIGGER only_state ON trading_standingbid;
DROP TRIGGER transitions ON trading_standingbid;
DROP TRIGGER append_only ON trading_envelope;
DROP TRIGGER append_only ON trading_needstep;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0003_forms_needs_envelopes_standing")]
    operations = [migrations.RunSQL(CREATE, DROP)]
