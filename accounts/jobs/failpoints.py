"""Named places where a test may let a process die or wait; nothing at all in production.

Only test settings name any (``FAILPOINTS``), so that the tests of faults can strike at one
exact step of real processes.
"""

import os
import signal
import time
from pathlib import Path

from django.conf import settings

PAUSE_S = 0.02


def failpoint(name: str) -> None:
    """Do what the settings say for this place: ``kill9`` or ``hold:DIRECTORY``.

    ``hold`` leaves a file of the point's name, with the process id in it, in the directory
    and goes on when a file ``<name>.go`` appears there.
    """
    action = settings.FAILPOINTS.get(name, "")
    if action == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action.startswith("hold:"):
        directory = Path(action.removeprefix("hold:"))
        (directory / name).write_text(str(os.getpid()))
        while not (directory / f"{name}.go").exists():
            time.sleep(PAUSE_S)
