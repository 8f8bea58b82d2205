"""Register shared wavelengths."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.fields.checking import entries_checked, instance_checked, row_checked, text_checked
from accounts.parties.models import Organisation
from market.registry.models import OpticalPath, OpticalTrunk

TRUNK_REQUIRED = ("code", "name", "paths", "capacity_gb")
PATHS_MIN = 2


@transaction.atomic
def optical_trunk_register(*, owner: Organisation, fields: Mapping[str, Any]) -> OpticalTrunk:
    """Add a trunk over paths that leave one site; `fields` as in the model, paths by code.

    Raises
    ------
    Refused
        On an unknown, missing or wrong entry, or paths that share no head.
    """
    instance_checked(owner, Organisation, field="owner")
    entries_checked(fields, required=TRUNK_REQUIRED, label="trunk")
    codes = fields["paths"]
    if not isinstance(codes, list | tuple) or len(codes) < PATHS_MIN:
        raise Refused(field="trunk.paths", value=codes, rule=f"a list of at least {PATHS_MIN}")
    named = [
        text_checked(code, field=f"trunk.paths[{i}]", length_max=40) for i, code in enumerate(codes)
    ]
    paths = {path.code: path for path in OpticalPath.objects.filter(code__in=named)}
    for i, code in enumerate(named):
        if code not in paths or code in named[:i]:
            raise NotFound(
                field=f"trunk.paths[{i}]", value=code, rule="a registered path, named once"
            )
    if len({path.from_site_id for path in paths.values()}) > 1:
        raise Refused(field="trunk.paths", value=named, rule="paths that leave the same site")
    plain = {name: value for name, value in fields.items() if name != "paths"}
    trunk = row_checked(OpticalTrunk(owner=owner, **plain), label="trunk")
    trunk.save(force_insert=True)
    trunk.paths.set(paths.values())
    entry_append(
        action="market.trunk.registered",
        subject=trunk,
        organisation_id=owner.id,
        detail={"code": trunk.code, "paths": named},
    )
    return trunk
