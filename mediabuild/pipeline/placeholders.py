"""Fills in placeholders in a stage's command: `{inputs.NAME}`, `{outputs.NAME}`, `{params.NAME}`, `{device}` …

Not here: running the command (`execution.programs`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.pipeline.mistakes import Mistakes, nearest

PLACEHOLDER = re.compile(r"\{(inputs\.|outputs\.|params\.)?([A-Za-z_][A-Za-z0-9_]*)\}")


def check_command(
    where: str,
    command: list[str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    params: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    """Note placeholders that stand for nothing, or for any number of files."""
    if not command or not command[0]:
        mistakes.add(f"{where}.command", "empty")
    groups: dict[str, Mapping[str, Any]] = {"inputs.": inputs, "outputs.": outputs, "params.": params}
    for item in command:
        for group, name in PLACEHOLDER.findall(item):
            if group and name not in groups[group]:
                mistakes.add(f"{where}.command", f"{{{group}{name}}} is not declared", nearest(name, groups[group]))
            if group == "outputs." and "*" in outputs.get(name, ""):
                mistakes.add(f"{where}.command", f"{{outputs.{name}}} stands for any number of files")


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
    """The command with its placeholders filled in; what is no placeholder stays as it is.

    An item that is nothing but the placeholder of an input becomes as many items as the input has files.

    Args:
        root: paths below it are written relative to it.

    Raises:
        MediabuildError: there is no ffmpeg.
    """
    argv: list[str] = []
    for item in command:
        whole = PLACEHOLDER.fullmatch(item)
        found = _found(whole, values, root) if whole else None
        if found is not None:
            argv += found
        else:
            argv.append(PLACEHOLDER.sub(lambda match: _joined(match, values, root), item))
    return argv


def _joined(match: re.Match[str], values: Values, root: Path) -> str:
    found = _found(match, values, root)
    return match[0] if found is None else " ".join(found)


def _found(match: re.Match[str], values: Values, root: Path) -> list[str] | None:
    """What one placeholder stands for; None where it is none."""
    group, name = match[1] or "", match[2]
    if group == "inputs.":
        return [_shown(path, root) for path in values.inputs[name]]
    if group == "outputs.":
        return [_shown(values.outputs[name], root)]
    if group == "params.":
        return [text_of(values.params[name])]
    if name == "device":
        return [values.device]
    if name == "job":
        return [values.job]
    return [ffmpeg_path()] if name == "ffmpeg" else None


def _shown(path: Path, root: Path) -> str:
    """A path as a program is given it: relative to the project where it lies below, never like an option."""
    relative = os.path.relpath(path, root)
    if relative.startswith(".."):
        return str(path)
    return f"./{relative}" if relative.startswith("-") else relative


def text_of(value: Any) -> str:
    """A param's value as a program is given it, and as a directory is named after it: `true`, `-16`, `es`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # sorted, as in the facts: a table in another order is the same table
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
