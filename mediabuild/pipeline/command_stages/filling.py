"""Fills a command's placeholders in, for one task: paths as its program is given them, values of inputs that are JSON.

Not here: which placeholders there are, and what is a mistake (`pipeline.placeholders`), running (`execution`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.pipeline.command_stages.json_text import value_in
from mediabuild.pipeline.placeholders import TOKEN, fill, text_of


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
