"""Register and alter one's own sites, resources and classes of work, by the services of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from aggregator.portal import words
from aggregator.portal.answering import Changed, Difference, Done, FormPage
from aggregator.portal.dc import registry_forms as shapes
from aggregator.portal.dc import selectors
from aggregator.portal.dc.bids import work_kind_word
from aggregator.portal.entering import person_required
from aggregator.portal.forms import PortalForm
from aggregator.portal.frame import frame, sight_in
from market.registry.changes import VersionChanged
from market.registry.models import Resource, Site, WorkloadClass
from market.registry.selectors import (
    resources_changed_by,
    sites_changed_by,
    workload_classes_changed_by,
)
from market.registry.services import SiteDetails, resource_register, site_register
from market.registry.site_services import (
    resource_change,
    resource_retire,
    site_change,
    site_retire,
    workload_class_add,
    workload_class_change,
)

ACTION: Final = "site.change"
METHODS: Final = ("GET", "POST")
Context = Mapping[str, Any]


def _page(
    request: HttpRequest,
    make: Callable[[Any], shapes.RegistryForm],
    work: Callable[[shapes.RegistryForm], Done],
    **context: Any,
) -> HttpResponse:
    """Answer a page whose form a service judges."""
    kept: list[shapes.RegistryForm] = []

    def form(data: Any, files: Any) -> PortalForm:
        del files
        kept.append(make(data))
        return kept[-1]

    def worked(clean: dict[str, Any]) -> Done:
        del clean
        return work(kept[-1])

    page = FormPage(
        form=form,
        work=worked,
        template="portal/dc/registry_form.html",
        context=lambda _: {**frame(request, page="dc_sites"), **context},
    )
    return page.answer(request)


def _site_url(code: str) -> str:
    return reverse("portal:dc_site", args=[code])


def _site(request: HttpRequest, code: str) -> Site:
    row = sites_changed_by(seen_by=sight_in(request)).filter(code=code).first()
    if row is None:
        raise Http404(gettext("この拠点は見つかりません。"))
    return row


def _resource(request: HttpRequest, code: str) -> Resource:
    row = resources_changed_by(seen_by=sight_in(request)).filter(code=code).first()
    if row is None:
        raise Http404(gettext("このリソースは見つかりません。"))
    return row


def _version(form: shapes.RegistryForm) -> int:
    text = str(form.cleaned_data.get("version") or "")
    return int(text) if text.isascii() and text.isdigit() else -1


def _changed(form: shapes.RegistryForm, version: int, theirs: Mapping[str, Any]) -> Changed:
    """Put what was typed beside what somebody else, or another tab, saved."""
    now = shapes.as_text(form, theirs)
    rows = [
        Difference(
            name=name, label=str(field.label), mine=str(form.data.get(name, "")), theirs=now[name]
        )
        for name, field in form.fields.items()
        if name != "version" and str(form.data.get(name, "")) != now[name]
    ]
    who = gettext("あなたが開いた後に、別の画面か別の人がこの内容を変更しました。")
    return Changed(rows=rows, version=version, who=who)


@person_required(ACTION)
@require_http_methods(METHODS)
def site_new(request: HttpRequest) -> HttpResponse:
    """Register a site of one's own."""
    organisations = selectors.operators_of(sight_in(request), ACTION)

    def work(form: shapes.RegistryForm) -> Done:
        typed = form.typed()
        retailer = typed.pop("retailer")
        operator = _operator(organisations, typed.pop("organisation", None))
        site = site_register(
            organisation=operator,
            facility_owner=operator,
            retailer=retailer,
            details=SiteDetails(area_code=typed.pop("area"), **typed),
        )
        said = gettext("%(name)s を登録しました。次に設備を登録します。") % {
            "name": words.local_name(site)
        }
        return Done(url=_site_url(site.code), said=said)

    return _page(
        request,
        lambda data: shapes.SiteForm(organisations, data),
        work,
        title=gettext("拠点を登録"),
        verb=gettext("登録する"),
        back_url=reverse("portal:dc_sites"),
        note=gettext("登録した拠点は、貴社が運用し施設も所有するものとして扱われます。"),
    )


def _operator(organisations: list[Organisation], chosen: str | None) -> Organisation:
    if chosen is None:
        return organisations[0]
    return next(row for row in organisations if str(row.pk) == chosen)


@person_required(ACTION)
@require_http_methods(METHODS)
def site_edit(request: HttpRequest, code: str) -> HttpResponse:
    """Alter a site of one's own."""
    site = _site(request, code)

    def work(form: shapes.RegistryForm) -> Done:
        try:
            site_change(site=site, version=_version(form), fields=form.typed())
        except VersionChanged as faster:
            now = _site(request, code)
            raise _changed(form, now.version, shapes.site_initial(now)) from faster
        said = gettext("%(name)s を変更しました。") % {"name": words.local_name(site)}
        return Done(url=_site_url(code), said=said)

    return _page(
        request,
        lambda data: shapes.SiteChangeForm(data, initial=shapes.site_initial(site)),
        work,
        title=gettext("拠点を変更"),
        subject=site,
        verb=gettext("変更する"),
        back_url=_site_url(code),
        retire_url=reverse("portal:dc_site_retire", args=[code]),
    )


@person_required(ACTION)
@require_http_methods(METHODS)
def resource_new(request: HttpRequest, code: str) -> HttpResponse:
    """Register a resource at a site of one's own."""
    site = _site(request, code)

    def work(form: shapes.RegistryForm) -> Done:
        assert isinstance(form, shapes.ResourceForm)  # noqa: S101 - made below
        made = resource_register(site=site, fields=form.plain(), storage=form.storage())
        said = gettext("%(name)s を登録しました。") % {"name": words.local_name(made)}
        return Done(url=_site_url(code), said=said)

    return _page(
        request,
        lambda data: shapes.ResourceForm(data, initial={"is_behind_meter": True}),
        work,
        title=gettext("設備を登録"),
        subject=site,
        verb=gettext("登録する"),
        back_url=_site_url(code),
        note=gettext(
            "容量から自己放電までは、蓄電池・無停電電源・蓄熱・水素貯蔵のときに入力します。"
        ),
    )


