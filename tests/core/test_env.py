"""The environment is read loudly: what cannot be meant stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.config import env
from aggregator.config.env import WrongEnvironment


def test_a_secret_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("x" * 50 + "\n")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("SECRET_KEY_FILE", str(path))
    assert env.secret_key() == "x" * 50


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a" * 60)
    monkeypatch.setenv("SECRET_KEY_FILE", "somewhere")
    with pytest.raises(WrongEnvironment, match="both set"):
        env.secret_key()


def test_a_secret_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("SECRET_KEY_FILE", "nowhere/key")
    with pytest.raises(WrongEnvironment, match="SECRET_KEY_FILE cannot be read"):
        env.secret_key()


def test_a_short_key_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "changeme")
    with pytest.raises(WrongEnvironment) as refused:
        env.secret_key()
    assert "changeme" not in str(refused.value)


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL_FILE", "nowhere")
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    assert env.choice("LOG_LEVEL", of=("INFO",)) == "INFO"


@pytest.mark.parametrize("value", ["-1", "65", "1.5", "1e1", "２", "0x2", "two", " 2"])
def test_a_number_is_ascii_digits_within_its_bounds(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_CONCURRENCY", value)
    with pytest.raises(WrongEnvironment, match="must be a number from 1 to 64"):
        env.integer("WORKER_CONCURRENCY", low=1, high=64)


def test_a_word_that_is_neither_true_nor_false_is_not_false(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEBUG", "flase")
    with pytest.raises(WrongEnvironment, match="must be true or false"):
        env.boolean("DEBUG")


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSTS_S", "")
    assert env.integer("HSTS_S", low=0, high=10**8) == 31_536_000


def test_a_list_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example.jp, b.example.jp,,")
    assert env.words("ALLOWED_HOSTS") == ["a.example.jp", "b.example.jp"]


def test_a_variable_nobody_declared_is_a_bug() -> None:
    with pytest.raises(KeyError):
        env.text("UNDECLARED")


def test_a_database_url_is_taken_apart() -> None:
    address = env.database_address("postgresql://u%40x:p%2Fw@db.jp:6543/market?sslmode=require")
    assert (address.user, address.password) == ("u@x", "p/w")
    assert (address.host, address.port, address.name) == ("db.jp", "6543", "market")
    assert dict(address.parameters) == {"sslmode": "require"}


def test_a_database_behind_a_socket_has_its_directory_in_the_query() -> None:
    address = env.database_address("postgresql://postgres@/wattbit?host=/run/pg")
    assert (address.host, address.port, address.name) == ("/run/pg", "", "wattbit")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///db.sqlite3",
        "mysql://u:hush@h/db",
        "postgresql://u:hush@h",
        "postgresql://u:hush@h/a/b",
        "postgresql://u:hush@h:port/db",
        "postgresql://u:hush@h/db?sslmode",
    ],
)
def test_a_wrong_database_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(WrongEnvironment) as refused:
        env.database_address(url)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "broker", "cache"),
    [
        ("redis://r.jp:6379/2", "redis://r.jp:6379/2", "redis://r.jp:6379/3"),
        ("rediss://:pw@r.jp", "rediss://:pw@r.jp/0", "rediss://:pw@r.jp/1"),
        (
            "unix:///run/v.sock?db=4",
            "redis+socket:///run/v.sock?virtual_host=4",
            "unix:///run/v.sock?db=5",
        ),
    ],
)
def test_one_redis_url_serves_broker_and_cache_apart(url: str, broker: str, cache: str) -> None:
    address = env.redis_address(url)
    assert (address.broker_url, address.cache_url) == (broker, cache)


@pytest.mark.parametrize("url", ["amqp://h/", "redis:///0", "redis://h/zero", "unix:///s?db=-1"])
def test_a_wrong_redis_url_is_refused(url: str) -> None:
    with pytest.raises(WrongEnvironment):
        env.redis_address(url)
