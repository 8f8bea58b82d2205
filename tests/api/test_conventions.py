"""What all doors share: versions, keys, limits, bodies and refusals."""

from __future__ import annotations

import pytest
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from aggregator.api.v1 import etag
from aggregator.api.v1.problem import Stopped


def _request(**headers: str) -> object:
    return APIView().initialize_request(APIRequestFactory().put("/", headers=headers))


@pytest.mark.parametrize("given", ['"7"', '"6", "7"', '"6","7"', "*", ' "7" '])
def test_who_read_the_version_may_change_it(given: str) -> None:
    etag.expect(_request(**{"If-Match": given}), 7)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "version-required"),
        ('"6"', "version-changed"),
        ('W/"7"', "version-changed"),
        ('"77"', "version-changed"),
        ("7", "malformed"),
        ('"7', "malformed"),
        ('"7" "8"', "malformed"),
        ("", "malformed"),
        ('"' + "7" * 2000 + '"', "malformed"),
    ],
)
def test_who_did_not_read_it_may_not(given: str | None, code: str) -> None:
    with pytest.raises(Stopped) as stopped:
        etag.expect(_request(**({} if given is None else {"If-Match": given})), 7)
    assert stopped.value.code == code
    assert stopped.value.field == "If-Match"
