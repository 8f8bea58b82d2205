"""Run by the Python that an environment is to be of: makes it, and prints its interpreter.

Arguments: the checkout, where the environment is to stand, and its hashed lock. What cannot be
had ends it with the reason and 3.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

root, home, lock = (Path(argument) for argument in sys.argv[1:])
# by path: the packages of the checkout are not installed for this interpreter
spec = spec_from_file_location("bootstrap", root / "aggregator" / "ops" / "bootstrap.py")
assert spec is not None
assert spec.loader is not None
bootstrap = module_from_spec(spec)
spec.loader.exec_module(bootstrap)
try:
    python = bootstrap.lock_environment(root=root, home=home, lock=lock)
except bootstrap.EnvironmentNotMade as failure:
    sys.stderr.write(str(failure))
    sys.exit(3)
sys.stdout.write(f"{python}\n")
