"""Before its announced gate an auction closes by the word of two people only, whoever tries."""

from django.db import migrations

CREATE = """
CREATE FUNCTION guard_early_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF market_now() < OLD.gate_closure_at AND NOT EXISTS (
        SELECT 1 FROM approvals_approval
        WHERE kind = 'auction.close_early' AND state = 'USED'
          AND subject = 'trading.auction:' || OLD.id
    ) THEN
        RAISE EXCEPTION '%: nobody closes it before its gate alone', OLD.code
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER early_closing BEFORE UPDATE ON trading_auction
    FOR EACH ROW WHEN (OLD.closed_at IS DISTINCT FROM NEW.closed_at
                       OR (OLD.state = 'OPEN' AND NEW.state = 'CLOSED'))
    EXECUTE FUNCTION guard_early_closing();
"""

DROP = """
DROP TRIGGER early_closing ON trading_auction;
DROP FUNCTION guard_early_closing();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0001_initial"),
        ("trading", "0002_guards"),
    ]

    operations = [migrations.RunSQL(CREATE, DROP)]
