"""Who released, confirmed or failed is written with the state it led to, and never after."""

from django.db import migrations

CREATE = """
CREATE FUNCTION guard_with_state() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    IF OLD.state = NEW.state THEN
        FOREACH name IN ARRAY TG_ARGV LOOP
            IF to_jsonb(OLD) -> name IS DISTINCT FROM to_jsonb(NEW) -> name THEN
                RAISE EXCEPTION '%: % changes with the state alone', TG_TABLE_NAME, name
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
        END LOOP;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER with_state BEFORE UPDATE ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION guard_with_state(
        'confirmed_at', 'confirmation_method', 'confirmed_by', 'dispute_id');
CREATE TRIGGER with_state BEFORE UPDATE ON settlement_bankaccount
    FOR EACH ROW EXECUTE FUNCTION guard_with_state('activated_at', 'retired_at');
CREATE TRIGGER with_state BEFORE UPDATE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_with_state(
        'released_by', 'released_at', 'approval_id');
CREATE TRIGGER with_state BEFORE UPDATE ON settlement_paymentrow
    FOR EACH ROW EXECUTE FUNCTION guard_with_state('reason', 'result_at');
"""
DROP = """
DROP TRIGGER with_state ON settlement_paymentrow;
DROP TRIGGER with_state ON settlement_paymentbatch;
DROP TRIGGER with_state ON settlement_bankaccount;
DROP TRIGGER with_state ON settlement_document;
DROP FUNCTION guard_with_state();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0006_run_totals"),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
