"""Documents: only their confirmation changes; a series goes on by one, files stay as made."""

from django.db import migrations


CREATE = """
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'confirmed_at', 'confirmation_method', 'confirmed_by', 'dispute_id');
CREATE TRIGGER only_columns_all BEFORE TRUNCATE ON settlement_document
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'ISSUED>CONFIRMED', 'ISSUED>OBJECTED', 'OBJECTED>CONFIRMED');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_documentfile
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_documentfile
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE FUNCTION guard_series() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR NEW.last_sequence <> OLD.last_sequence + 1
       OR NEW.kind <> OLD.kind OR NEW.fiscal_year <> OLD.fiscal_year THEN
        RAISE EXCEPTION 'a series of documents goes on by one' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER series BEFORE UPDATE OR DELETE ON settlement_documentseries
    FOR EACH ROW EXECUTE FUNCTION guard_series();
"""
DROP = """
DROP TRIGGER series ON settlement_documentseries;
DROP FUNCTION guard_series();
DROP TRIGGER append_only_all ON settlement_documentfile;
DROP TRIGGER append_only ON settlement_documentfile;
DROP TRIGGER transitions ON settlement_document;
DROP TRIGGER only_columns_all ON settlement_document;
DROP TRIGGER only_columns ON settlement_document;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("parties", "0002_identity_first"),
        ("settlement", "0003_corrections"),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
