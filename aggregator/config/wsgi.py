"""WSGI entry point of the API's process: threads, and a turnstile before them."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aggregator.config.settings.production")

_people = get_wsgi_application()

from django.conf import settings  # noqa: E402 - once Django is set up

from aggregator.config.machines import MachineHandler, PeopleAndMachines  # noqa: E402
from aggregator.config.turnstile import Turnstile  # noqa: E402

_places = settings.API_ADMISSION["places"]
# fewer benches than threads are left: those refuse at once while all places and benches are taken
application = Turnstile(
    PeopleAndMachines(_people, MachineHandler()), places=_places, benches=_places // 8
)
