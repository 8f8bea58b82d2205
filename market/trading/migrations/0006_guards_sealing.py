"""Sealed rows are never changed, and no offer is readable while its auction takes bids."""

from django.db import migrations

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_sealedbasket
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_bookroot
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_bookopening
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading_receiptkey
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER only_retired BEFORE UPDATE OR DELETE ON trading_bookkey
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('retired_at');
CREATE TRIGGER only_retired BEFORE UPDATE OR DELETE ON trading_ownerkey
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('retired_at');

ALTER TABLE trading_sealedbasket ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
ALTER TABLE trading_standingbidcontent ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

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
CREATE TRIGGER sealed AFTER INSERT ON trading_bidcontent
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION guard_sealed();
"""

DROP = """
DROP TRIGGER sealed ON trading_bidcontent;
DROP FUNCTION guard_sealed();
DROP TRIGGER only_retired ON trading_ownerkey;
DROP TRIGGER only_retired ON trading_bookkey;
DROP TRIGGER append_only ON trading_receiptkey;
DROP TRIGGER append_only ON trading_bookopening;
DROP TRIGGER append_only ON trading_bookroot;
DROP TRIGGER append_only ON trading_sealedbasket;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0005_sealing"), ("audit", "0003_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
