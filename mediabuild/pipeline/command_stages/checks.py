"""Checks what a command stage's table says: its words and their placeholders, and how it runs.

Not here: filling the placeholders in (`placeholders`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from mediabuild.pipeline.command_stages.running import KEYS, OUT, Running
from mediabuild.pipeline.mistakes import Mistakes, named
from mediabuild.pipeline.placeholders import GROUPS, NAME, PLAIN, check_names, names_in

NAME_ONLY = re.compile(rf"{NAME}\Z")
SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "env")
OF_SHELL = re.compile(r"\$\{(?:out|piece)\}")
OF_HOME = re.compile(r"\A(?:\$(?:HOME|PWD|TMPDIR)|\$\{(?:HOME|PWD|TMPDIR)\})(?=/|\Z)")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def running_of(where: str, table: Mapping[str, Any], mistakes: Mistakes, *, isolate: bool) -> Running:
    """How a stage's command runs, of its table; what a Python stage can't have is a mistake.

    Args:
        isolate: what holds where the table doesn't say.
    """
    command, outputs = table.get("command"), table.get("outputs", {})
    if command is None:
        for key in KEYS:
            if key in table:
                mistakes.add(f"{where}.{key}", "only a command has it", f"remove {key}, or: command = […]")
        return Running()
    for key in ("stdout", "stderr"):
        if table.get(key):
            _check_stream(f"{where}.{key}", table[key], outputs, bool(table.get("each")), mistakes)
    if table.get("stdout") and table.get("stdout") == table.get("stderr"):
        mistakes.add(f"{where}.stderr", f"stdout goes to {table['stdout']!r}", "an output of its own")
    for name in table.get("env") or {}:
        if not VARIABLE.match(name):
            mistakes.add(f"{where}.env.{name}", "no name of a variable", _variable(name))
        elif re.search(rf"\${name}\b|\${{{name}}}", table["env"][name]):
            what = f"${name} in its own value stays as it is"
            mistakes.add(f"{where}.env.{name}", what, 'a shell fills it in: command = ["sh", "-c", "…"]')
    if table.get("each"):
        _check_each(where, table, outputs, mistakes)
    if table.get("progress") and not is_ffmpeg(command) and not table.get("each"):
        mistakes.add(f"{where}.progress", "the command isn't ffmpeg", 'command = ["{ffmpeg}", …]')
    return Running(
        stdout=table.get("stdout") or "",
        stderr=table.get("stderr") or "",
        env=table.get("env") or {},
        isolate=table.get("isolate", isolate),
        each=table.get("each") or "",
        progress=bool(table.get("progress")),
        folders=frozenset(name for name, path in outputs.items() if path.endswith("/")),
    )


def _file_name(name: str) -> str:
    """An input's name that can be a file's in a folder of a command's own."""
    near = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") if name != OUT else "media"
    return f'{near} = "…"; letters, digits, _ and -'


def _variable(name: str) -> str:
    """A name that is most like one."""
    near = re.sub(r"[^A-Za-z0-9_]+", "_", name.partition("=")[0])
    return near if VARIABLE.match(near) else 'letters, digits and _: { TZ = "UTC" }'


def _check_each(where: str, table: Mapping[str, Any], outputs: Mapping[str, str], mistakes: Mistakes) -> None:
    """Note what can't be in the table of a command that has pieces."""
    inputs, name = table.get("inputs", {}), table["each"]
    if name not in inputs:
        mistakes.add(f"{where}.each", f"there is no input {name!r}", named(name, inputs))
    for output, path in outputs.items():
        if "{piece}" in path:
            continue  # said already
        if path.count("*") != 1 or path.endswith("/"):
            what = "each piece has its own: one * stands for the piece's name"
            mistakes.add(f"{where}.outputs.{output}", what, f'{output} = "*{os.path.splitext(path)[1]}"')
    if not outputs:
        mistakes.add(f"{where}.outputs", "none, and each piece has its own", 'outputs = { wav = "*.wav" }')
    if table.get("progress"):
        mistakes.add(f"{where}.progress", "how many pieces are done is shown", "remove it")


def is_ffmpeg(command: list[str]) -> bool:
    """Whether a command's program is ffmpeg."""
    return bool(command) and (command[0] == "{ffmpeg}" or os.path.basename(command[0]) == "ffmpeg")


def _check_stream(where: str, name: str, outputs: Mapping[str, str], each: bool, mistakes: Mistakes) -> None:
    if name not in outputs:
        mistakes.add(where, f"there is no output {name!r}", named(name, outputs))
    elif outputs[name].endswith("/") or ("*" in outputs[name] and not each):
        mistakes.add(where, f"{outputs[name]!r} is no single file", 'outputs = { json = "NAME.json" }')


def check_command(
    where: str,
    command: list[str],
    running: Running,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    params: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    """Note placeholders that stand for nothing, or for any number of files."""
    if not command or not command[0]:
        mistakes.add(f"{where}.command", "empty")
    for name in inputs if running.isolate else ():
        if not NAME_ONLY.match(name) or name == OUT:
            mistakes.add(
                f"{where}.inputs.{name}",
                "no name for a file in a folder of its own",
                _file_name(name),
            )
    declared = zip(GROUPS, (inputs, outputs, params), strict=True)
    known = {*PLAIN, *(f"{group}.{name}" for group, names in declared for name in names)}
    values = (*(f"inputs.{name}." for name in inputs), *(["row."] if running.each else []))
    words = [(f"{where}.command", item) for item in command]
    words += [(f"{where}.env.{name}", text) for name, text in running.env.items()]
    of_rows = {part for _, text in words for part in names_in(text) if part.startswith("row.")}
    known |= {"piece", "row.COLUMN"} if running.each else of_rows  # said below
    takes_rows = running.each or not mistakes.says_of(f"{where}.each", f"{where}.for_each")
    for place, text in words:
        check_names(place, text, known, mistakes, in_command=True, values=values)
        for part in names_in(text):
            if part == "job" and running.isolate:
                mistakes.add(place, "{job} in a command that is to know no job's name", "isolate = false")
            if running.each and of_rows and f"{part}.".startswith(f"inputs.{running.each}."):
                mistakes.add(
                    place, f"{{{part}}} is all the rows, and any of them would change each piece", "{row.NAME}"
                )
            if part.startswith("row.") and not running.each and takes_rows:
                mistakes.add(place, f"{{{part}}} needs rows", 'each = "INPUT"')
            if (
                not running.each
                and takes_rows
                and "*" in outputs.get(part.removeprefix("outputs."), "")
                and part.startswith("outputs.")
            ):
                mistakes.add(place, f"{{{part}}} stands for any number of files", "{out} is their folder")
    if command[:1] and command[0].startswith("~"):  # other words a program may know itself
        mistakes.add(f"{where}.command", f"{command[0]!r}: without a shell, ~ isn't home", "the path in full")
    if not any(os.path.basename(word) in SHELLS for word in command):
        _check_without_shell(where, command, running.env, mistakes)


def _check_without_shell(where: str, command: list[str], env: Mapping[str, str], mistakes: Mistakes) -> None:
    """Note what only a shell would fill in."""
    for text in command:
        home = next(iter(OF_HOME.findall(text)), "")
        if home:
            mistakes.add(f"{where}.command", f"{text!r}: without a shell, {home} stays as it is", "the path in full")
    for place, text in ((f"{where}.command", " ".join(command)), *((f"{where}.env.{name}", env[name]) for name in env)):
        for name in OF_SHELL.findall(text):
            mistakes.add(place, f"{name}: without a shell, it stays as it is", name.removeprefix("$"))