@person_required(ACTION)
@require_http_methods(METHODS)
def resource_edit(request: HttpRequest, code: str) -> HttpResponse:
    """Alter a resource of one's own."""
    resource = _resource(request, code)
    site_url = _site_url(resource.site.code)

    def work(form: shapes.RegistryForm) -> Done:
        assert isinstance(form, shapes.ResourceChangeForm)  # noqa: S101 - made below
        try:
            resource_change(
                resource=resource, version=_version(form), fields=form.plain(),
                storage=form.storage(),
            )  # fmt: skip
        except VersionChanged as faster:
            now = _resource(request, code)
            raise _changed(form, now.version, shapes.resource_initial(now)) from faster
        said = gettext("%(name)s を変更しました。") % {"name": words.local_name(resource)}
        return Done(url=site_url, said=said)

    return _page(
        request,
        lambda data: shapes.ResourceChangeForm(
            data, kind=resource.kind, initial=shapes.resource_initial(resource)
        ),
        work,
        title=gettext("設備を変更"),
        subject=resource,
        verb=gettext("変更する"),
        back_url=site_url,
        retire_url=reverse("portal:dc_resource_retire", args=[code]),
        note=gettext("上限を下げても、すでに帳簿にある入札と約定は変わりません。"),
    )


@person_required(ACTION)
@require_http_methods(METHODS)
def work_new(request: HttpRequest, code: str) -> HttpResponse:
    """Add a class of work to a computing load of one's own."""
    resource = _resource(request, code)
    site_url = _site_url(resource.site.code)

    def work(form: shapes.RegistryForm) -> Done:
        made = workload_class_add(resource=resource, fields=form.typed())
        return Done(
            url=site_url,
            said=gettext("%(name)s を登録しました。") % {"name": work_kind_word(made.kind)},
        )

    return _page(
        request,
        shapes.WorkForm,
        work,
        title=gettext("作業の種類を登録"),
        subject=resource,
        verb=gettext("登録する"),
        back_url=site_url,
    )


@person_required(ACTION)
@require_http_methods(METHODS)
def work_edit(request: HttpRequest, code: str, kind: str, pool: str) -> HttpResponse:
    """Alter a class of work of one's own; one that is run no more has 0 kW."""

    def found() -> WorkloadClass:
        rows = workload_classes_changed_by(seen_by=sight_in(request))
        row = rows.filter(resource__code=code, kind=kind, pool=pool).first()
        if row is None:
            raise Http404(gettext("この作業の種類は見つかりません。"))
        return row

    row = found()
    site_url = _site_url(row.resource.site.code)

    def work(form: shapes.RegistryForm) -> Done:
        try:
            workload_class_change(work=row, version=_version(form), fields=form.typed())
        except VersionChanged as faster:
            now = found()
            raise _changed(form, now.version, shapes.work_initial(now)) from faster
        said = gettext("%(name)s を変更しました。") % {"name": work_kind_word(kind)}
        return Done(url=site_url, said=said)

    return _page(
        request,
        lambda data: shapes.WorkChangeForm(data, initial=shapes.work_initial(row)),
        work,
        title=gettext("作業の種類を変更"),
        subject=row.resource,
        subject_more=f"{work_kind_word(kind)}・{pool}",
        verb=gettext("変更する"),
        back_url=site_url,
        note=gettext("もう行わない作業は、電力を 0 kW にします。"),
    )


@person_required(ACTION)
@require_http_methods(METHODS)
def site_end(request: HttpRequest, code: str) -> HttpResponse:
    """Take a site out of use, after saying what that means."""
    site = _site(request, code)
    return _end(
        request,
        site,
        lambda version: site_retire(site=site, version=version),
        title=gettext("拠点を廃止"),
        back_url=reverse("portal:dc_site_edit", args=[code]),
        after_url=reverse("portal:dc_sites"),
        note=gettext("廃止は取り消せません。先に設備をすべて廃止します。記録は残ります。"),
    )


@person_required(ACTION)
@require_http_methods(METHODS)
def resource_end(request: HttpRequest, code: str) -> HttpResponse:
    """Take a resource out of use, after saying what that means."""
    resource = _resource(request, code)
    return _end(
        request,
        resource,
        lambda version: resource_retire(resource=resource, version=version),
        title=gettext("設備を廃止"),
        back_url=reverse("portal:dc_resource_edit", args=[code]),
        after_url=_site_url(resource.site.code),
        note=gettext(
            "廃止は取り消せません。以後は入札できません。帳簿にある入札と約定は残ります。"
        ),
    )


def _end(
    request: HttpRequest,
    row: Site | Resource,
    retire: Callable[[int], Any],
    *,
    after_url: str,
    **context: Any,
) -> HttpResponse:
    def work(form: shapes.RegistryForm) -> Done:
        try:
            retire(_version(form))
        except Refused as refused:
            # the form has no field that a refusal could stand at
            raise type(refused)(field="", value=refused.value, rule=refused.rule) from refused
        said = gettext("%(name)s を廃止しました。") % {"name": words.local_name(row)}
        return Done(url=after_url, said=said)

    return _page(
        request,
        lambda data: shapes.RegistryForm(data, initial={"version": str(row.version)}),
        work,
        subject=row,
        verb=gettext("廃止する"),
        **context,
    )
