"""One address, as the standard has it."""

from django.urls import path

from aggregator.protocols.uftp.server import MessageView

urlpatterns = [path("message", MessageView.as_view(), name="uftp-message")]
