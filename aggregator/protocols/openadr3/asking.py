"""Lists that are asked for at the same time are read by one statement.

Sites poll by the hundred a second, and what a poll costs the database is mostly the planning of its
statement, not the few rows it finds. Statements of the same words, which differ in parameters
only, go together: one thread asks for all that have come, and each gets its own rows. The query
begins after each of them came, so that nobody reads anything older than by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from accounts.core.together import Together

AT_ONCE_MAX: Final = 32
_CASTS: Final = {str: "text", int: "integer", bool: "boolean", UUID: "uuid", list: "varchar[]"}
Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A statement in the pieces by which it can be joined with others.

    Parameters
    ----------
    columns, source, order
        What follows SELECT, FROM (with its conditions) and ORDER BY. No two rows are equal in
        what they are ordered by.
    given
        Parameters of columns, then of source: texts, whole numbers, ids, lists of texts.
    """

    columns: str
    source: str
    order: str
    limit: int
    skip: int
    given: tuple[Any, ...]

    @property
    def likeness(self) -> tuple[Any, ...]:
        """What has to be equal of questions that go together."""
        types = tuple(map(type, self.given))
        return self.columns, self.source, self.order, self.limit, self.skip, types


def rows_of(question: Question) -> list[Row]:
    """Return the rows of a question, asked with others unless in a transaction, which sees more."""
    if connection.in_atomic_block:
        return _alone(question)
    found = _together.of(question)
    return _alone(question) if found is None else found


def _alone(question: Question) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {question.columns} FROM {question.source} ORDER BY {question.order}"  # noqa: S608 - pieces of selectors
            f" LIMIT {question.limit:d} OFFSET {question.skip:d}",
            question.given,
        )
        return list(cursor.fetchall())


def _asked(questions: Sequence[Question]) -> list[list[Row] | None]:
    """Ask for all; of what fails for another reason than the database's, each asks by itself."""
    if len(questions) == 1:
        return [_alone(questions[0])]
    try:
        return list(_joined(questions))
    except (InterfaceError, OperationalError):
        raise
    except DatabaseError:
        return [None] * len(questions)


def _joined(questions: Sequence[Question]) -> list[list[Row]]:
    one = questions[0]
    numbers = count()
    places = [f"g.p{n}::{_CASTS[type(value)]} AS p{n}" for n, value in enumerate(one.given)]
    columns, source = (_with_names(text, numbers) for text in (one.columns, one.source))
    lists = [[_sent(question.given[n]) for question in questions] for n in range(len(one.given))]
    names = ["n", *(f"p{n}" for n in range(len(one.given)))]
    # what every row is compared with is read from its text once
    statement = f"""
        WITH a AS MATERIALIZED (
            SELECT {", ".join(["g.n", *places])}
            FROM unnest(%s::integer[]{", %s::text[]" * len(lists)}) AS g({", ".join(names)}))
        SELECT a.n, s.* FROM a CROSS JOIN LATERAL (
            SELECT row_number() OVER (ORDER BY {one.order}), {columns} FROM {source}
            ORDER BY {one.order} LIMIT {one.limit:d} OFFSET {one.skip:d}) s
    """  # noqa: S608 - pieces of selectors; what clients name are parameters
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(range(len(questions))), *lists])
        rows = cursor.fetchall()
    found: list[list[Row]] = [[] for _ in questions]
    for row in sorted(rows, key=lambda row: row[:2]):
        found[row[0]].append(row[2:])
    return found


def _with_names(text: str, numbers: count[int]) -> str:
    """Put the names of columns where the parameters are."""
    first, *others = text.split("%s")
    return first + "".join(f"a.p{next(numbers)}{piece}" for piece in others)


def _sent(value: Any) -> str:
    """Return a parameter as the database reads it from text."""
    if isinstance(value, list):
        return "{" + ",".join(f'"{_escaped(text)}"' for text in value) + "}"
    return str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


_together: Final[Together[Question, list[Row] | None]] = Together(
    _asked, count_max=AT_ONCE_MAX, likeness=lambda question: question.likeness
)
