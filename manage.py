#!/usr/bin/env python3
"""The one door for people: ``python3 manage.py COMMAND`` on a machine with Python and pip only.

Before anything else the environment is made ready (``aggregator/ops/bootstrap.py``, standard
library only), then the command runs inside it.
"""

import base64
import os
import secrets
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PYTHON_OLDEST = (3, 11)
INTERRUPTED = 130  # as shells say it: 128 and the number of the signal


def _environment_ready(group: str) -> None:
    """Load the bootstrap by path: importing its package could need what is not installed yet."""
    path = ROOT / "aggregator" / "ops" / "bootstrap.py"
    spec = spec_from_file_location("wattbit_bootstrap", str(path))
    if spec is None or spec.loader is None:
        sys.exit("aggregator/ops/bootstrap.py is missing: this is not a whole checkout.")
    bootstrap = module_from_spec(spec)
    sys.modules[spec.name] = bootstrap
    spec.loader.exec_module(bootstrap)
    bootstrap.environment_ready(root=ROOT, group=group)


def main() -> None:
    """Make the environment ready, then hand over to the gate or to Django."""
    if sys.version_info < PYTHON_OLDEST:
        sys.exit("WattBit needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    _environment_ready("dev" if command == "test" else "base")
    if command == "test":
        from aggregator.ops import gate

        sys.exit(gate.main(sys.argv[2:]))
    if command == "bench":
        # measurements start from an empty market: never the demo's
        os.environ.setdefault("WATTBIT_INSTANCE", "bench")
        from aggregator.ops.secret import book_key_kept

        # one process seals and opens
        kept = book_key_kept(instance=os.environ["WATTBIT_INSTANCE"])
        os.environ.setdefault("BOOK_KEY_FILE", str(kept))
    if command in ("clear", "verify") and "SECRET_KEY_FILE" not in os.environ:
        # from file to file: such a command signs nothing and keeps nothing
        os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
        os.environ.setdefault("AUDIT_SIGNING_KEY", secrets.token_hex(32))
        receipt_key = base64.b64encode(secrets.token_bytes(32)).decode()
        os.environ.setdefault("RECEIPT_KEY", receipt_key)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aggregator.config.settings.local")
    from django.core.management import execute_from_command_line

    from aggregator.ops.errors import CannotRun

    try:
        execute_from_command_line(sys.argv)
    except CannotRun as reason:
        sys.exit(f"wattbit: {reason}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("wattbit: interrupted\n")
        sys.exit(INTERRUPTED)
