"""Mistakes of a user: collected, so that all are said at once, each with the nearest name that exists.

Not here: what is right (`config`, `references`, `params` …), a wrong value in words (`typed`).
"""

from __future__ import annotations

import difflib
import os
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mediabuild.errors import PipelineError
from mediabuild.machine.here import command, meant, quoted
from mediabuild.pipeline import typed

NAMES_SHOWN = 20
MISTAKES_SHOWN = 30  # each row of a table may hold the same one
ALIKE = 0.6  # of two files' names, 0 to 1: less is another file


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'demux'?`, or the list of what there is (the first of them), or nothing."""
    names = sorted(known)
    close = closest(name, names)
    if close:
        return f"did you mean {close!r}?"
    shown = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
    return f"there is: {shown}" if names else ""


def closest(name: str, known: Iterable[str]) -> str:
    """The name that is most like another, however either is capitalized; empty where none is."""
    names = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    return names[close[0]] if close else ""


def named(text: str, known: Mapping[str, str]) -> str:
    """As `nearest`, where a name may be meant by what stands behind it: `{inputs.slides}`, `source/slides.*`.

    Args:
        known: name → what it stands for.
    """
    bare = text.strip("{}").lstrip("?!")
    last = bare.rpartition(".")[2]
    same = next((name for name, meaning in known.items() if bare == meaning.lstrip("?")), "")
    return nearest(same or (last if last in known else bare), known)


def missing_file(path: str, known: Iterable[str]) -> tuple[str, str]:
    """What is said of a file that isn't there, with the nearest one that is, and a command to type.

    Args:
        path: as typed. known: the files that may be meant, as they would be typed.
    """

    def likeness(other: str) -> tuple[float, float]:
        one, two = (os.path.splitext(os.path.basename(name))[0].casefold() for name in (path, other))
        return difflib.SequenceMatcher(None, one, two).ratio(), difflib.SequenceMatcher(None, path, other).ratio()

    what = f"{path}: there is no such file"
    close = max(known, key=likeness, default="")
    if close and likeness(close)[0] >= ALIKE:
        return f"{what}; did you mean {close!r}?", command(close)
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(meant(folder)) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return what, quoted("ls", folder) if folder else "ls"


class Mistakes:
    """Collects what is wrong, so that all of it can be said at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: dict[str, None] = {}  # one is said once, though it shows in many jobs

    def add(self, where: str, what: str, hint: str = "") -> None:
        """Note a mistake: `where` is its table and key."""
        self.found[f"{where}: {what}" + (f" ({hint})" if hint else "")] = None

    def raise_if_any(self) -> None:
        """Raise them all as one PipelineError."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise PipelineError(f"{self.file}: {next(iter(self.found))}")
        lines = list(self.found)
        more = [f"… and {len(lines) - MISTAKES_SHOWN} more"] if len(lines) > MISTAKES_SHOWN else []
        text = "\n".join(f"  {line}" for line in [*lines[:MISTAKES_SHOWN], *more])
        raise PipelineError(f"{self.file}: {len(lines)} mistakes\n{text}")

    def says_of(self, *places: str) -> bool:
        """Whether something is noted of one of these places, or below it; what follows from that isn't said as well."""
        return any(found.startswith((f"{place}:", f"{place}.")) for found in self.found for place in places)

    def fields(
        self, where: str, table: Any, kind: type[msgspec.Struct], elsewhere: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The table's good values, after noting its unknown keys and wrong values one by one.

        What an unknown key most likely is, it is taken for, so that nothing is said to be missing.

        Args:
            elsewhere: keys that belong somewhere else → what to write there.
        """
        if not isinstance(table, dict):
            self.add(where, f"expected a table, got {typed.toml_type(table)}")
            return {}
        known = {f.encode_name: f for f in msgspec.structs.fields(kind)}
        good: dict[str, Any] = {}
        for key, value in table.items():
            name = key
            if key not in known:
                hint = (elsewhere or {}).get(key)
                what = "belongs into params" if hint and hint.startswith("params = ") else "unknown key"
                self.add(f"{where}.{key}", what, hint or nearest(key, known))
                name = "" if hint else closest(key, known)
                if not name or name in table or any(typed.located(value, known[name].type)):
                    continue
            wanted = known[name].type
            wrong = list(typed.located(value, wanted))
            for keys, said in wrong:
                self._add_value(".".join((where, key, *keys)), said, value, keys, wanted)
            if not wrong:
                good[name] = msgspec.convert(value, wanted)
        return good

    def _add_value(self, where: str, said: str, value: Any, keys: tuple[str, ...], kind: Any) -> None:
        """Note a wrong value, with how it is to be written, or what its type says.

        Args:
            value: as the table has it. keys: those that lead to what is wrong in it.
        """
        for key in keys:
            value = value[key]
        hint = typed.hint_for(kind, value, where) or choices(kind, value)
        hint = hint or typed.meant(value, kind, keys) or typed.example(kind, keys) or typed.description(kind)
        self.add(where, said, hint)


def choices(kind: Any, value: Any) -> str:
    """The words that a value may be one of, where it is one of some words."""
    words = [word for part in (kind, *typing.get_args(kind)) for word in _words(part)]
    return nearest(str(value), words) if words else ""


def _words(kind: Any) -> Iterable[str]:
    inner = getattr(kind, "__origin__", kind)
    for part in (inner, *typing.get_args(inner)):
        if typing.get_origin(part) is typing.Literal:
            yield from map(str, typing.get_args(part))
