"""A small typed client of the API, for operators' own systems.

It stands alone: httpx and PyNaCl, nothing of the platform. Copy the folder or install the
package; ``docs/api.md`` shows it at work.
"""

from aggregator.api.client.market import WattBit
from aggregator.api.client.transport import Problem, Unreachable

__all__ = ["Problem", "Unreachable", "WattBit"]
