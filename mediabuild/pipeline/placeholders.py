"""Placeholders in a command: `{inputs.NAME}`, `{outputs.NAME}`, `{params.NAME}`, `{device}`, `{job}`, `{ffmpeg}`.

Not here: running the command (`execution.programs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mediabuild.pipeline.mistakes import Mistakes, nearest

PLACEHOLDER = re.compile(r"\{(inputs\.|outputs\.|params\.)?([A-Za-z_][A-Za-z0-9_]*)\}")


def _check_command(
    where: str,
    command: list[str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    params: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    if not command or not command[0]:
        mistakes.add(f"{where}.command", "empty")
    groups: dict[str, Mapping[str, Any]] = {"inputs.": inputs, "outputs.": outputs, "params.": params}
    for item in command:
        for group, name in PLACEHOLDER.findall(item):
            if group and name not in groups[group]:
                mistakes.add(f"{where}.command", f"{{{group}{name}}} is not declared", nearest(name, groups[group]))
            if group == "outputs." and "*" in outputs.get(name, ""):
                mistakes.add(f"{where}.command", f"{{outputs.{name}}} stands for any number of files")
