"""The unit table, and the sign of power, said once.

Sign convention
---------------
Trade knows no signed power. A quantity is ``quantity_kw >= 0`` with a direction: ``UP`` is less
load or more supply (上げ調整; a load reduction, 下げDR, is ``UP``), ``DOWN`` the reverse. Inside
the mathematics an *injection change* is positive for ``UP``. A ``price`` is always the value of one
more kWh of ``UP`` at its place: a leg receives ``+price × quantity`` for ``UP`` and
``−price × quantity`` for ``DOWN``. Only readings are signed: ``+`` flows to the customer.
The flow of an element is positive from the ``from`` end to the ``to`` end of its branch.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

UP: Final = "UP"
DOWN: Final = "DOWN"
DIRECTIONS: Final = (UP, DOWN)
DIRECTION_SIGN: Final = MappingProxyType({UP: 1.0, DOWN: -1.0})
CAPACITY_PRICED_H: Final = 0.5
"""Capacity is priced per kW and 30 minutes, whatever the length of an interval."""

UNITS: Final = MappingProxyType(
    {
        "_kw": "kilowatt: power",
        "_kwh": "kilowatt-hour: energy",
        "_mw": "megawatt: labels and official files, at the edge only",
        "_mva": "megavolt-ampere: the base of per-unit values",
        "_kv": "kilovolt: nominal voltage",
        "_jpy": "yen",
        "_jpy_per_kwh": "yen per kilowatt-hour",
        "_jpy_per_kw": "yen per kilowatt of change",
        "_jpy_per_kw_30min": "yen per kilowatt of capacity and half hour (円/ΔkW・30分)",
        "_jpy_per_gb": "yen per gigabyte carried",
        "_h": "hour: duration",
        "_s": "second: duration",
        "_ms": "millisecond: latency",
        "_gb": "gigabyte, 10⁹ bytes",
        "_gb_per_kw": "gigabytes to move one kilowatt of work",
        "_gb_per_kwh": "gigabytes of running traffic per kilowatt-hour moved",
        "_ratio": "dimensionless, mostly 0 to 1",
        "_kw_per_min": "kilowatt per minute: how fast a unit changes",
        "_kw_per_kw": "kilowatt on an element per kilowatt injected at a place",
        "_pu": "per unit on the base of the grid model",
        "_deg": "degree: angle",
        "_count": "a number of things",
        "_t": "index of a half hour, 0-based",
    }
)
"""What a name may end in, and what that means."""
