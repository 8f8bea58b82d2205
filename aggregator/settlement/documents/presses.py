"""Printing of documents in one process, and on all cores.

A press is a child process that reads documents from its input and writes files to its output.
It is no :mod:`multiprocessing` child, because a Celery worker may have none, and no thread,
because two typesettings in one process take longer than one after the other.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Final, Self

from aggregator.settlement.documents.csv_file import document_csv
from aggregator.settlement.documents.pdf_file import document_pdf
from aggregator.settlement.documents.xlsx_file import document_xlsx

ROOT: Final = Path(__file__).resolve().parents[3]
LENGTH: Final = struct.Struct(">I")
AHEAD_COUNT: Final = 8  # jobs handed out per press before the first is awaited
PRINTERS: Final = {"pdf": document_pdf, "xlsx": document_xlsx, "csv": document_csv}
Job = tuple[Mapping[str, Any], str, str]


class PressFailed(Exception):
    """A press died or could not print; its last words are in its parent's error stream."""


def document_printed(content: Mapping[str, Any], language: str, file_format: str) -> bytes:
    """Return a document as a file; the same content is the same bytes."""
    return PRINTERS[file_format](content, language)


class Press:
    """Printing processes, one per core, for as long as there is much to print."""

    def __init__(self, count: int | None = None) -> None:
        self._count = count or len(os.sched_getaffinity(0))
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start; a process is made when it is first needed."""
        self._threads = ThreadPoolExecutor(self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every process that was started here."""
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            _pipe(process.stdin).close()
            process.wait()
            _pipe(process.stdout).close()

    def printed(self, jobs: Iterable[Job]) -> Iterator[bytes]:
        """Print in parallel; files come in the order of the jobs."""
        waiting: list[Future[bytes]] = []
        for job in jobs:
            waiting.append(self._threads.submit(self._print, job))
            if len(waiting) >= self._count * AHEAD_COUNT:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()

    def _print(self, job: Job) -> bytes:
        process = self._start() if self._idle.empty() else self._idle.get()
        content = json.dumps(job).encode()
        stdin, stdout = _pipe(process.stdin), _pipe(process.stdout)
        try:
            stdin.write(LENGTH.pack(len(content)) + content)
            stdin.flush()
            (length,) = LENGTH.unpack(stdout.read(LENGTH.size))
        except (OSError, struct.error) as error:
            raise PressFailed(f"{job[0].get('number')}: the press died") from error
        printed = stdout.read(length)
        if len(printed) != length:
            raise PressFailed(f"{job[0].get('number')}: the press died")
        self._idle.put(process)
        return printed

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # one press is one core: the typesetter's own threads would fight the other press
            env={**os.environ, "RAYON_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        self._all.append(process)
        return process


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise PressFailed("a press without pipes")
    return pipe


def work(source: IO[bytes], sink: IO[bytes]) -> None:
    """Print what comes in until there is no more."""
    while head := source.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        content = document_printed(*json.loads(source.read(length)))
        sink.write(LENGTH.pack(len(content)) + content)
        sink.flush()


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer)
