"""Why a large book goes the plain road instead."""

from __future__ import annotations


class RoadClosed(Exception):
    """The fast road does not lead to this book's optimum; the plain one does."""
