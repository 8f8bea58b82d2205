"""Everything the environment may say, typed and loud.

Each variable stands once in :data:`VARIABLES`; reading another one is a bug. A secret may be
given as ``NAME_FILE``, the path of a file that holds it. ``docs/operating.md`` shows the same
table, and a test keeps the two equal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from aggregator.ops.errors import CannotRun

SECRET_KEY_LENGTH_MIN = 50
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")


class WrongEnvironment(CannotRun):
    """The environment lacks a variable or holds one that cannot be meant."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One environment variable.

    Parameters
    ----------
    name
        As in the environment.
    default
        Text used when it is absent; None if it has none.
    meaning
        One sentence for the operator.
    secret
        Whether ``NAME_FILE`` is read too, and the value is never shown.
    """

    name: str
    default: str | None
    meaning: str
    secret: bool = False


VARIABLES = (
    Variable(
        name="SECRET_KEY",
        default=None,
        secret=True,
        meaning="Signs sessions; at least 50 characters. Required in production.",
    ),
    Variable(
        name="SECRET_KEY_FALLBACKS",
        default="",
        secret=True,
        meaning="Earlier keys, separated by commas: what they signed or encrypted stays readable.",
    ),
    Variable(
        name="RECEIPT_KEY",
        default=None,
        secret=True,
        meaning="Seed of the Ed25519 key that signs receipts, 32 bytes in base64. Required in "
        "production.",
    ),
    Variable(
        name="BOOK_KEY_FILE",
        default=None,
        meaning="Path of the private halves of the book keys, one a line. Workers only: whoever "
        "reads this file can read sealed bids.",
    ),
    Variable(
        name="AUDIT_SIGNING_KEY",
        default=None,
        secret=True,
        meaning="Ed25519 seed, 64 hexadecimal digits, that signs checkpoints of the audit chain. "
        "Given to workers only; without it the chain grows unsigned.",
    ),
    Variable(
        name="AUDIT_PUBLIC_KEYS",
        default="",
        meaning="Ed25519 keys, 64 hexadecimal digits each, separated by commas, whose checkpoints "
        "`audit_verify` trusts besides the signing key's own.",
    ),
    Variable(
        name="AUDIT_CHECKPOINT_FILE",
        default=None,
        meaning="File that workers add each checkpoint of the audit chain to. Best on storage "
        "that only takes additions.",
    ),
    Variable(
        name="UFTP_DOMAIN",
        default=None,
        meaning="Domain under which UFTP messages come and go, in small letters. Absent in "
        "production: UFTP is not spoken.",
    ),
    Variable(
        name="UFTP_PRIVATE_KEY",
        default=None,
        secret=True,
        meaning="Ed25519 key that signs UFTP messages: 64 bytes (or the seed, 32) in base64. "
        "Required in production with UFTP_DOMAIN; elsewhere it is made of SECRET_KEY.",
    ),
    Variable(
        name="UFTP_MESSAGES_PER_10S",
        default="1000",
        meaning="UFTP messages taken from one sender in ten seconds; more are answered 429.",
    ),
    Variable(
        name="DATABASE_URL",
        default=None,
        secret=True,
        meaning="postgresql://user:password@host:port/name?sslmode=…, version 16 or newer. "
        "Absent: the embedded server. Required in production.",
    ),
    Variable(
        name="REDIS_URL",
        default=None,
        secret=True,
        meaning="redis://, rediss:// or unix:// address of Redis 7, Valkey or newer; the database "
        "number and the next one are used. Absent: the embedded server. Required in production.",
    ),
    Variable(
        name="ALLOWED_HOSTS",
        default="",
        meaning="Host names of the site, separated by commas. Required in production.",
    ),
    Variable(
        name="CSRF_TRUSTED_ORIGINS",
        default="",
        meaning="Origins such as https://market.example.jp, separated by commas.",
    ),
    Variable(
        name="BEHIND_TLS_PROXY",
        default="false",
        meaning="true if a proxy ends TLS and sets X-Forwarded-Proto itself on every request.",
    ),
    Variable(
        name="TRUSTED_PROXIES_COUNT",
        default="0",
        meaning="How many proxies of yours add to X-Forwarded-For; decides whose address is "
        "locked out. Nothing else reads that header.",
    ),
    Variable(
        name="EMAIL_URL",
        default=None,
        secret=True,
        meaning="smtp://, smtp+tls:// (STARTTLS) or smtps:// address of the mail server, with "
        "user and password. Required in production. Absent elsewhere: mail becomes files.",
    ),
    Variable(
        name="EMAIL_FROM",
        default="WattBit <wattbit@localhost>",
        meaning="Sender of invitations and warnings.",
    ),
    Variable(
        name="HSTS_S",
        default="31536000",
        meaning="How long browsers insist on HTTPS, in seconds.",
    ),
    Variable(
        name="DATABASE_POOL_SIZE",
        default="0",
        meaning="Connections pooled by each web process; 0 for none. Workers use none.",
    ),
    Variable(
        name="DATABASE_STATEMENT_TIMEOUT_S",
        default="10",
        meaning="Longest statement; 0 for no limit (migrations).",
    ),
    Variable(
        name="DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S",
        default="2",
        meaning="Longest pause inside a transaction, so that a stalled bid cannot hold the gate.",
    ),
    Variable(
        name="OUTBOX_PRIVATE_ADDRESSES",
        default="false",
        meaning="true if webhooks and partners' servers may stand on a private network; they are "
        "called by HTTPS all the same.",
    ),
    Variable(
        name="OPENADR_ECHO_CHALLENGE",
        default="true",
        meaning="false if OpenADR subscribers need not echo a challenge before they are told "
        "anything: some clients in the field cannot.",
    ),
    Variable(
        name="API_READS_PER_S",
        default="50",
        meaning="Reading requests of one caller and web process in the long run; 4 times as many "
        "at once.",
    ),
    Variable(
        name="API_WRITES_PER_S",
        default="100",
        meaning="Changing requests of one caller and web process; 4 times as many at once.",
    ),
    Variable(
        name="API_BULKS_PER_S",
        default="5",
        meaning="Requests with many rows of one caller and web process; 4 times as many at once.",
    ),
    Variable(
        name="API_IN_WORK_MAX",
        default="32",
        meaning="API requests that one web process works on at once; beyond them 503 at once.",
    ),
    Variable(
        name="WORKER_CONCURRENCY",
        default="2",
        meaning="Processes of one Celery worker.",
    ),
    Variable(
        name="JOB_LEASE_S",
        default="15",
        meaning="How long a silent worker keeps a job before another one takes it over.",
    ),
    Variable(
        name="READY_FILE",
        default=None,
        meaning="A worker or beat makes this file once it takes work; heartbeats renew a worker's.",
    ),
    Variable(
        name="LOG_LEVEL",
        default="INFO",
        meaning="DEBUG, INFO, WARNING or ERROR.",
    ),
    Variable(
        name="DEBUG",
        default="false",
        meaning="Django's error pages; refused in production.",
    ),
    Variable(
        name="WATTBIT_INSTANCE",
        default="demo",
        meaning="Which embedded servers are meant when DATABASE_URL or REDIS_URL is absent.",
    ),
    Variable(
        name="WATTBIT_HOME",
        default=None,
        meaning="Directory of the embedded servers and logs; .wattbit in the checkout if absent.",
    ),
    Variable(
        name="PG_BINDIR",
        default=None,
        meaning="Directory of other PostgreSQL binaries for the embedded server.",
    ),
)
_BY_NAME = {variable.name: variable for variable in VARIABLES}


def text(name: str) -> str | None:
    """Return the value, from ``NAME_FILE`` for a secret given so, or the default.

    Raises
    ------
    WrongEnvironment
        If both ``NAME`` and ``NAME_FILE`` are set, or the file cannot be read.
    """
    variable = _BY_NAME[name]
    value = os.environ.get(name)
    path = os.environ.get(f"{name}_FILE") if variable.secret else None
    if path:
        if value:
            raise WrongEnvironment(f"{name} and {name}_FILE are both set: which one is meant?")
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongEnvironment(f"{name}_FILE cannot be read: {error}") from error
    return value or variable.default


def required(name: str) -> str:
    """Return the value; its absence is an error that says what the variable is for."""
    value = text(name)
    if not value:
        raise WrongEnvironment(f"{name} is not set. {_BY_NAME[name].meaning}")
    return value


def integer(name: str, *, low: int, high: int) -> int:
    """Return a whole number between `low` and `high`, ASCII digits only."""
    value = required(name)
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise WrongEnvironment(f"{name} is {value!r}, but must be a number from {low} to {high}")
    return int(value)


def boolean(name: str) -> bool:
    """Return true or false; any other word is an error rather than false."""
    value = required(name).lower()
    if value not in TRUE_WORDS + FALSE_WORDS:
        raise WrongEnvironment(f"{name} is {value!r}, but must be true or false")
    return value in TRUE_WORDS


def choice(name: str, *, of: tuple[str, ...]) -> str:
    """Return one of the words `of`."""
    value = required(name)
    if value not in of:
        raise WrongEnvironment(f"{name} is {value!r}, but must be one of {', '.join(of)}")
    return value


def words(name: str) -> list[str]:
    """Return the non-empty parts of a comma-separated list."""
    return [word.strip() for word in (text(name) or "").split(",") if word.strip()]


def secret_key() -> str:
    """Return the key of sessions, refusing one that can be guessed."""
    key = required("SECRET_KEY")
    if len(key) < SECRET_KEY_LENGTH_MIN:
        raise WrongEnvironment(f"SECRET_KEY needs {SECRET_KEY_LENGTH_MIN} characters or more")
    return key


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """A PostgreSQL address in the parts Django asks for."""

    name: str
    user: str
    password: str
    host: str
    port: str
    parameters: Mapping[str, str]


def database_address(url: str) -> DatabaseAddress:
    """Take a ``postgresql://`` URL apart; the host may be a socket directory in the query.

    Raises
    ------
    WrongEnvironment
        Without showing the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise WrongEnvironment("DATABASE_URL cannot be read as a URL") from error
    if parts.scheme not in ("postgresql", "postgres"):
        raise WrongEnvironment(
            f"DATABASE_URL starts with {parts.scheme!r}: only postgresql:// is supported"
        )
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise WrongEnvironment("DATABASE_URL does not end with the name of one database")
    parameters = {key: values[-1] for key, values in query.items()}
    return DatabaseAddress(
        name=name,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=parameters.pop("host", "") or unquote(parts.hostname or ""),
        port=str(port or ""),
        parameters=parameters,
    )


