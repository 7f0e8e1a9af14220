"""Mistakes of a user: collected, so that all are said at once, each with the nearest name that exists.

Not here: what is right (`config`, `references`, `params` …).
"""

from __future__ import annotations

import difflib
import json
import os
import re
import typing
from collections.abc import Container, Iterable
from typing import Any

import msgspec

from mediabuild.errors import PipelineError
from mediabuild.machine.here import command, meant, quoted

NAMES_SHOWN = 20
ALIKE = 0.6  # of two files' names, 0 to 1: less is another file
FOUND = {
    "int": "an integer", "float": "a float", "str": "a string", "bool": "a boolean", "array": "a list",
    "object": "a table", "null": "nothing",
}  # fmt: skip
WANTED = {**FOUND, "float": "a number", "bool": "true or false"}


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'demux'?`, or the list of what there is (the first of them), or nothing."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
    return f"there is: {shown}" if names else ""


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


PATTERNS = {  # how a pattern begins → what it stands for
    "^[A-Za-z]{2,3}(": "a language's tag such as en or pt-BR",
    "^[a-z]{2,3}(": "a language's tag such as en or pt-BR",
    "^(auto|cpu|": "auto, cpu, cuda, cuda:N or mps",
}


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
        lines = "\n".join(f"  {line}" for line in self.found)
        raise PipelineError(f"{self.file}: {len(self.found)} mistakes\n{lines}")

    def fields(
        self, where: str, table: Any, kind: type[msgspec.Struct], elsewhere: Container[str] = (), into: str = ""
    ) -> dict[str, Any]:
        """The table's good values, after noting its unknown keys and wrong values one by one.

        Args:
            elsewhere: keys that belong into the table `into` of this one.
        """
        if not isinstance(table, dict):
            self.add(where, f"expected a table, got {toml_type(table)}")
            return {}
        known = {f.encode_name: f for f in msgspec.structs.fields(kind)}
        good = {}
        for key, value in table.items():
            if key not in known and key in elsewhere:
                self.add(f"{where}.{key}", f"belongs into {into}", f"{into} = {{ {key} = {_in_toml(value)} }}")
                continue
            if key not in known:
                self.add(f"{where}.{key}", "unknown key", nearest(key, known))
                continue
            try:
                good[key] = msgspec.convert(value, known[key].type)
            except msgspec.ValidationError as error:
                self.add(f"{where}.{key}", sentence(error), hint_for(known[key].type, value, key))
        return good


def hint_for(kind: Any, value: object, where: str) -> str:
    """What a param's type says to a wrong value: the function `hint` among the extras of its `msgspec.Meta`.

    Else what its name says: seconds.
    """
    for part in (kind, *typing.get_args(kind)):
        for meta in getattr(part, "__metadata__", ()):
            hint = (getattr(meta, "extra", None) or {}).get("hint")
            if hint is not None:
                return str(hint(value))
    name = where.rpartition(".")[2]
    if not isinstance(value, str):
        return ""
    if name in ("clip_start_s", "clip_end_s"):
        return f"seconds; --{name.removesuffix('_s').replace('_', '-')} 1:30 takes minutes"
    return "seconds" if name.endswith("_s") else ""


def _in_toml(value: Any) -> str:
    """A value as it stands in a table on one line."""
    plain = isinstance(value, (str, bool, int, float))
    return json.dumps(value, ensure_ascii=False) if plain else "…"


def sentence(error: msgspec.ValidationError) -> str:
    """msgspec's message in the words of a TOML file."""
    text = re.sub(r" - at `\$\.?(.*)`", lambda match: f" at {match[1]}" if match[1] else "", str(error))
    for beginning, words in PATTERNS.items():
        text = re.sub(rf"`str` matching regex '{re.escape(beginning)}[^']*'", words, text)
    text = re.sub(r"`str` matching regex '", "`str` matching '", text)
    text = re.sub(r" contains unknown field `(.*)`", r" has an unknown key \1", text).replace("Object has", "It has")
    text = re.sub(r"(Expected|got) `([a-z]+(?: \| [a-z]+)*)`", _in_words, text)
    return text[:1].lower() + text[1:]


def _in_words(match: re.Match[str]) -> str:
    """`Expected `int | float | null`` as `Expected a number`; a value that may be left out is no type of its own."""
    names = match[2].split(" | ")
    numbers = {"int"} if "float" in names else set()
    words = WANTED if match[1] == "Expected" else FOUND
    shown = [words.get(name, name) for name in names if name not in numbers and (name != "null" or len(names) == 1)]
    return f"{match[1]} {' or '.join(shown)}"


def toml_type(value: Any) -> str:
    """The TOML word for a value's type."""
    names = {dict: "a table", list: "a list", str: "a string", bool: "a boolean", int: "an integer", float: "a float"}
    return names.get(type(value), type(value).__name__)
