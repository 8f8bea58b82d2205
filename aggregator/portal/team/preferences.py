"""Preferences of the person in this browser: language, theme, single-key shortcuts."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext, gettext_lazy
from django.views.decorators.http import require_http_methods

from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, PortalForm, TickField
from aggregator.portal.frame import KEYS_COOKIE, THEME_COOKIE, frame, theme_in

PAGE: Final = "preferences"
KEPT_S: Final = 365 * 86_400


class PreferenceForm(PortalForm):
    """How pages look and listen."""

    language = ChoiceField(
        label=gettext_lazy("言語"), choices=[("ja", "日本語"), ("en", "English")]
    )
    theme = ChoiceField(
        label=gettext_lazy("配色"),
        choices=lambda: [
            ("", gettext("端末の設定に合わせる")),
            ("light", gettext("明るい")),
            ("dark", gettext("暗い")),
        ],
        required=False,
    )
    has_keys = TickField(label=gettext_lazy("1文字のショートカットキーを使う"))


@person_required()
@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Show and change them; they are kept in this browser."""
    chosen: dict[str, Any] = {}

    def work(given: dict[str, Any]) -> Done:
        chosen.update(given)
        return Done(url=reverse("portal:preferences"), said=gettext("表示設定を保存しました。"))

    initial = {
        "language": "en" if str(get_language()).startswith("en") else "ja",
        "theme": theme_in(request),
        "has_keys": request.COOKIES.get(KEYS_COOKIE) != "off",
    }
    answer = FormPage(
        form=lambda data, files: PreferenceForm(data, files, initial=initial),
        work=work,
        template="portal/team/preferences.html",
        context=lambda _: frame(request, page=PAGE),
    ).answer(request)
    if chosen:
        _keep(answer, settings.LANGUAGE_COOKIE_NAME, chosen["language"])
        _keep(answer, KEYS_COOKIE, "" if chosen["has_keys"] else "off")
        _keep(answer, THEME_COOKIE, chosen["theme"])
    return answer


def _keep(answer: HttpResponse, name: str, value: str) -> None:
    """Set a cookie that scripts may read; an empty value ends it."""
    if value:
        answer.set_cookie(name, value, max_age=KEPT_S, samesite="Lax")
    else:
        answer.delete_cookie(name, samesite="Lax")
