"""Failures of the market core, told apart by who must act."""

from __future__ import annotations

from accounts.core.errors import Refused


class InvalidSnapshot(Refused):
    """The snapshot breaks a rule of its layout; the sender must correct it."""


class InvalidRules(Refused):
    """The clearing rules are incomplete, unknown or out of range."""


class InvalidTime(Refused):
    """A time that is no half hour of the market's day."""


class SolverFailed(Exception):
    """No publishable result; subclasses say why. The auction enters a named state."""


class SolverInfeasible(SolverFailed):
    """The solver says no solution exists. Doing nothing is always one: this is our bug."""


class SolverUnbounded(SolverFailed):
    """The solver says the gain has no limit. Every column is bounded: this is our bug."""


class SolverLimit(SolverFailed):
    """The work limit of the rules (iterations, nodes) ended the search."""


class SolverNumerical(SolverFailed):
    """The solver lost its footing: an inaccurate or undefined answer."""


class SolverDeadline(SolverFailed):
    """The solver process was killed at the wall-clock deadline."""


class SolverDied(SolverFailed):
    """The solver process ended without an answer."""


class ResultUnverified(SolverFailed):
    """The independent check refused the result: it must not be published."""
