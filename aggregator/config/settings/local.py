"""On one's own machine, and the demo: the embedded servers unless told otherwise."""

from aggregator.config import env
from aggregator.config.settings.base import *  # noqa: F403 - settings are composed so
from aggregator.config.settings.base import INSTANCE, cache, database
from aggregator.config.settings.identity import mail_server
from aggregator.ops.embedded import Servers, checkpoint_file, mail_directory
from aggregator.ops.secret import receipt_key_kept, secret_key_kept, signing_key_kept

_embedded = Servers(instance=INSTANCE).addresses
REDIS_URL = env.text("REDIS_URL") or _embedded.redis_url

DEBUG = env.boolean("DEBUG")
SECRET_KEY = env.text("SECRET_KEY") or secret_key_kept(instance=INSTANCE)
RECEIPT_KEY = env.text("RECEIPT_KEY") or receipt_key_kept(instance=INSTANCE)
AUDIT_SIGNING_KEY = env.text("AUDIT_SIGNING_KEY") or signing_key_kept(instance=INSTANCE)
AUDIT_CHECKPOINT_FILE = env.text("AUDIT_CHECKPOINT_FILE") or str(checkpoint_file(INSTANCE))
UFTP_DOMAIN = env.text("UFTP_DOMAIN") or "agr.wattbit.example"
UFTP_KEY_IS_DERIVED = True
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS") or ["127.0.0.1", "localhost", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
DATABASES = {"default": database(env.text("DATABASE_URL") or _embedded.database_url)}
CACHES = {"default": cache(REDIS_URL)}
CELERY_BROKER_URL = env.redis_address(REDIS_URL).broker_url
MARKET_CLOCK_MAY_SHIFT = True

# the demo prints its passwords to sign in with, and its mail is there to be read
SECOND_FACTOR_ROLES = frozenset()
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = str(mail_directory(INSTANCE))
if env.text("EMAIL_URL") is not None:
    globals().update(mail_server(env.required("EMAIL_URL")))

# straight from the packages: nothing to collect before the first page
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
