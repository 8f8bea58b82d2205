"""Rules and networks are followed by the next version; versions rise with every change."""

from django.db import migrations

CREATE = """
CREATE FUNCTION guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;

-- the operators of a path's ends, as their sites say
CREATE FUNCTION path_operators() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.from_operator_id := (
        SELECT organisation_id FROM registry_site WHERE id = NEW.from_site_id);
    NEW.to_operator_id := (
        SELECT organisation_id FROM registry_site WHERE id = NEW.to_site_id);
    RETURN NEW;
END $$;
CREATE FUNCTION path_operators_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE registry_opticalpath SET from_site_id = from_site_id
    WHERE from_site_id = NEW.id OR to_site_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER operators BEFORE INSERT OR UPDATE ON registry_opticalpath
    FOR EACH ROW EXECUTE FUNCTION path_operators();
CREATE TRIGGER operators AFTER UPDATE OF organisation_id ON registry_site
    FOR EACH ROW WHEN (OLD.organisation_id <> NEW.organisation_id)
    EXECUTE FUNCTION path_operators_follow();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_branch
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_bus
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER version BEFORE UPDATE ON registry_congestionpoint
    FOR EACH ROW EXECUTE FUNCTION guard_version();

CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON registry_consent
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('valid_to_on', 'version');
CREATE TRIGGER version BEFORE UPDATE ON registry_consent
    FOR EACH ROW EXECUTE FUNCTION guard_version();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_controllablelink
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_gridmodel
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON registry_prequalification
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'state_reason', 'valid_until_at', 'findings', 'checked_at',
        'security_confirmed_to_on', 'version');
CREATE TRIGGER transitions BEFORE UPDATE ON registry_prequalification
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'REQUESTED>CHECKED', 'REQUESTED>REJECTED', 'REQUESTED>WITHDRAWN',
        'CHECKED>REQUESTED', 'CHECKED>TEMPORARY', 'CHECKED>QUALIFIED',
        'CHECKED>REJECTED', 'CHECKED>WITHDRAWN', 'TEMPORARY>QUALIFIED',
        'TEMPORARY>SUSPENDED', 'TEMPORARY>REJECTED', 'TEMPORARY>WITHDRAWN',
        'QUALIFIED>SUSPENDED', 'QUALIFIED>WITHDRAWN', 'SUSPENDED>TEMPORARY',
        'SUSPENDED>QUALIFIED', 'SUSPENDED>REJECTED', 'SUSPENDED>WITHDRAWN');
CREATE TRIGGER version BEFORE UPDATE ON registry_prequalification
    FOR EACH ROW EXECUTE FUNCTION guard_version();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_prequalificationcomment
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_prequalificationfile
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_prequalificationstep
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER version BEFORE UPDATE ON registry_resource
    FOR EACH ROW EXECUTE FUNCTION guard_version();

CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON registry_revenueagreement
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'state_reason', 'version');
CREATE TRIGGER transitions BEFORE UPDATE ON registry_revenueagreement
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PROPOSED>AGREED', 'PROPOSED>REJECTED', 'PROPOSED>WITHDRAWN');
CREATE TRIGGER version BEFORE UPDATE ON registry_revenueagreement
    FOR EACH ROW EXECUTE FUNCTION guard_version();

CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON registry_revenueshare
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('agreed_at', 'agreed_by');

CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON registry_revenuesplit
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('valid_to_on');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_ruleset
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();

CREATE TRIGGER version BEFORE UPDATE ON registry_site
    FOR EACH ROW EXECUTE FUNCTION guard_version();

CREATE TRIGGER version BEFORE UPDATE ON registry_workloadclass
    FOR EACH ROW EXECUTE FUNCTION guard_version();
"""

DROP = """
DROP TRIGGER version ON registry_workloadclass;
DROP TRIGGER version ON registry_site;
DROP TRIGGER append_only ON registry_ruleset;
DROP TRIGGER only_columns ON registry_revenuesplit;
DROP TRIGGER only_columns ON registry_revenueshare;
DROP TRIGGER version ON registry_revenueagreement;
DROP TRIGGER transitions ON registry_revenueagreement;
DROP TRIGGER only_columns ON registry_revenueagreement;
DROP TRIGGER version ON registry_resource;
DROP TRIGGER append_only ON registry_prequalificationstep;
DROP TRIGGER append_only ON registry_prequalificationfile;
DROP TRIGGER append_only ON registry_prequalificationcomment;
DROP TRIGGER version ON registry_prequalification;
DROP TRIGGER transitions ON registry_prequalification;
DROP TRIGGER only_columns ON registry_prequalification;
DROP TRIGGER append_only ON registry_gridmodel;
DROP TRIGGER append_only ON registry_controllablelink;
DROP TRIGGER version ON registry_consent;
DROP TRIGGER only_columns ON registry_consent;
DROP TRIGGER version ON registry_congestionpoint;
DROP TRIGGER append_only ON registry_bus;
DROP TRIGGER append_only ON registry_branch;
DROP TRIGGER operators ON registry_site;
DROP TRIGGER operators ON registry_opticalpath;
DROP FUNCTION path_operators_follow();
DROP FUNCTION path_operators();
DROP FUNCTION guard_version();
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial"), ("audit", "0002_guards")]
    operations = [migrations.RunSQL(CREATE, DROP)]
