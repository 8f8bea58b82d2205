"""Static files that packages ship outside Django's convention."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage

# of 24 MB these are what our pages load; {% static 'bokeh/js/bokeh.min.js' %}
BOKEH_FILES = ("js/bokeh.min.js", "js/bokeh-widgets.min.js", "js/bokeh-gl.min.js")


class PrefixedStorage(FileSystemStorage):
    """Files that are served under ``bokeh/``; ``collectstatic`` reads the prefix."""

    prefix = "bokeh"


class BokehFinder(BaseFinder):
    """BokehJS out of the installed Bokeh, so that page and Python always agree."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        spec = importlib.util.find_spec("bokeh")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("bokeh is not installed")
        home = Path(spec.origin).parent / "server" / "static"
        self._storage = PrefixedStorage(location=str(home))

    def check(self, **_kwargs: Any) -> list[CheckMessage]:
        """Nothing to configure, nothing to check."""
        return []

    def find(self, path: str, find_all: bool = False, **_kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Return the file of ``bokeh/…`` if it is one of ours."""
        name = path.removeprefix("bokeh/")
        if not path.startswith("bokeh/") or name not in BOKEH_FILES:
            return []
        found = self._storage.path(name)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        """List the files for ``collectstatic``."""
        del ignore_patterns
        for name in BOKEH_FILES:
            yield name, self._storage
