"""Where an authenticator app is set up."""

from __future__ import annotations

from typing import Any

from allauth.mfa.totp.views import ActivateTOTPView
from django.db import transaction
from django.http import HttpResponse

from aggregator.portal.codes import setup_code_spend


class ActivateApp(ActivateTOTPView):  # type: ignore[misc]  # the package has no types
    """The page of an app that is new; the code that sets it up is used by that."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Set it up and spend the code in one transaction."""
        with transaction.atomic():
            response: HttpResponse = super().form_valid(form)
            setup_code_spend(user_id=self.request.user.pk, code=form.cleaned_data["code"])
        return response


activate_totp = ActivateApp.as_view()
