"""Placeholders: in a command `{inputs.NAME}`, `{outputs.NAME}`, `{params.NAME}`, `{device}`, `{job}`, `{ffmpeg}`.

There, too, `{out}` is the directory of the outputs, `{inputs.NAME.KEY}` a value of an input that is JSON.
In a path of an input `{job}`; in `deliver` `{job}` and the keys of the matrix. What looks like a placeholder and is
none is a mistake. `{{` and `}}` stand for the braces themselves: `{{job}}` is `{job}`. A shell's own `${name}` stays.

Not here: checks of a command as a whole (`command_stages.checks`), running it (`execution.command_stages`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.pipeline.command_stages.json_text import value_in
from mediabuild.pipeline.mistakes import Mistakes, nearest

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
TOKEN = re.compile(rf"\{{\{{|\}}\}}|\{{(?P<name>inputs(\.{NAME})(\.{NAME}|\.[0-9]+)*|{NAME}(\.{NAME})*)\}}")
GROUPS = ("inputs", "outputs", "params")
PLAIN = ("device", "job", "ffmpeg", "out")
SHELLS = ("out", "piece")  # with a $ before it, it is the shell's, always
SPACED = re.compile(rf"(?<!\{{)\{{ +({NAME}(?:\.{NAME})*) +\}}(?!\}})")


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """A text's parts, in order: as it stands there and False, or a placeholder's name and True.

    `}}` closes a `{{` before it; without one it stays as it is, as in awk's `{if (x) {print $1}}`.
    """
    place = opened = 0
    for match in TOKEN.finditer(text):
        yield text[place : match.start()], False
        place = match.end()
        if match["name"] in SHELLS and text[: match.start()].endswith("$"):
            yield match[0], False
        elif match["name"]:
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


def check_names(
    where: str,
    text: str,
    known: Collection[str],
    mistakes: Mistakes,
    *,
    in_shell: bool = False,
    values: tuple[str, ...] = (),
) -> None:
    """Note what looks like a placeholder and is none.

    Args:
        values: what begins with one of these is known, too: a value of an input.
        in_shell: the text may hold a shell's `${name}`; one that is called as a placeholder is a mistake.
    """
    spaced = SPACED.search(text)
    if spaced and spaced[1] in known:
        mistakes.add(where, f"{spaced[0]} is no placeholder", f"{{{spaced[1]}}}")
    before = ""
    for part, is_name in pieces(text):
        dollar, before = in_shell and before.endswith("$"), part
        if not is_name:
            continue
        if dollar and part in known:
            hint = f"{{{part}}} is the placeholder, ${{{{{part}}}}} the shell's variable"
            mistakes.add(where, f"${{{part}}} can be read in two ways", hint)
        elif part not in known and not dollar and not part.startswith(values) and not _follows(where, part, mistakes):
            what = "is not declared" if part.partition(".")[0] in GROUPS else "is no placeholder"
            close = nearest(f"{{{part}}}", [f"{{{name}}}" for name in known])
            mistakes.add(where, f"{{{part}}} {what}", close if close.startswith("did") else _escaped(close, part))


def _escaped(known: str, part: str) -> str:
    return "; ".join(filter(None, (known, f"a brace of its own is written twice: {{{{{part}}}}}")))


def _follows(where: str, part: str, mistakes: Mistakes) -> bool:
    """Whether it is unknown only since what declares it is wrong."""
    table, group = ".".join(where.split(".")[:2]), part.partition(".")[0]
    declaring = {"inputs": ("inputs",), "outputs": ("outputs",), "params": ("matrix", "params")}.get(group, ("matrix",))
    return mistakes.says_of(*(f"{table}.{key}" for key in declaring))


@dataclass(frozen=True)
class Values:
    """What the placeholders of a task's command stand for.

    Args:
        inputs: input name → its files. outputs: output name → where it is to be written.
        singles: the inputs that are one file, or none where it is absent.
        out: the directory of the outputs.
        piece: the piece's name, and cells: column → text of its row, where the command has pieces.
    """

    inputs: Mapping[str, Sequence[Path]]
    outputs: Mapping[str, Path]
    params: Mapping[str, Any]
    device: str
    job: str
    out: Path
    singles: Collection[str] = ()
    piece: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)


def filled_in(command: Sequence[str], values: Values, folder: Path) -> list[str]:
    """The command with its placeholders filled in; a shell's own `${name}` stays as it is.

    An item that is nothing but the placeholder of an input becomes as many items as the input has files, and an empty
    one where the one file that it may be isn't there.

    Args:
        folder: where the command starts: paths below it are written relative to it.

    Raises:
        StageError: an input has no such value. MediabuildError: there is no ffmpeg.
    """
    argv: list[str] = []
    for item in command:
        whole = TOKEN.fullmatch(item)
        if whole is not None and whole["name"]:
            found = _found(whole["name"], values, folder)
            absent = found == [] and whole["name"].removeprefix("inputs.") in values.singles
            argv += [item] if found is None else [""] if absent else found
        else:
            argv.append(filled_text(item, values, folder))
    return argv


def filled_text(text: str, values: Values, folder: Path) -> str:
    """A text with its placeholders filled in, several files with spaces between; as `filled_in`."""

    def joined(name: str) -> str | None:
        found = _found(name, values, folder)
        return None if found is None else " ".join(found)

    return fill(text, joined)


def _found(placeholder: str, values: Values, folder: Path) -> list[str] | None:
    """What one placeholder stands for; None where it is none."""
    group, _, name = placeholder.partition(".")
    if group == "inputs" and name in values.inputs:
        return [_shown(path, folder) for path in values.inputs[name]]
    owner, _, keys = name.partition(".")
    if group == "inputs" and owner in values.inputs:
        absent = owner in values.singles and not values.inputs[owner]
        return [""] if absent else [text_of(value_in(owner, values.inputs[owner], keys))]
    if group == "params" and name in values.params:
        return [text_of(values.params[name])]
    plain = {"device": values.device, "job": values.job, "out": _shown(values.out, folder)}
    plain |= {f"outputs.{output}": _shown(path, folder) for output, path in values.outputs.items()}
    plain |= {f"row.{column}": text for column, text in values.cells.items()}
    plain |= {"piece": values.piece} if values.piece else {}
    if placeholder in plain:
        return [plain[placeholder]]
    return [ffmpeg_path()] if placeholder == "ffmpeg" else None


def _shown(path: Path, folder: Path) -> str:
    """A path as a program is given it: relative to its folder where it lies below, never like an option or a URL."""
    relative = os.path.relpath(path, folder)
    if relative.startswith("../"):
        return str(path)
    return f"./{relative}" if relative.startswith("-") or ":" in relative.partition("/")[0] else relative


def text_of(value: Any) -> str:
    """A param's value as a program is given it, and as a directory is named after it: `true`, `-16`, `es`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # sorted, as in the facts: a table in another order is the same table
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
