"""The portal's form kit: what a person types, read kindly and judged once.

A form class declares its fields; :func:`answered` does the rest of a page with a form: shows it,
reads it, runs the service that judges, and leads on. See docs/portal.md, "Forms".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from accounts.core.errors import Refused
from aggregator.portal import words
from market.trading.refusals import RowsRefused

UNITS: Final = {"万": Decimal(10_000), "千": Decimal(1_000), "億": Decimal(100_000_000)}
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_GROUPS: Final = re.compile(r"((?:\d+(?:\.\d*)?|\.\d+))([億万千])")
_DROPPED: Final = str.maketrans("", "", ", _\u3000、")
# full-width forms, which an input method gives; NFKC would read 10² as 102
_NARROWED: Final = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
_MINUSES: Final = str.maketrans(dict.fromkeys("−‐‑–—―ー", "-"))
LENGTH_MAX: Final = 40

Place = Callable[[str], str | None]


def read_number(text: str) -> Decimal:
    """Read a number as people here type it.

    Parameters
    ----------
    text
        Full-width digits, commas and signs are taken, and 千, 万, 億: ``１２，０００``, ``1.2万``,
        ``1万2千``.

    Raises
    ------
    ValueError
        If it is no number.
    """
    plain = text.translate(_NARROWED).translate(_MINUSES).translate(_DROPPED)
    sign = -1 if plain.startswith("-") else 1
    body = plain.lstrip("+-")
    if len(plain) - len(body) > 1 or len(plain) > LENGTH_MAX or not body:
        raise ValueError(text)
    total, at = Decimal(0), 0
    for found in _GROUPS.finditer(body):
        if found.start() != at:
            raise ValueError(text)
        total += Decimal(found[1]) * UNITS[found[2]]
        at = found.end()
    rest = body[at:]
    if rest:
        if not _NUMBER.fullmatch(rest) or not rest.isascii():
            raise ValueError(text)
        try:
            total += Decimal(rest)
        except InvalidOperation as error:
            raise ValueError(text) from error
    return sign * total


class _Asked:
    """What every field says when it is left empty."""

    default_error_messages: ClassVar[Any] = {"required": gettext_lazy("入力してください。")}


class NumberField(_Asked, forms.Field):
    """A number with its unit in the label; `digits` decimals are kept, more are refused.

    With `is_trimmed` a whole number is shown without decimals.
    """

    def __init__(
        self,
        *,
        unit: Any = "",
        digits: int = 0,
        low: Decimal | int | None = None,
        high: Decimal | int | None = None,
        is_trimmed: bool = False,
        **kwargs: Any,
    ) -> None:
        self.unit, self.digits, self.low, self.high = unit, digits, low, high
        self.is_trimmed = is_trimmed
        attrs = {"class": "in num", "inputmode": "decimal", "autocomplete": "off"}
        kwargs.setdefault("widget", forms.TextInput(attrs=attrs))
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Decimal | None:
        """Read what was typed.

        Raises
        ------
        ValidationError
            If it is no number or breaks a bound.
        """
        if value in self.empty_values:
            return None
        if isinstance(value, Decimal):
            return value
        try:
            found = read_number(str(value))
        except ValueError:
            raise ValidationError(
                gettext("「%(text)s」は数として読めません。例：12,000、１２０００、1.2万")
                % {"text": str(value)[:LENGTH_MAX]}
            ) from None
        if found != round(found, self.digits):
            raise ValidationError(
                gettext("小数は%(digits)d桁までです。%(text)s を丸めて入力してください。")
                % {"digits": self.digits, "text": str(value)[:LENGTH_MAX]}
            )
        self._bounded(found)
        return found

    def _bounded(self, found: Decimal) -> None:
        unit = f" {self.unit}" if str(self.unit) else ""
        if self.low is not None and found < self.low:
            raise ValidationError(
                gettext("%(low)s%(unit)s 以上で入力してください。")
                % {"low": words.number(Decimal(self.low), self.digits), "unit": unit}
            )
        if self.high is not None and found > self.high:
            raise ValidationError(
                gettext("%(high)s%(unit)s 以下で入力してください。")
                % {"high": words.number(Decimal(self.high), self.digits), "unit": unit}
            )

    def prepare_value(self, value: Any) -> Any:
        """Write a number with commas; what a person typed stays as typed."""
        if isinstance(value, Decimal | int | float):
            number = Decimal(str(value))
            digits = 0 if self.is_trimmed and number == int(number) else self.digits
            return words.number(number, digits).replace(words.MINUS, "-")
        return value


class TextField(_Asked, forms.CharField):
    """One line of text; several with `rows`."""

    def __init__(self, *, rows: int = 1, **kwargs: Any) -> None:
        attrs: dict[str, Any] = {"class": "in", "autocomplete": "off"}
        if rows > 1:
            kwargs.setdefault("widget", forms.Textarea(attrs={**attrs, "rows": rows}))
        kwargs.setdefault("widget", forms.TextInput(attrs=attrs))
        kwargs.setdefault("max_length", 200)
        super().__init__(**kwargs)


class ChoiceField(_Asked, forms.ChoiceField):
    """One of several, as a select."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Select(attrs={"class": "in"}))
        super().__init__(**kwargs)


