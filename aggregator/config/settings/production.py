"""Where money moves: nothing is assumed, what is missing stops the start."""

from aggregator.config import env
from aggregator.config.settings.base import *  # noqa: F403 - settings are composed so
from aggregator.config.settings.base import cache, database
from aggregator.config.settings.identity import mail_server

if env.boolean("DEBUG"):
    raise env.WrongEnvironment("DEBUG shows secrets on error pages: it is refused in production")

_redis_url = env.required("REDIS_URL")

SECRET_KEY = env.secret_key()
RECEIPT_KEY = env.required("RECEIPT_KEY")
if env.text("UFTP_DOMAIN"):
    UFTP_PRIVATE_KEY = env.required("UFTP_PRIVATE_KEY")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    raise env.WrongEnvironment("ALLOWED_HOSTS must name the hosts of this site, and not '*'")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
DATABASES = {"default": database(env.required("DATABASE_URL"))}
CACHES = {"default": cache(_redis_url)}
CELERY_BROKER_URL = env.redis_address(_redis_url).broker_url

ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
globals().update(mail_server(env.required("EMAIL_URL")))

SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = env.integer("HSTS_S", low=3600, high=63_072_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-session"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrf"
if env.boolean("BEHIND_TLS_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
