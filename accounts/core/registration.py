"""Registration numbers of issuers of qualified invoices: ``T`` and thirteen digits."""

from __future__ import annotations

import re
from typing import Final

from accounts.core.errors import Refused

RULE: Final = "T and 13 digits, the first the check digit of the other twelve (法人番号)"
_FORM: Final = re.compile(r"T[1-9][0-9]{12}")
_MODULUS: Final = 9


class RegistrationInvalid(Refused):
    """A number that cannot have been given to a company."""


def check_digit(base: str) -> int:
    r"""Return the check digit of the twelve digits of a corporate number.

    .. math:: c = 9 - \Big(\sum_{n=1}^{12} P_n Q_n \bmod 9\Big)

    with :math:`P_n` the n-th digit from the right and :math:`Q_n` = 1 where n is odd, else 2.

    References
    ----------
    法人番号の指定等に関する省令, §2; 7000012050002 is the National Tax Agency's own.
    """
    weighted = sum(int(digit) * (1 + n % 2) for n, digit in enumerate(reversed(base)))
    return _MODULUS - weighted % _MODULUS


def registration_checked(text: str, *, field: str = "registration_number") -> str:
    """Return a registration number whose check digit is right.

    The parties of this market are companies. A sole proprietor's number is no corporate number
    and has no check digit of this kind, so it is refused here too.

    Raises
    ------
    RegistrationInvalid
        On another form, or a wrong check digit.
    """
    if _FORM.fullmatch(text) is None or int(text[1]) != check_digit(text[2:]):
        raise RegistrationInvalid(field=field, value=text, rule=RULE)
    return text
