"""The one function that says what time it is in the market."""

from django.db import migrations

CREATE = """
CREATE FUNCTION market_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT anchor_market_at + (clock_timestamp() - anchor_real_at) * speed_ratio::float8
         FROM clock_marketclock WHERE id = 1),
        clock_timestamp())
$$;
COMMENT ON FUNCTION market_now() IS
    'Market time: the database clock, which demo and test settings may shift. Never frozen by BEGIN.';
"""


class Migration(migrations.Migration):
    dependencies = [("clock", "0001_initial")]
    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION market_now()")]
