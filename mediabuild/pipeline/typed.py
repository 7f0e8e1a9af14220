"""Values of the wrong type or out of bounds: where they stand, what they are in words, and what was probably meant.

Not here: collecting what is wrong (`mistakes`), the types themselves (`tables`, the stages' params).
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

FOUND = {
    "int": "an integer", "float": "a float", "str": "a string", "bool": "a boolean", "array": "a list",
    "object": "a table", "null": "nothing",
}  # fmt: skip
WANTED = {**FOUND, "float": "a number", "bool": "true or false"}
EMPTY = re.compile(r"(a string|a list|a table) of length >= 1\b")
PLACE = re.compile(r" - at `\$(.*)`$")
STEP = re.compile(r"\[[^]]*\]|\.[^.[]+")
PATTERN = re.compile(r"a string matching regex '(.*)'$")
PATTERNS = {  # how a pattern begins → what it stands for
    "^(aa|ab|": "a language's tag such as en or pt-BR",
    "^(auto|cpu|": "auto, cpu, cuda, cuda:N or mps",
}
KEY = "[...]"  # how msgspec calls the key of a table, whichever it is
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key of TOML that needs no quotes
PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def converted(value: Any, kind: Any, keys: tuple[str, ...] = ()) -> Any:
    """A value, or what stands under these keys in a table, as a type has it.

    Raises:
        msgspec.ValidationError: it is none.
    """
    for key in reversed(keys):
        value = {key: value}
    return msgspec.convert(value, kind)


def located(value: Any, kind: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys that lead to each wrong value in a table of tables, and what is wrong there, in words.

    Args:
        keys: those that lead to the value itself.
    """
    try:
        converted(value, kind, keys)
    except msgspec.ValidationError as error:
        place = PLACE.search(str(error))
        steps = STEP.findall(place[1]) if place else []
        if isinstance(value, dict) and steps[len(keys) : len(keys) + 1] == [KEY]:
            for key, inner in value.items():
                yield from located(inner, kind, (*keys, key))
        else:
            yield keys, sentence(error, len(keys))


def sentence(error: msgspec.ValidationError, depth: int = 0) -> str:
    """msgspec's message in the words of a TOML file.

    Args:
        depth: how many steps of its place are known already.
    """
    place = PLACE.search(str(error))
    left = "".join(STEP.findall(place[1])[depth:]).removeprefix(".") if place else ""
    text = PLACE.sub("", str(error))
    text = re.sub(r"(Expected|got) `([a-z]+(?: \| [a-z]+)*)`", _in_words, text)
    text = EMPTY.sub(r"\1 that isn't empty", re.sub(r"`([a-z]+)`", lambda m: FOUND.get(m[1], m[1]), text))
    text = PATTERN.sub(_pattern, text)
    text = re.sub(r" contains unknown field (.*)", r" has an unknown key \1", text).replace("Object has", "It has")
    text = text.replace("Invalid enum value", "there is no")
    return text[:1].lower() + text[1:] + (f" at {left}" if left else "")


def _pattern(match: re.Match[str]) -> str:
    """What a text is to be that must fit a pattern."""
    known = (words for beginning, words in PATTERNS.items() if match[1].startswith(beginning))
    return next(known, f"a string matching '{match[1]}'")


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


def toml_text(value: Any) -> str:
    """A value as it is written in the file."""
    if isinstance(value, dict):
        items = (f"{key if BARE.fullmatch(key) else toml_text(key)} = {toml_text(v)}" for key, v in value.items())
        return f"{{ {', '.join(items)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_text, value))}]"
    return json.dumps(value, ensure_ascii=False)


def meant(value: Any, kind: Any, keys: tuple[str, ...]) -> str:
    """The same value, written as it is wanted, or nothing: `"thumbs"` → `["thumbs"]`, `"720"` → `720`.

    Args:
        keys: those that lead to it in the table that the type is of.
    """
    for candidate in _rewritten(value):
        try:
            converted(candidate, kind, keys)
        except msgspec.ValidationError:
            continue
        return toml_text(candidate)
    return ""


def _rewritten(value: Any) -> Iterator[Any]:
    """What may be meant by a value, the likeliest first."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from [bool(value)] if value in (0, 1) else []
        yield str(value)
        yield [str(value)]
    elif isinstance(value, str) and value.strip():
        word = value.strip().lower()
        yield from [WORDS[word]] if word in WORDS else []
        for kind in (int, float):
            try:
                yield kind(value.replace(",", "."))
            except ValueError:
                continue
        yield from _table([value])
        yield [part.strip() for part in value.split(",")]
        yield word
    elif isinstance(value, list):
        yield from value if len(value) == 1 else []
        yield from _table(value)
    elif isinstance(value, dict):
        yield from value.values() if len(value) == 1 else []
        yield list(value)


def _table(words: list[Any]) -> list[dict[str, str]]:
    """`["TZ=UTC"]` as a table."""
    pairs = [PAIR.fullmatch(word) if isinstance(word, str) else None for word in words]
    return [{pair[1]: pair[2] for pair in pairs if pair}] if pairs and all(pairs) else []


def examples_in(kind: Any) -> Iterator[list[Any]]:
    """The examples that a type has."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.examples:
            yield list(meta.examples)


def example(kind: Any, keys: tuple[str, ...]) -> str:
    """How a value of a type is written, for example; under keys, what stands as deep in an example."""
    for shown in (one for examples in examples_in(kind) for one in examples):
        inner = shown
        for _ in keys:
            inner = next(iter(inner.values())) if isinstance(inner, dict) else None
        if inner is not None:
            return toml_text(inner)
    return ""


def description(kind: Any) -> str:
    """What a type is described as, or nothing."""
    found = (meta.description for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    return next((text for text in found if text), "")


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
