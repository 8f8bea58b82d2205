"""Programs of the operating system that tests look for: installed where that may be done."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

INSTALL_S: Final = 240
"""How long one installation may take; a machine without a mirror must not hold the tests up."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program, the Debian packages it comes in, and what is not tested without it."""

    program: str
    packages: tuple[str, ...]
    loss: str


TOOLS: Final = (
    Tool(
        program="chromium",
        packages=("chromium", "fonts-noto-cjk"),
        loss="pages are not looked at in a browser",
    ),
    Tool(
        program="hledger",
        packages=("hledger",),
        loss="the ledger's journal is not checked by a program that is not ours",
    ),
)


def tools_missing(*, install: bool) -> list[Tool]:
    """Return the tools that are not there, after trying to install them as root on Debian."""
    missing = [tool for tool in TOOLS if shutil.which(tool.program) is None]
    if missing and install and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(missing)
    return [tool for tool in missing if shutil.which(tool.program) is None]


def _install(tools: list[Tool]) -> None:
    """Ask for each alone: one that cannot be had takes no other with it."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    updated = False
    for tool in tools:
        argv = ["apt-get", "install", "-y", "--no-install-recommends", *tool.packages]
        if _done(argv, environment) or updated:
            continue
        updated = True
        if _done(["apt-get", "update"], environment):
            _done(argv, environment)


def _done(argv: list[str], environment: dict[str, str]) -> bool:
    try:
        return (
            subprocess.run(
                argv, env=environment, capture_output=True, timeout=INSTALL_S, check=False
            ).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False
