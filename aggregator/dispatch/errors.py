"""Refusals of dispatch."""

from accounts.core.errors import Refused


class InstructionClosed(Refused):
    """The instruction can no longer be answered or changed so."""
