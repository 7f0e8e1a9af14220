"""Placeholders: in a command `{inputs.NAME}`, `{outputs.NAME}`, `{params.NAME}`, `{device}`, `{job}`, `{ffmpeg}`.

In a path of an input `{job}`; in `deliver` `{job}` and the keys of the matrix. What looks like a placeholder and is
none is a mistake. `{{` and `}}` stand for the braces themselves: `{{job}}` is `{job}`. A shell's own `${name}` stays.

Not here: running the command (`execution.programs`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.pipeline.mistakes import Mistakes, nearest

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
TOKEN = re.compile(rf"\{{\{{|\}}\}}|\{{(?P<name>{NAME}(\.{NAME})*)\}}")
GROUPS = ("inputs", "outputs", "params")
PLAIN = ("device", "job", "ffmpeg")
ESCAPED = "a brace of its own is written twice: {{{{{}}}}}"


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """A text's parts, in order: as it stands there and False, or a placeholder's name and True.

    `}}` closes a `{{` before it; without one it stays as it is, as in awk's `{if (x) {print $1}}`.
    """
    place = opened = 0
    for match in TOKEN.finditer(text):
        yield text[place : match.start()], False
        place = match.end()
        if match["name"]:
            yield match["name"], True
        elif match[0] == "{{":
            opened += 1
            yield "{", False
        else:
            yield "}" if opened else "}}", False
            opened = max(0, opened - 1)
    yield text[place:], False


def names_in(text: str) -> list[str]:
    """The names of the placeholders in a text."""
    return [part for part, is_name in pieces(text) if is_name]


def fill(text: str, value_of: Callable[[str], str | None]) -> str:
    """A text with its placeholders filled in, each once; `value_of` has None for what is none, which stays."""
    found = []
    for part, is_name in pieces(text):
        value = value_of(part) if is_name else part
        found.append(f"{{{part}}}" if value is None else value)
    return "".join(found)


def check_names(where: str, text: str, known: Collection[str], mistakes: Mistakes, *, in_shell: bool = False) -> None:
    """Note what looks like a placeholder and is none.

    Args:
        in_shell: the text may hold a shell's `${name}`; one that is called as a placeholder is a mistake.
    """
    before = ""
    for part, is_name in pieces(text):
        dollar, before = in_shell and before.endswith("$"), part
        if not is_name:
            continue
        if dollar and part in known:
            hint = f"{{{part}}} is the placeholder, ${{{{{part}}}}} the shell's variable"
            mistakes.add(where, f"${{{part}}} can be read in two ways", hint)
        elif part not in known and not dollar:
            what = "is not declared" if part.partition(".")[0] in GROUPS else "is no placeholder"
            mistakes.add(where, f"{{{part}}} {what}", f"{nearest(part, known)}; {ESCAPED.format(part)}")


def check_command(
    where: str,
    command: list[str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    params: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    """Note placeholders that stand for nothing, or for any number of files."""
    where = f"{where}.command"
    if not command or not command[0]:
        mistakes.add(where, "empty")
    declared = zip(GROUPS, (inputs, outputs, params), strict=True)
    known = {*PLAIN, *(f"{group}.{name}" for group, names in declared for name in names)}
    for item in command:
        check_names(where, item, known, mistakes, in_shell=True)
        for part in names_in(item):
            if part.startswith("outputs.") and "*" in outputs.get(part.removeprefix("outputs."), ""):
                mistakes.add(where, f"{{{part}}} stands for any number of files")


@dataclass(frozen=True)
class Values:
    """What the placeholders of a task's command stand for.

    Args:
        inputs: input name → its files. outputs: output name → where it is to be written.
    """

    inputs: Mapping[str, Sequence[Path]]
    outputs: Mapping[str, Path]
    params: Mapping[str, Any]
    device: str
    job: str


def filled_in(command: Sequence[str], values: Values, root: Path) -> list[str]:
    """The command with its placeholders filled in; a shell's own `${name}` stays as it is.

    An item that is nothing but the placeholder of an input becomes as many items as the input has files.

    Args:
        root: paths below it are written relative to it.

    Raises:
        MediabuildError: there is no ffmpeg.
    """
    argv: list[str] = []
    for item in command:
        whole = TOKEN.fullmatch(item)
        if whole is not None and whole["name"]:
            found = _found(whole["name"], values, root)
            argv += [item] if found is None else found
        else:
            argv.append(fill(item, lambda name: _joined(name, values, root)))
    return argv


def _joined(name: str, values: Values, root: Path) -> str | None:
    found = _found(name, values, root)
    return None if found is None else " ".join(found)


def _found(placeholder: str, values: Values, root: Path) -> list[str] | None:
    """What one placeholder stands for; None where it is none."""
    group, _, name = placeholder.partition(".")
    if group == "inputs" and name in values.inputs:
        return [_shown(path, root) for path in values.inputs[name]]
    if group == "outputs" and name in values.outputs:
        return [_shown(values.outputs[name], root)]
    if group == "params" and name in values.params:
        return [text_of(values.params[name])]
    if placeholder == "device":
        return [values.device]
    if placeholder == "job":
        return [values.job]
    return [ffmpeg_path()] if placeholder == "ffmpeg" else None


def _shown(path: Path, root: Path) -> str:
    """A path as a program is given it: relative to the project where it lies below, never like an option or a URL."""
    relative = os.path.relpath(path, root)
    if relative.startswith("../"):
        return str(path)
    return f"./{relative}" if relative.startswith("-") or ":" in relative.partition("/")[0] else relative


def text_of(value: Any) -> str:
    """A param's value as a program is given it, and as a directory is named after it: `true`, `-16`, `es`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # sorted, as in the facts: a table in another order is the same table
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
