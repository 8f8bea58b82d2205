"""The gate's lock numbers, and what may still change in auctions, needs and bids.

Sealed rows are never changed, and no offer is readable while its auction takes bids.
"""

from django.db import migrations

CREATE = """
CREATE SEQUENCE trading_gate_number AS bigint;

-- boxes do not compress
ALTER TABLE trading_sealedbasket ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
ALTER TABLE trading_standingbidcontent ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

CREATE FUNCTION guard_result_cancel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF market_now() >= OLD.delivery_start THEN
        RAISE EXCEPTION '%: its delivery has begun, its result stands', OLD.code
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION guard_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM opened
        JOIN trading_bid ON trading_bid.id = opened.bid_id
        JOIN trading_auction ON trading_auction.id = trading_bid.auction_id
        WHERE trading_auction.state IN ('SCHEDULED', 'OPEN')
    ) THEN
        RAISE EXCEPTION 'INSERT on trading_bidcontent refused: the auction takes bids'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_auction
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'state_reason', 'closed_at');
-- what is being delivered is settled, not cancelled
CREATE TRIGGER result_stands BEFORE UPDATE ON trading_auction
    FOR EACH ROW WHEN (OLD.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK')
                       AND NEW.state = 'CANCELLED')
    EXECUTE FUNCTION guard_result_cancel();
CREATE TRIGGER transitions BEFORE UPDATE ON trading_auction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'SCHEDULED>OPEN', 'SCHEDULED>CANCELLED', 'OPEN>CLOSED', 'OPEN>CANCELLED',
        'CLOSED>CLEARING', 'CLOSED>CANCELLED', 'CLEARING>PUBLISHED',
        'CLEARING>PUBLISHED_BY_FALLBACK', 'CLEARING>CANCELLED', 'PUBLISHED>SETTLED',
        'PUBLISHED>CANCELLED', 'PUBLISHED_BY_FALLBACK>SETTLED',
        'PUBLISHED_BY_FALLBACK>CANCELLED');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_baseflow
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_bid
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state');
CREATE TRIGGER transitions BEFORE UPDATE ON trading_bid
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'SUBMITTED>SUPERSEDED', 'SUBMITTED>WITHDRAWN');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_bidcontent
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER sealed AFTER INSERT ON trading_bidcontent
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION guard_sealed();

CREATE TRIGGER only_retired BEFORE UPDATE OR DELETE ON trading_bookkey
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('retired_at');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_bookopening
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_bookroot
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_envelope
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

-- a proposal learns when it is published what it supersedes; nothing else ever changes
CREATE TRIGGER only_publication BEFORE UPDATE OR DELETE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'supersedes_id', 'available_at');
CREATE TRIGGER only_state BEFORE UPDATE ON trading_need
    FOR EACH ROW WHEN (OLD.state <> 'PROPOSED') EXECUTE FUNCTION guard_only_columns('state');
CREATE TRIGGER transitions BEFORE UPDATE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PROPOSED>PUBLISHED', 'PROPOSED>REFUSED', 'PUBLISHED>SUPERSEDED',
        'PUBLISHED>WITHDRAWN');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_needstep
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_retired BEFORE UPDATE OR DELETE ON trading_ownerkey
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('retired_at');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_receiptkey
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_sealedbasket
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_standingbid
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state');
CREATE TRIGGER transitions BEFORE UPDATE ON trading_standingbid
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'ACTIVE>PAUSED', 'PAUSED>ACTIVE', 'ACTIVE>WITHDRAWN', 'PAUSED>WITHDRAWN');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_standingbidcontent
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_standingrenewal
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
"""

DROP = """
DROP TRIGGER append_only ON trading_standingrenewal;
DROP TRIGGER append_only ON trading_standingbidcontent;
DROP TRIGGER transitions ON trading_standingbid;
DROP TRIGGER only_state ON trading_standingbid;
DROP TRIGGER append_only ON trading_sealedbasket;
DROP TRIGGER append_only ON trading_receiptkey;
DROP TRIGGER only_retired ON trading_ownerkey;
DROP TRIGGER append_only ON trading_needstep;
DROP TRIGGER transitions ON trading_need;
DROP TRIGGER only_state ON trading_need;
DROP TRIGGER only_publication ON trading_need;
DROP TRIGGER append_only ON trading_envelope;
DROP TRIGGER append_only ON trading_bookroot;
DROP TRIGGER append_only ON trading_bookopening;
DROP TRIGGER only_retired ON trading_bookkey;
DROP TRIGGER sealed ON trading_bidcontent;
DROP TRIGGER append_only ON trading_bidcontent;
DROP TRIGGER transitions ON trading_bid;
DROP TRIGGER only_state ON trading_bid;
DROP TRIGGER append_only ON trading_baseflow;
DROP TRIGGER transitions ON trading_auction;
DROP TRIGGER result_stands ON trading_auction;
DROP TRIGGER only_state ON trading_auction;
DROP FUNCTION guard_sealed();
DROP FUNCTION guard_result_cancel();
DROP SEQUENCE trading_gate_number;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
