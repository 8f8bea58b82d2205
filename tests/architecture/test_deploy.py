"""What cannot be run here is at least checked: image, compose file, locks, production settings."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT

DEPLOY = ROOT / "deploy"
LOCKS = ("base.txt", "dev.txt", "uv.txt")
# not a secret: only long enough to be taken for one
DUMMY_KEY = "k" * 32 + "".join(chr(97 + i % 26) for i in range(40))

DUMMY_SEED = base64.b64encode(bytes(range(32))).decode()


def _tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name(name))
    return subprocess.run(
        [program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def _production(**changes: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "aggregator.config.settings.production",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": DUMMY_KEY,
        "RECEIPT_KEY": DUMMY_SEED,
        "ALLOWED_HOSTS": "market.example.jp",
        "DATABASE_URL": "postgresql://wattbit:secret@db.example.jp/wattbit",
        "REDIS_URL": "rediss://redis.example.jp/0",
        "EMAIL_URL": "smtp+tls://wattbit:secret@mail.example.jp",
        "BEHIND_TLS_PROXY": "true",
        **changes,
    }


def _django(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_image_is_built_as_hadolint_advises() -> None:
    done = _tool("hadolint", "deploy/Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_compose_file_follows_its_specification() -> None:
    done = _tool(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"
    )
    assert done.returncode == 0, done.stdout


def test_production_settings_pass_djangos_own_review() -> None:
    done = _django(_production(), "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "missing",
    ["SECRET_KEY", "RECEIPT_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"],
)
def test_production_does_not_start_without(missing: str) -> None:
    done = _django(_production(**{missing: ""}), "check")
    assert done.returncode != 0
    assert missing in done.stderr
    assert "secret@" not in done.stderr


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_of_a_lock_carries_its_hashes_and_no_address(name: str) -> None:
    text = (DEPLOY / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    pins = re.split(r"\n(?=\S)", text.strip())
    assert [pin for pin in pins if not re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", pin)] == []
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_the_example_environment_names_only_variables_that_are_read() -> None:
    from aggregator.config.env import VARIABLES

    known = {variable.name for variable in VARIABLES}
    known |= {f"{variable.name}_FILE" for variable in VARIABLES if variable.secret}
    known |= {"DJANGO_SETTINGS_MODULE"}
    text = (DEPLOY / "env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, flags=re.MULTILINE))
    assert named
    assert named <= known
