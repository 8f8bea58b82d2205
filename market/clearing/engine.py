"""The parent's side of the solver process: snapshot bytes in, result bytes out, or a named error.

Standard library only, so that it works in any process. The child is started when first needed,
killed with SIGKILL at the deadline, and replaced when it has died.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from accounts.core.errors import BrokenInvariant, Refused
from market.core import errors

ROOT: Final = Path(__file__).resolve().parents[2]
READY: Final = b"R"
RESULT: Final = b"O"
ERROR: Final = b"E"
LENGTH_BYTES: Final = 8
CHUNK_BYTES: Final = 1 << 16
START_DEADLINE_S: Final = 120.0
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class SolverEngine:
    """One warm solver process; safe between threads and after a fork.

    Parameters
    ----------
    memory_limit_mib
        Address space the child may use; 0 sets no limit.
    start_deadline_s
        Longest wait for a fresh child to be ready. [s]
    """

    def __init__(
        self, *, memory_limit_mib: int = 0, start_deadline_s: float = START_DEADLINE_S
    ) -> None:
        self._memory_limit_mib = memory_limit_mib
        self._start_deadline_s = start_deadline_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()

    @property
    def child_pid(self) -> int | None:
        """Return the process id of the solver, if one is running here."""
        child = self._child if self._owner_pid == os.getpid() else None
        return child.pid if child is not None and child.poll() is None else None

    def warm(self) -> None:
        """Start the child if need be and wait until it is ready."""
        with self._guarded():
            self._ready_child()

    def clear_bytes(self, snapshot: bytes, deadline_s: float) -> bytes:
        """Return the result of clearing a snapshot.

        Parameters
        ----------
        snapshot
            Snapshot bytes.
        deadline_s
            Wall-clock time the clearing may take; starting a child is not counted. [s]

        Raises
        ------
        InvalidSnapshot
            If the snapshot breaks a rule of its layout.
        SolverFailed
            :class:`~market.core.errors.SolverDeadline` when the child was killed at the deadline,
            :class:`~market.core.errors.SolverDied` when it ended by itself, and the others as
            the child reports them.
        """
        with self._guarded():
            child = self._ready_child()
            until = time.monotonic() + deadline_s
            kind, content = self._exchange(
                child, len(snapshot).to_bytes(LENGTH_BYTES, "big") + snapshot, until
            )
        if kind == RESULT:
            return content
        raise _error_of(json.loads(content))

    def close(self) -> None:
        """End the child; a later call starts a new one."""
        with self._guarded():
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _guarded(self) -> threading.Lock:
        if self._owner_pid != os.getpid():
            # After a fork the child belongs to the other process, and so may the held lock.
            self._abandon()
        return self._lock

    def _abandon(self) -> None:
        inherited, self._child = self._child, None
        self._owner_pid, self._lock = os.getpid(), threading.Lock()
        if inherited is not None:
            for pipe in (inherited.stdin, inherited.stdout):
                _shut(pipe)
            inherited.returncode = 0  # not ours to wait for

    def _ready_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._discard()
        command = [sys.executable, "-m", "market.core.worker"]
        if self._memory_limit_mib:
            command += ["--memory-limit-mib", str(self._memory_limit_mib)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            bufsize=0,
        )
        self._child = child
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        kind, _ = self._exchange(child, b"", time.monotonic() + self._start_deadline_s)
        if kind != READY:
            self._discard()
            raise errors.SolverDied("the solver process did not say that it is ready")
        return child

    def _exchange(
        self, child: subprocess.Popen[bytes], outgoing: bytes, until: float
    ) -> tuple[bytes, bytes]:
        """Send bytes and return the next frame, killing the child unless that succeeds."""
        try:
            return _talk(child, outgoing, until)
        except (TimeoutError, EOFError, OSError) as found:
            self._discard()
            if isinstance(found, TimeoutError):
                raise errors.SolverDeadline("killed at the deadline") from found
            code = child.returncode
            raise errors.SolverDied(f"the solver process ended with code {code}") from found
        except BaseException:
            # An interrupted exchange would leave half a frame for the next caller.
            self._discard()
            raise

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            _shut(pipe)
        child.wait()


def _shut(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()


def _talk(child: subprocess.Popen[bytes], outgoing: bytes, until: float) -> tuple[bytes, bytes]:
    """Write all of `outgoing` and read one frame, neither blocking beyond `until`."""
    if child.stdin is None or child.stdout is None:
        raise EOFError
    incoming = bytearray()
    left = memoryview(outgoing)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        if left:
            selector.register(child.stdin, selectors.EVENT_WRITE)
        while (frame := _frame(incoming)) is None:
            remaining_s = until - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError
            for key, _ in selector.select(remaining_s):
                if key.fileobj is child.stdout:
                    chunk = os.read(child.stdout.fileno(), CHUNK_BYTES)
                    if not chunk:
                        raise EOFError
                    incoming += chunk
                else:
                    left = left[os.write(child.stdin.fileno(), left[:CHUNK_BYTES]) :]
                    if not left:
                        selector.unregister(child.stdin)
    return frame


def _frame(incoming: bytearray) -> tuple[bytes, bytes] | None:
    head = 1 + LENGTH_BYTES
    if len(incoming) < head:
        return None
    length = int.from_bytes(incoming[1:head], "big")
    if len(incoming) < head + length:
        return None
    return bytes(incoming[:1]), bytes(incoming[head : head + length])


def _error_of(described: dict[str, Any]) -> Exception:
    """Return the error a child described, as the same class."""
    found = getattr(errors, described["error"], None)
    if isinstance(found, type) and issubclass(found, Refused):
        return found(field=described["field"], value=described["value"], rule=described["rule"])
    if isinstance(found, type) and issubclass(found, errors.SolverFailed):
        return found(described["message"])
    return BrokenInvariant(f"{described['error']}: {described['message']}")