class DayField(_Asked, forms.DateField):
    """A JST day."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "widget", forms.DateInput(attrs={"class": "in", "type": "date"}, format="%Y-%m-%d")
        )
        super().__init__(**kwargs)


class TickField(forms.BooleanField):
    """Yes or no; not ticked is no."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("widget", forms.CheckboxInput(attrs={"class": "tick"}))
        super().__init__(**kwargs)


class FileField(_Asked, forms.FileField):
    """A file to take over."""

    def __init__(self, *, accept: str = ".csv,text/csv", **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.FileInput(attrs={"class": "in", "accept": accept}))
        super().__init__(**kwargs)


_KOMA: Final = 48


class KomaField(_Asked, forms.TypedChoiceField):
    """A half hour, as its index 0…47; with `is_end` the instant after it, 1…48."""

    def __init__(self, *, is_end: bool = False, **kwargs: Any) -> None:
        def choices() -> list[tuple[int, str]]:
            if is_end:
                return [(t, words.clock(t)) for t in range(1, _KOMA + 1)]
            return [(t, f"{words.koma(t)} {words.clock(t)}–") for t in range(_KOMA)]

        kwargs.setdefault("widget", forms.Select(attrs={"class": "in"}))
        super().__init__(choices=choices, coerce=int, **kwargs)


class PortalForm(forms.Form):
    r"""A form of the portal: plain data in, errors at their fields.

    Subclasses may set `places`: pairs of a pattern of a refusal's field path and the name of the
    form's field it belongs to, e.g. ``(r"curves\[0\]\.t_first", "koma_first")``.
    """

    places: Sequence[tuple[str, str]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("use_required_attribute", False)
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def refuse(self, refused: Refused, place: Place | None = None) -> None:
        """Put what a service refused at its field, in the page's language.

        Parameters
        ----------
        place
            Gives the form's field of a refusal's path; None: the form's own `places`.
        """
        if not hasattr(self, "cleaned_data"):
            self.cleaned_data = {}
        many = refused.refusals if isinstance(refused, RowsRefused) else (refused,)
        for one in many:
            self.add_error(self._field_of(one.field, place), refusal_text(one))

    def _field_of(self, path: str, place: Place | None) -> str | None:
        if place is not None:
            name = place(path)
        else:
            name = next((to for at, to in self.places if re.fullmatch(at, path)), None)
            name = name or (path if path in self.fields else path.rsplit(".", 1)[-1])
        return name if name in self.fields else None


class NothingForm(PortalForm):
    """Nothing to fill in."""


def refusal_text(refused: Refused) -> str:
    """Say what a service refused: what was found, and the rule it breaks."""
    rule = words.rule(refused)
    if refused.value in (None, ""):
        return rule
    return gettext("%(value)s：%(rule)s") % {"value": shown(refused.value), "rule": rule}


def shown(value: object) -> str:
    """Write a refused value for a person, not as Python would."""
    text = str(value) if isinstance(value, str | int | float | Decimal) else repr(value)
    return text if len(text) <= LENGTH_MAX else text[: LENGTH_MAX - 1] + "…"
