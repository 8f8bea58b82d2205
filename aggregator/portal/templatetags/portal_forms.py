"""Fields, filters and pagers for the portal's templates; see docs/portal.md, "Forms"."""

from __future__ import annotations

from typing import Any

from django import template
from django.forms import BoundField

from aggregator.portal.answering import UNDO

register = template.Library()


@register.inclusion_tag("portal/parts/field.html")
def field(bound: BoundField, extra: str = "", help_text: str = "") -> dict[str, Any]:
    """Draw a field with label, unit, help and errors.

    Parameters
    ----------
    extra
        Classes of the box, such as ``w-s``.
    """
    errors = list(bound.errors) if bound.form.is_bound else []
    name = bound.auto_id
    attrs: dict[str, Any] = {}
    described = []
    help_text = help_text or str(bound.help_text)
    if help_text:
        described.append(f"{name}_help")
    if errors:
        attrs["aria-invalid"] = "true"
        described.append(f"{name}_error")
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return {
        "bound": bound,
        "input": bound.as_widget(attrs=attrs),
        "errors": errors,
        "unit": getattr(bound.field, "unit", ""),
        "extra": extra,
        "help_text": help_text,
        "is_tick": getattr(bound.widget_type, "__str__", lambda: "")() == "checkbox",
    }


@register.filter
def undo_url(message: Any) -> str:
    """Return the address that takes back what a toast tells of."""
    tags = str(message.extra_tags or "")
    return next((tag.removeprefix(UNDO) for tag in tags.split() if tag.startswith(UNDO)), "")


@register.filter
def is_toast(message: Any) -> bool:
    """Whether a message is shown as a toast."""
    return "toast" in str(message.extra_tags or "").split()


@register.filter
def error_fields(form: Any) -> list[tuple[BoundField | None, str]]:
    """Return all errors of a form with their fields, in the order of the page."""
    if not form.is_bound:
        return []
    found: list[tuple[BoundField | None, str]] = [(None, e) for e in form.non_field_errors()]
    for bound in form:
        found += [(bound, e) for e in bound.errors]
    return found
