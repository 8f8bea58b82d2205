"""Check a row against its own model before the database has to: a refusal names the field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from accounts.core.errors import Refused

IDEOGRAPHIC_SPACE = "\u3000"  # separates words in Japanese names, but Python can't print it

ModelRow = TypeVar("ModelRow", bound=models.Model)


def row_checked(row: ModelRow, *, label: str = "") -> ModelRow:
    """Return a row that the database will take, but for what others store meanwhile.

    Parameters
    ----------
    row
        A new, unsaved row.
    label
        Path of the row in refusals; a field stands below it.

    Raises
    ------
    Refused
        Naming the first field of a wrong type, out of its bounds or already taken.
    """
    row_fields_checked(row, label=label)
    try:
        row.full_clean(validate_constraints=False)
    except ValidationError as error:
        raise _refused(row, label, error) from error
    for constraint in _options(row).constraints:
        try:
            constraint.validate(type(row), row)
        except ValidationError as error:
            name = _names(constraint)[0]
            raise Refused(
                field=_path(label, name), value=_value(row, name), rule="; ".join(error.messages)
            ) from error
    return row


def row_fields_checked(row: ModelRow, *, label: str = "") -> ModelRow:
    """Check what needs no query: types, formats and bounds of a row's own columns.

    Raises
    ------
    Refused
        Naming the first wrong field.
    """
    relations = set()
    for field in _options(row).concrete_fields:
        value = _value(row, field.name)
        if isinstance(field, models.ForeignKey):
            relations.add(field.name)
        elif rule := _broken_type(field, value):
            raise Refused(field=_path(label, field.name), value=value, rule=rule)
    try:
        row.clean_fields(exclude=relations)
    except ValidationError as error:
        raise _refused(row, label, error) from error
    for constraint in _options(row).constraints:
        for name, is_low, limit in _bounds(constraint):
            value = _value(row, name)
            if value is not None and not (value >= limit if is_low else value <= limit):
                rule = f"at least {limit}" if is_low else f"at most {limit}"
                raise Refused(field=_path(label, name), value=value, rule=rule)
    return row


def entries_checked(
    given: Any, *, required: Collection[str], optional: Collection[str] = (), label: str = ""
) -> Mapping[str, Any]:
    """Return a mapping in which no name is missing and none is unknown.

    Raises
    ------
    Refused
        Naming the first entry that is.
    """
    if not isinstance(given, Mapping):
        raise Refused(field=label, value=given, rule="an object with named entries")
    for name in given:
        if name not in required and name not in optional:
            raise Refused(field=_path(label, str(name)), value=given[name], rule="a known entry")
    for name in required:
        if name not in given:
            raise Refused(field=_path(label, name), value=None, rule="is missing, must be given")
    return given


def instance_checked(value: Any, model: type[ModelRow], *, field: str) -> ModelRow:
    """Return `value` if it is a stored row of `model`.

    Raises
    ------
    Refused
        If it is anything else.
    """
    if not isinstance(value, model) or value._state.adding:  # noqa: SLF001 - documented
        raise Refused(field=field, value=value, rule=f"a registered {_options(model).model_name}")
    return value


def text_checked(value: Any, *, field: str, length_max: int) -> str:
    """Return a text of 1 to `length_max` characters, not all of them spaces.

    Raises
    ------
    Refused
        If it is none.
    """
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= length_max:
        raise Refused(field=field, value=value, rule=f"a text of 1 to {length_max} characters")
    if not _is_printable(value):
        raise Refused(field=field, value=value, rule="no control characters")
    return value


def date_checked(value: Any, *, field: str) -> date:
    """Return a calendar date; a moment is none.

    Raises
    ------
    Refused
        If it is none.
    """
    if not _is_date(value):
        raise Refused(field=field, value=value, rule="a date")
    return value  # type: ignore[no-any-return]


def _is_printable(value: str) -> bool:
    return value.replace(IDEOGRAPHIC_SPACE, " ").isprintable()


def _is_date(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _is_printable(value) and value.strip() == value


def _is_exact(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, Decimal) and value.is_finite())


def _is_labels(value: Any) -> bool:
    """Tell whether these are distinct printable texts, as the snapshot wants them."""
    if not isinstance(value, list | tuple):
        return False
    if not all(isinstance(item, str) and item.strip() and item.isprintable() for item in value):
        return False
    return len(set(value)) == len(value)


# The first kind that fits a field says what its value must be.
_TYPES: tuple[tuple[type[models.Field[Any, Any]], Callable[[Any], bool], str], ...] = (
    # every array of a checked row holds texts
    (ArrayField, _is_labels, "a list of distinct printable texts"),
    (models.CharField, _is_text, "a text without control characters or spaces around it"),
    (models.DecimalField, _is_exact, "a finite number, exact (Decimal or int)"),
    (models.BooleanField, lambda value: isinstance(value, bool), "true or false"),
    (models.DateTimeField, lambda _: True, ""),  # Django's own check does
    (models.DateField, _is_date, "a date"),
)


def _broken_type(field: models.Field[Any, Any], value: Any) -> str:
    if value is None:  # Django skips the null check of a field that may be blank
        return "" if field.null or field.primary_key or not field.blank else "must be given"
    if isinstance(value, models.Expression) or (value == "" and field.empty_strings_allowed):
        return ""
    for kind, fits, rule in _TYPES:
        if isinstance(field, kind):
            return "" if fits(value) else rule
    return ""


def _bounds(constraint: models.BaseConstraint) -> list[tuple[str, bool, Any]]:
    """Read what :func:`accounts.fields.bounded` wrote: (field, is a lower bound, limit)."""
    condition = constraint.condition if isinstance(constraint, models.CheckConstraint) else None
    if not isinstance(condition, models.Q) or condition.negated or condition.connector != "AND":
        return []
    found = []
    for leaf in condition.children:
        if not isinstance(leaf, tuple) or not isinstance(leaf[1], int | float):
            continue
        name, _, lookup = leaf[0].rpartition("__")
        if lookup in {"gte", "lte"}:
            limit = Decimal(str(leaf[1]))
            found.append((name, lookup == "gte", limit))
    return found


def _names(constraint: models.BaseConstraint) -> list[str]:
    """Names of the fields a constraint is about, the one to complain of first."""
    if isinstance(constraint, models.UniqueConstraint):
        return list(constraint.fields)[::-1]
    if isinstance(constraint, models.CheckConstraint) and isinstance(
        constraint.condition, models.Q
    ):
        return [
            str(leaf[0]).split("__")[0]
            for leaf in constraint.condition.children
            if isinstance(leaf, tuple)
        ]
    return [constraint.name]


def _refused(row: models.Model, label: str, error: ValidationError) -> Refused:
    name, errors = next(iter(error.error_dict.items()))
    if any(one.code == "invalid_choice" for one in errors):
        # Django's own message repeats the value, however long it is
        choices = _options(row).get_field(name).flatchoices
        rule = f"one of {', '.join(str(value) for value, _ in choices)}"
    else:
        rule = "; ".join(error.message_dict[name])
    return Refused(field=_path(label, name), value=_value(row, name), rule=rule)


def _options(model: models.Model | type[models.Model]) -> Any:
    return model._meta  # noqa: SLF001 - Django's documented description of a model


def _value(row: models.Model, name: str) -> Any:
    """Return a column as given, without asking the database for a relation."""
    columns = {field.name: field.attname for field in _options(row).concrete_fields}
    return row.__dict__.get(columns.get(name, name))


def _path(label: str, name: str) -> str:
    return f"{label}.{name}" if label else name
