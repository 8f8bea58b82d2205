"""Which door is open to whom: each method of each door names it, and nothing else is open.

``PUBLIC`` needs no sign-in; ``SIGNED_IN`` needs any caller of ours (rows are then narrowed by
the selector's ``seen_by``); any other text is an action of the table of roles
(:data:`accounts.parties.roles.MAY`), which the caller must be allowed somewhere. Whose rows it
is allowed on, selectors and services decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from aggregator.api.v1.auth import sight_in

PUBLIC: Final = "public"
SIGNED_IN: Final = "signed-in"

Access = Mapping[str, str]


class MayKnock(BasePermission):
    """The caller may use this method of this door at all."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell who is not signed in (401) from who may not (403)."""
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        wanted = view.access.get(method)
        if wanted is None:
            raise exceptions.MethodNotAllowed(str(request.method))
        if wanted == PUBLIC:
            return True
        sight = sight_in(request)
        if not sight.is_known:
            raise exceptions.NotAuthenticated("sign in, or send a bearer token")
        if wanted != SIGNED_IN and not sight.may_somewhere(wanted):
            raise exceptions.PermissionDenied(f"needs a role that may do {wanted}")
        return True
