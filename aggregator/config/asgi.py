"""ASGI entry point of the web process."""

import gc
import os

from django.core.asgi import get_asgi_application

from aggregator.config.bodies import BodyLimit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aggregator.config.settings.production")

application = BodyLimit(get_asgi_application())

# What was made at the start stays: without looking at it again and again, the collector's longest
# pause falls from a tenth of a second to a few milliseconds.
gc.collect()
gc.freeze()
