"""The gate's lock numbers, and what may still change in auctions, needs and bids."""

from django.db import migrations

from market.trading.models import AUCTION_TRANSITIONS

EDGES = ", ".join(f"'{a}>{b}'" for a, after in AUCTION_TRANSITIONS.items() for b in after)

CREATE = f"""
CREATE SEQUENCE trading_gate_number AS bigint;

CREATE TRIGGER transitions BEFORE UPDATE ON trading_auction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({EDGES});
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_auction
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'state_reason', 'closed_at');

CREATE TRIGGER transitions BEFORE UPDATE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_transitions('PUBLISHED>SUPERSEDED', 'PUBLISHED>WITHDRAWN');
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_baseflow
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER transitions BEFORE UPDATE ON trading_bid
    FOR EACH ROW EXECUTE FUNCTION guard_transitions('SUBMITTED>SUPERSEDED', 'SUBMITTED>WITHDRAWN');
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_bid
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_bidcontent
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON trading_bidcontent;
DROP TRIGGER only_state ON trading_bid;
DROP TRIGGER transitions ON trading_bid;
DROP TRIGGER append_only ON trading_baseflow;
DROP TRIGGER only_state ON trading_need;
DROP TRIGGER transitions ON trading_need;
DROP TRIGGER only_state ON trading_auction;
DROP TRIGGER transitions ON trading_auction;
DROP SEQUENCE trading_gate_number;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0001_initial"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
