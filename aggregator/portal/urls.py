"""Paths of the portal; English, stable, with the date in them."""

from datetime import date

from django.urls import include, path, register_converter

from aggregator.portal import days, statements


class IsoDay:
    """A JST day as ``2026-11-25``."""

    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def to_python(self, text: str) -> date:
        """Read the day; a date that does not exist is an address that does not exist."""
        return date.fromisoformat(text)

    def to_url(self, day: date | str) -> str:
        """Write the day."""
        return day if isinstance(day, str) else day.isoformat()


register_converter(IsoDay, "iso_day")

app_name = "portal"
urlpatterns = [
    path("", days.latest, name="pub_results"),
    path("day/<iso_day:day>/", days.result_day, name="pub_result_day"),
    path("day/<iso_day:day>/need.json", days.need_chart, name="pub_need_chart"),
    path("day/<iso_day:day>/price.json", days.price_chart, name="pub_price_chart"),
    path("day/<iso_day:day>/loading.json", days.loading_chart, name="pub_loading_chart"),
    path("day/<iso_day:day>/network.json", days.network_chart, name="pub_network_chart"),
    path("day/<iso_day:day>/needs.csv", days.needs_csv, name="pub_needs_csv"),
    path("statements/", statements.statement_list, name="statements"),
    path("statements/<slug:code>.csv", statements.statement_file, name="statement_csv"),
    path("dc/", include("aggregator.portal.dc.urls")),
    path("tso/", include("aggregator.portal.tso.urls")),
    path("desk/", include("aggregator.portal.desk.urls")),
    path("results/", include("aggregator.portal.public.urls")),
    path("money/", include("aggregator.portal.money.urls")),
    path("team/", include("aggregator.portal.team.urls")),
]
