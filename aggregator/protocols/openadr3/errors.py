"""Refusals of the OpenADR doors, beside those of the services behind them."""

from accounts.core.errors import Refused


class NameTaken(Refused):
    """A name that must be unique is in use."""


class InvalidReport(Refused):
    """The report does not fit its event, or names a resource that is not the client's."""
