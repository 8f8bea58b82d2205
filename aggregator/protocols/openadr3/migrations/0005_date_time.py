"""How an instant is written in OpenADR: in UTC, with a fraction only where there is one."""

from django.db import migrations

CREATE = """
CREATE FUNCTION openadr3_date_time(moment timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
        || CASE WHEN extract(microseconds FROM moment)::bigint % 1000000 = 0 THEN ''
                ELSE to_char(moment AT TIME ZONE 'UTC', '.US') END
        || 'Z'
$$;
"""

DROP = """
DROP FUNCTION openadr3_date_time(timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("openadr3", "0004_guards_of_objects")]
    operations = [migrations.RunSQL(CREATE, DROP)]
