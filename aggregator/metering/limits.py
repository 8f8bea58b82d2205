"""Time limits of bulk work."""

from django.db import connection

from accounts.core.errors import ensure

STATEMENT_LIMIT = "10min"
IDLE_LIMIT = "2min"


def bulk_limits_set() -> None:
    """Allow the present transaction the time that bulk work takes.

    The session's limits are those of a web request: a statement of ten seconds or a pause of two
    is a fault there, and a month of a large market here.
    """
    ensure(connection.in_atomic_block, "limits are raised for one transaction only")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [STATEMENT_LIMIT, IDLE_LIMIT],
        )
