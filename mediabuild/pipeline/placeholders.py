"""Placeholders: in a command `{inputs.NAME}`, `{outputs.NAME}`, `{params.NAME}`, `{device}`, `{job}`, `{ffmpeg}`.

There, too, `{out}` is the directory of the outputs, `{inputs.NAME.KEY}` a value of an input that is JSON.
In a path of an input `{job}`; in `deliver` `{job}` and the keys of the matrix. `{{` and `}}` stand for the braces
themselves: `{{job}}` is `{job}`. A shell's own `${name}` stays.

What looks like a placeholder and is none is a mistake. Of a command's text, which may be a program with braces of its
own, only what can't be anything else: `{out` that nothing closes, `{inputs.media[0]}`, `{{ inputs.media }}`. Of a path
also what other programs call so: `{{job}}`, `$job`, `%(job)s`, `<job>`.

Not here: filling a command in (`command_stages.filling`), checks of it as a whole (`command_stages.checks`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec

from mediabuild.pipeline.mistakes import Mistakes, nearest

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
TOKEN = re.compile(rf"\{{\{{|\}}\}}|\{{(?P<name>inputs(\.{NAME})(\.{NAME}|\.[0-9]+)*|{NAME}(\.{NAME})*)\}}")
GROUPS = ("inputs", "outputs", "params")
PLAIN = ("device", "job", "ffmpeg", "out")
SHELLS = ("out", "piece")  # with a $ before it, it is the shell's, always
BEGINNINGS = ("input", "inputs", "output", "outputs", "param", "params", "row")  # also as somebody mistypes them
DOTTED = rf"{NAME}(?:\.{NAME})*"
OPENED = re.compile(rf"(?<!\{{)\{{(?P<before> *)(?P<name>{DOTTED})")
DOUBLED = re.compile(rf"(?<!\{{)\{{{{1,2}} *({DOTTED}) *\}}{{1,2}}(?!\}})")
ELSEWHERE = re.compile(  # how other programs write theirs
    rf"%\(({DOTTED})\)[a-z]?|<({DOTTED})>|\$\(({DOTTED})\)|%({DOTTED})%|\$\{{({DOTTED})\}}|\$([A-Za-z_][A-Za-z0-9_]*)"
)
VARIABLE = re.compile(r"(?:^|/)(\$[A-Z_][A-Z0-9_]*)(?=/|$)")  # of the environment, as a part of a path


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
    in_command: bool = False,
    values: tuple[str, ...] = (),
) -> None:
    """Note what looks like a placeholder and is none.

    Args:
        values: what begins with one of these is known, too: a value of an input.
        in_command: the text may hold a shell's `${name}`, where one that is called as a placeholder is a mistake,
            another program's `%{name}`, and code with braces of its own; otherwise it is a path.
    """
    slips = {**dict(_unclosed(text, known)), **dict(_misspelt(text, known, values, in_command))}
    for slip, name in slips.items():
        hint = f"{{{name}}}" if name in known or name.startswith(values) else _close(name, known)
        if slip == f"{{{name}":
            mistakes.add(where, f"{slip} is not closed", _escaped(hint, slip))
        else:
            mistakes.add(where, f"{slip} is no placeholder", hint)
    if not in_command:
        check_variables(where, text, mistakes)
    before = ""
    for part, is_name in pieces(text):
        mark, before = before[-1:], part
        if not is_name or part in slips.values():
            continue
        is_others = in_command and (mark == "$" or (mark == "%" and "." not in part))  # the shell's; %{pts} of ffmpeg
        if mark == "$" and not in_command:
            mistakes.add(where, f"${{{part}}}: variables of the environment aren't filled in", "the path in full")
        elif mark == "$" and part in known:
            hint = f"{{{part}}} is the placeholder, ${{{{{part}}}}} the shell's variable"
            mistakes.add(where, f"${{{part}}} can be read in two ways", hint)
        elif not (part in known or is_others or part.startswith(values) or _follows(where, part, mistakes)):
            what = "is not declared" if part.partition(".")[0] in GROUPS else "is no placeholder"
            mistakes.add(where, f"{{{part}}} {what}", _escaped(_close(part, known), f"{{{part}}}"))


def check_variables(where: str, path: str, mistakes: Mistakes) -> None:
    """Note variables of the environment in a path: `$HOME/talks`."""
    for match in VARIABLE.finditer(path):
        mistakes.add(where, f"{match[1]}: variables of the environment aren't filled in", "the path in full")


def _unclosed(text: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """`{out` without its other brace: as it stands there, and the placeholder that is meant."""
    for match in OPENED.finditer(text):
        name = _meant(match["name"], known)
        in_shell = name in SHELLS and text[: match.start()].endswith("$")
        if name and not in_shell and _closing(text, match.start()) is None:
            yield f"{{{name}", name


def _misspelt(
    text: str, known: Collection[str], values: tuple[str, ...], in_command: bool
) -> Iterator[tuple[str, str]]:
    """What else stands for a placeholder in a way that isn't ours: as it stands there, and the one that is meant."""
    for match in OPENED.finditer(text):
        name, end = _meant(match["name"], known), _closing(text, match.start())
        if not name or end is None or TOKEN.match(text, match.start()):
            continue
        around = match["before"] + text[match.end() : end]
        of_code = (name in known or name.startswith(values)) and ("." in name or not around.strip())
        if of_code if in_command else "," not in around:  # with a comma it is a set: {a,b}
            yield text[match.start() : end + 1], name
    for match in (*DOUBLED.finditer(text), *ELSEWHERE.finditer(text)):
        found = match[0]
        name = _meant(next(filter(None, match.groups())), known)
        if not name or (found[0] == "{" and "{{" not in found and "}}" not in found):
            continue
        is_shells = found.startswith("${") or text[: match.start()].endswith("$")
        is_known = name.startswith(values) or (name in known and "." in name)
        if not in_command or (is_known and not is_shells):
            yield found, name


def _meant(name: str, known: Collection[str]) -> str:
    """The placeholder that a name begins with, of those here or elsewhere (`job.srt` → `job`); empty where it is none.

    What would be one if it were declared counts, too: `output.x`.
    """
    parts = name.split(".")
    begins = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    declared = ".".join(parts[:2]) if len(parts) > 1 and parts[0] in BEGINNINGS else ""
    return next((begin for begin in begins if begin in (*known, *PLAIN, *SHELLS)), declared)


def _closing(text: str, opening: int) -> int | None:
    """Where the brace is closed that is opened there."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return None


def _close(name: str, known: Collection[str]) -> str:
    return nearest(f"{{{name}}}", [f"{{{other}}}" for other in known])


def _escaped(hint: str, text: str) -> str:
    """A hint, and how a text with braces is written that is to stay; not where it is clear what is meant."""
    doubled = text.replace("{", "{{").replace("}", "}}")
    is_clear = hint.startswith("did")
    return hint if is_clear else "; ".join(filter(None, (hint, f"a brace of its own is written twice: {doubled}")))


def _follows(where: str, part: str, mistakes: Mistakes) -> bool:
    """Whether it is unknown only since what declares it is wrong."""
    table, group = ".".join(where.split(".")[:2]), part.partition(".")[0]
    declaring = {"inputs": ("inputs",), "outputs": ("outputs",), "params": ("matrix", "params")}.get(group, ("matrix",))
    return mistakes.says_of(*(f"{table}.{key}" for key in declaring))


def text_of(value: Any) -> str:
    """A param's value as a program is given it, and as a directory is named after it: `true`, `-16`, `es`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # sorted, as in the facts: a table in another order is the same table
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
