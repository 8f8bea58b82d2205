"""What is the same everywhere; the environment is read through ``aggregator.config.env`` only."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils.translation import gettext_lazy as _

from aggregator.config import env, openapi, schedule
from aggregator.config.settings.identity import *  # noqa: F403 - settings are composed so
from aggregator.ops import branding

ROOT = Path(__file__).resolve().parents[3]

INSTANCE = env.required("WATTBIT_INSTANCE")  # of the embedded servers, logs and keys
DEBUG = False
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",  # Swagger UI and ReDoc as static files: no page needs the internet
    # before our own apps, which show their tables in the admin
    "oauth2_provider",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "accounts.clock",
    "accounts.audit",
    "accounts.jobs",
    "accounts.parties",
    "accounts.approvals",
    "accounts.ledger",
    "market.registry",
    "market.trading",
    "market.clearing",
    "aggregator.ops",
    "aggregator.messages",
    "aggregator.outbox",
    "aggregator.metering",
    "aggregator.dispatch",
    "aggregator.forecasting",
    "aggregator.control",
    "aggregator.settlement",
    "aggregator.protocols.openadr3",
    "aggregator.protocols.uftp",
    "aggregator.portal",
    "aggregator.api",
]
MIDDLEWARE = [
    "aggregator.ops.health.HealthMiddleware",  # probes come to an address, not to a host name
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "aggregator.config.addresses.PlainAddressMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "aggregator.config.acting.ActingMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "aggregator.portal.sessions.SessionMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "aggregator.config.csp.ContentPolicyMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
# what is left of it for bearers of tokens (aggregator.config.machines): the same headers of
# transport, language and length
MACHINE_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "aggregator.config.urls"
ASGI_APPLICATION = "aggregator.config.asgi.application"
WSGI_APPLICATION = "aggregator.config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # before those of packages, whose pages get our look
        "DIRS": [ROOT / "aggregator" / "portal" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "aggregator.portal.entrance.around",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "parties.User"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "ja"
LANGUAGES = [("ja", _("Japanese")), ("en", _("English"))]
TIME_ZONE = "Asia/Tokyo"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT: Path | None = ROOT / "staticfiles"
WHITENOISE_ALLOW_ALL_ORIGINS = False
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "aggregator.config.finders.BokehFinder",
]

# sessions in PostgreSQL: Redis may vanish at any time without logging anyone out
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_HTTPONLY = True  # pages hand the token to htmx in a header of the body element
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    },
}

# whether accounts.clock may move market time away from the database's clock
MARKET_CLOCK_MAY_SHIFT = False

# places where a test lets a process die or wait; none outside test settings
FAILPOINTS: dict[str, str] = {}

# The web tier has no such file: it seals bids and cannot open them.
BOOK_KEY_FILE = env.text("BOOK_KEY_FILE")

# who writes the whole audit chain anew still lacks this key, and what the file already holds
AUDIT_SIGNING_KEY = env.text("AUDIT_SIGNING_KEY")
AUDIT_PUBLIC_KEYS = env.words("AUDIT_PUBLIC_KEYS")
AUDIT_CHECKPOINT_FILE = env.text("AUDIT_CHECKPOINT_FILE")

UFTP_DOMAIN = env.text("UFTP_DOMAIN")
UFTP_PRIVATE_KEY = env.text("UFTP_PRIVATE_KEY")
UFTP_KEY_IS_DERIVED = False
UFTP_MESSAGES_PER_10S = env.integer("UFTP_MESSAGES_PER_10S", low=1, high=1_000_000)

# how old a read of registered facts may be on the way of a bid; what decides is never read so
RECENT_S = 1.0

# a worker starts with the solver's process and the client of webhooks at hand, so that the first
# clearing and the first message do not wait for them
WORKERS_WARM = True

JOB_LEASE_S = env.integer("JOB_LEASE_S", low=1, high=3600)

JOBS_AFTER_PUBLICATION = schedule.JOBS_AFTER_PUBLICATION
JOBS_AFTER_CANCELLATION = schedule.JOBS_AFTER_CANCELLATION
JOBS_AFTER_DELIVERY = schedule.JOBS_AFTER_DELIVERY

# addresses of a private network may be called, by HTTPS, where the platform stands in one
OUTBOX_PRIVATE_ADDRESSES = env.boolean("OUTBOX_PRIVATE_ADDRESSES")
# a subscriber's address must echo a random word before it is told anything
OPENADR_ECHO_CHALLENGE = env.boolean("OPENADR_ECHO_CHALLENGE")

# how long messages of protocols are kept raw; what they made is kept as facts are
MESSAGES_KEPT = timedelta(days=400)

CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_EVENT_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 1800
CELERY_TASK_DEFAULT_QUEUE = "wattbit"
# what waits for others' servers has a queue of its own, for a worker of its own
CELERY_TASK_ROUTES = {
    "aggregator.outbox.message_deliver": {"queue": "wattbit-outbox"},
    "aggregator.outbox.subscription_challenge": {"queue": "wattbit-outbox"},
    "aggregator.outbox.endpoint_drain": {"queue": "wattbit-outbox"},
}
CELERY_TASK_PUBLISH_RETRY = False  # a lost ring is made up by the next sweep, a blocked web is not
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", low=1, high=64)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # the row's token decides
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20.0
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,  # above every time limit: a running task is not delivered again
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
    "max_retries": 2,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.5,
}
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_BEAT_SCHEDULE = schedule.BEAT_SCHEDULE
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # the table is in code: no file to keep or corrupt
CELERY_BEAT_MAX_LOOP_INTERVAL = 1

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
    "DEFAULT_SCHEMA_CLASS": "aggregator.api.v1.schema.DoorSchema",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = openapi.SPECTACULAR_SETTINGS
API_RATES = {
    kind: {"per_s": float(per_s), "burst": 4 * per_s}
    for kind, per_s in (
        ("read", env.integer("API_READS_PER_S", low=1, high=100_000)),
        ("write", env.integer("API_WRITES_PER_S", low=1, high=100_000)),
        ("bulk", env.integer("API_BULKS_PER_S", low=1, high=100_000)),
    )
}
_places = env.integer("API_IN_WORK_MAX", low=2, high=1_000)
# an eighth of the places is for organisations that have no request in work
API_ADMISSION = {"places": _places, "kept": max(1, _places // 8)}

UNFOLD = branding.UNFOLD

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "{asctime} {levelname} {process} {name}: {message}",
            "style": "{",
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # one line a second about the sweep would hide the rest; failures of jobs have their own lines
    "loggers": {
        "httpx": {"level": "WARNING"},  # it would print subscribers' addresses whole
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("LOG_LEVEL", of=("DEBUG", "INFO", "WARNING", "ERROR")),
    },
}


def database(url: str) -> dict[str, Any]:
    """Return Django's entry for the database at `url`, with every wait bounded."""
    address = env.database_address(url)
    statement_ms = 1000 * env.integer("DATABASE_STATEMENT_TIMEOUT_S", low=0, high=86_400)
    idle_ms = 1000 * env.integer("DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S", low=0, high=86_400)
    pool_size = env.integer("DATABASE_POOL_SIZE", low=0, high=200)
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "application_name": "wattbit",
        "options": (
            f"-c lock_timeout=2000 -c statement_timeout={statement_ms} "
            f"-c idle_in_transaction_session_timeout={idle_ms}"
        ),
        **address.parameters,
    }
    if pool_size:
        options["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": 5}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": address.host,
        "PORT": address.port,
        "OPTIONS": options,
        "CONN_MAX_AGE": 0 if pool_size else 300,
        "CONN_HEALTH_CHECKS": True,
    }


def cache(url: str) -> dict[str, Any]:
    """Return Django's entry for the cache in Redis, which never makes a request wait long."""
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.redis_address(url).cache_url,
        "KEY_PREFIX": "wattbit",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
