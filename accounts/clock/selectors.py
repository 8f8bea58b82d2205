"""Read the market's clock."""

from datetime import datetime

from django.db import connection


def market_now() -> datetime:
    """Market time from the database, read at this very statement (never frozen by BEGIN)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT market_now()")
        row = cursor.fetchone()
    moment: datetime = row[0]
    return moment
