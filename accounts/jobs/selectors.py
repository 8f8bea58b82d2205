"""Which jobs are due, and how the queue stands."""

from uuid import UUID

from django.db import connection


def jobs_due(*, count_max: int = 200) -> list[tuple[UUID, str]]:
    """Ids and kinds of jobs a worker may claim now, earliest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, kind FROM jobs_job
            WHERE due_at <= market_now()
              AND (not_before IS NULL OR not_before <= clock_timestamp())
              AND (state = 'READY' OR (state = 'RUNNING' AND lease_until < clock_timestamp()))
              AND attempts_count < attempts_max
            ORDER BY due_at, created_at, id
            LIMIT %s
            """,
            [count_max],
        )
        return list(cursor.fetchall())
