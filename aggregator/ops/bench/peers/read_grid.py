"""Write the 118-bus case as PYPOWER ships it: ``read_grid.py GRID.json``, in a peer's place."""

import json
import sys
from pathlib import Path

from pypower.case118 import case118

found = case118()
matrices = {name: found[name].tolist() for name in ("bus", "gen", "branch")}
Path(sys.argv[1]).write_text(json.dumps(matrices))
