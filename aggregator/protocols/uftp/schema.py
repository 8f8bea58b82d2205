"""The standard's XSDs, read once, and whether a document is a message of UFTP 3.1 by them.

The published files allow no time zone of Asia, Tokyo's among them. That one pattern is widened
after reading; everything else is the standard's word. The files in ``schemas`` are as published.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Final

from lxml import etree

DIRECTORY: Final = Path(__file__).parent / "schemas"
FILES: Final = (
    "UFTP-common.xsd",
    "UFTP-metering.xsd",
    "UFTP-agr-dso.xsd",
    "UFTP-agr-cro.xsd",
    "UFTP-cro-dso.xsd",
)
XS: Final = "{http://www.w3.org/2001/XMLSchema}"
CONTINENTS: Final = "(Africa|America|Australia|Europe|Pacific)/"
CONTINENTS_AND_ASIA: Final = "(Africa|America|Asia|Australia|Europe|Pacific)/"


class NotInSchema(ValueError):
    """A document is no message of UFTP 3.1; the text says where and why."""


@cache
def _schema() -> etree.XMLSchema:
    """Compile the files as one schema: they share no namespace and include one another."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    whole = etree.Element(f"{XS}schema", nsmap={"xs": XS[1:-1]})
    whole.set("elementFormDefault", "qualified")
    for name in FILES:
        for part in (
            etree.parse(str(DIRECTORY / name), parser).getroot().iterchildren(etree.Element)
        ):
            if part.tag != f"{XS}include":
                whole.append(deepcopy(part))
    for pattern in whole.iter(f"{XS}pattern"):
        value = pattern.get("value", "")
        if value.startswith(CONTINENTS):
            pattern.set("value", CONTINENTS_AND_ASIA + value.removeprefix(CONTINENTS))
    return etree.XMLSchema(whole)


def validate(root: etree._Element) -> None:
    """Hold a parsed document against the schema.

    Raises
    ------
    NotInSchema
        With the first thing that is wrong.
    """
    schema = _schema()
    if schema.validate(root):
        return
    first = schema.error_log.last_error
    text = "not a message of UFTP 3.1" if first is None else f"line {first.line}: {first.message}"
    raise NotInSchema(text[:300])
