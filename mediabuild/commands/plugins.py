"""What the `doit.cfg` of a project names: names that stay, wherever the code goes with a later version.

Not here: where the code is now (`main.PLUGINS`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def stable(kind: str, table: Mapping[str, Any]) -> dict[str, str]:
    """A section of `doit.cfg`: the names in a table of `main` → what to load.

    Args:
        kind: of plugins, as doit calls it: `COMMAND`, `LOADER`, `REPORTER`, `BACKEND`.
    """
    return {name: f"{__name__}:{_spelt(name if kind == 'COMMAND' else kind.lower())}" for name in table}


def _spelt(name: str) -> str:
    return name.replace("-", "_")


def __getattr__(name: str) -> Any:
    """What doit asks for by one of these names."""
    if name.startswith("_"):  # Python itself asks for `__path__`
        raise AttributeError(name)
    from mediabuild.commands.main import LOADER, PLUGINS

    places = {"loader": LOADER["mediabuild"]}
    places |= {kind.lower(): PLUGINS[kind]["mediabuild"] for kind in ("REPORTER", "BACKEND")}
    places |= {_spelt(command): place for command, place in PLUGINS["COMMAND"].items()}
    if name not in places:
        raise AttributeError(name)
    module, _, attribute = places[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