@dataclass(frozen=True, kw_only=True)
class RedisAddress:
    """One Redis as Celery and Django's cache each write it."""

    broker_url: str
    cache_url: str


def redis_address(url: str) -> RedisAddress:
    """Derive the broker's and the cache's address; the cache takes the next database number.

    Raises
    ------
    WrongEnvironment
        Without showing the URL, which may hold a password.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        number = _database_number(parse_qs(parts.query).get("db", ["0"])[-1])
        return RedisAddress(
            broker_url=f"redis+socket://{parts.path}?virtual_host={number}",
            cache_url=f"unix://{parts.path}?db={number + 1}",
        )
    if parts.scheme in ("redis", "rediss") and parts.hostname:
        number = _database_number(parts.path.removeprefix("/") or "0")
        return RedisAddress(
            broker_url=parts._replace(path=f"/{number}").geturl(),
            cache_url=parts._replace(path=f"/{number + 1}").geturl(),
        )
    raise WrongEnvironment("REDIS_URL must start with redis://, rediss:// or unix://")


def _database_number(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise WrongEnvironment("REDIS_URL does not end with a database number")
    return int(word)


@dataclass(frozen=True, kw_only=True)
class EmailAddress:
    """A mail server in the parts Django asks for."""

    host: str
    port: int
    user: str
    password: str
    starts_tls: bool
    is_tls: bool


def email_address(url: str) -> EmailAddress:
    """Take a mail server's URL apart.

    Raises
    ------
    WrongEnvironment
        Without showing the URL, which may hold a password.
    """
    kinds = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WrongEnvironment("EMAIL_URL cannot be read as a URL") from error
    if parts.scheme not in kinds or not parts.hostname:
        raise WrongEnvironment("EMAIL_URL must start with smtp://, smtp+tls:// or smtps://")
    return EmailAddress(
        host=parts.hostname,
        port=port or kinds[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starts_tls=parts.scheme == "smtp+tls",
        is_tls=parts.scheme == "smtps",
    )
