"""Options as they are typed: which stand in front, and what is said of one that there isn't.

A param is set with NAME=VALUE; who types it as an option is told so.

Not here: what options mean (the commands, a file each).
"""

from __future__ import annotations

import difflib
import getopt
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand

from mediabuild.errors import MediabuildError
from mediabuild.machine.here import PIPELINE, meant

ALIKE = 0.7  # of two names, 0 to 1: less is another word
ALWAYS = ("help", "version")
CALLED_OTHERWISE = {  # by other programs
    **dict.fromkeys(("verbose", "debug"), "--log-level debug"),
    **dict.fromkeys(("quiet", "silent", "q"), "--log-level warning"),
    **dict.fromkeys(("threads", "workers"), "-n N"),
    "V": "--version",
}


def leading_options(parser: Any, words: list[str], command: str) -> tuple[list[str], list[str]]:
    """The options that the words begin with, and the rest: names, and what stands behind them.

    Args:
        parser: doit's, which knows the command's options. command: as it is typed behind `doit`.

    Raises:
        InvalidCommand: one of them is no option of the command; with the nearest one that is.
    """
    known = [str(option.long) for option in parser.options if option.long]
    behind = f"\n  hint: doit{command} --help"
    check_dashes(parser, words, command)
    try:
        found, rest = getopt.getopt(words, parser.get_short(), parser.get_long())
    except getopt.GetoptError as error:
        raise InvalidCommand(f"{_mistake(words, known, error)}{behind}") from None
    for typed, value in found:
        option, _ = parser.get_option(typed)
        if option is not None and option.type is int and not re.fullmatch(r"\s*\d+\s*", value, re.ASCII):
            raise InvalidCommand(f"{typed}: {value!r} is no whole number{behind}")
    return words[: len(words) - len(rest)], rest


def check_dashes(parser: Any, words: list[str], command: str = "") -> None:
    """Refuse a long option that was typed with one dash: `-force` would be read as `-f orce`.

    Args:
        words: looked at up to the first that is no option.

    Raises:
        InvalidCommand: with the option that is meant.
    """
    known = [str(option.long) for option in parser.options if option.long]
    letters = {option.short: option.type is not bool for option in parser.options if option.short}
    long_valued = {f"--{option.long}" for option in parser.options if option.long and option.type is not bool}
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word in ("-", "--") or not word.startswith("-"):
            return
        elif word.startswith("--"):
            is_value = word in long_valued
        elif name := _meant_long(word, known, letters):
            meaning = _typed_again(name, words, word, valued=f"--{name}" in long_valued)
            what = f"{word.partition('=')[0]}: there is no such option; did you mean {meaning!r}?"
            raise InvalidCommand(f"{what}\n  hint: doit{command} --help")
        else:
            is_value = letters.get(word[-1], False) and not any(letters.get(letter) for letter in word[1:-1])


def _meant_long(word: str, known: list[str], letters: Mapping[str, bool]) -> str:
    """The long option that a word with one dash means, such as `-language`; empty where it is right as it is."""
    name = word[1:].partition("=")[0]
    if len(name) < 2:
        return ""
    if name in (*known, *ALWAYS):
        return name
    value = re.sub(f"^[{''.join(letter for letter in letters if not letters[letter])}]*.", "", word[1:])
    if not name.isascii() or not name.replace("-", "").isalpha() or os.path.exists(meant(value)):
        return ""
    close = difflib.get_close_matches(name, [*known, *ALWAYS], n=1, cutoff=ALIKE)
    return close[0] if close else ""


def _typed_again(name: str, words: list[str], word: str, *, valued: bool) -> str:
    value = _value_behind(words, word) if valued else ""
    return f"--{name}" + (f" {value}" if value else "")


def _mistake(words: list[str], known: list[str], error: getopt.GetoptError) -> str:
    """What is wrong with an option."""
    dashed = f"--{error.opt}" if len(error.opt) > 1 else f"-{error.opt}"
    if "requires argument" in error.msg:
        return f"{dashed}: a value is missing"
    if "must not have" in error.msg:
        return f"{dashed}: takes no value"
    return _unknown(words, error.opt, known)


def _unknown(words: list[str], option: str, known: list[str]) -> str:
    """What is said of an option that there isn't: with the option or the param that is meant, if that is clear."""
    dashed = f"--{option}" if len(option) > 1 else f"-{option}"
    meant_by = CALLED_OTHERWISE.get(option, "")
    if not meant_by and len(option) > 1:
        params = _params()
        close = difflib.get_close_matches(option, sorted({*known, *ALWAYS, *params}), n=1, cutoff=ALIKE)
        if close and close[0] in params:
            typed = next((word for word in words if word.partition("=")[0] == dashed), "")
            value = _value_behind(words, typed) or "VALUE"
            meant_by = " or ".join(f"{name}={value}" for name in params[close[0]])
        elif close:
            meant_by = f"--{close[0]}"
    return f"{dashed}: there is no such option" + (f"; did you mean {meant_by!r}?" if meant_by else "")


def _value_behind(words: list[str], option: str) -> str:
    """The value that was typed with an option, as it would be typed again; empty where none was."""
    _, equals, value = option.partition("=")
    if not equals and option in words:
        behind = words[words.index(option) + 1 :]
        value = behind[0] if behind and behind[0][0] != "-" and not os.path.exists(meant(behind[0])) else ""
    return shlex.quote(value) if value else ""


def _params() -> Mapping[str, list[str]]:
    """Each param of the pipeline here, with dashes → how it is typed: with its stage where several have it."""
    from mediabuild.pipeline.config import load_pipeline

    file = Path(PIPELINE)
    try:
        stages = load_pipeline(file, alone=not file.exists()).stages.values()
    except MediabuildError:  # it is told when the pipeline is needed
        return {}
    owners: dict[str, list[str]] = {}
    for spec in stages:
        for param in {**spec.params, **spec.matrix}:
            owners.setdefault(param, []).append(spec.name)
    found: dict[str, list[str]] = {}
    for param, names in owners.items():
        dotted = [f"{name}.{param}" for name in names]
        found |= {name.replace("_", "-"): [name] for name in dotted} | {name: [name] for name in dotted}
        found |= {spelt: dotted if len(names) > 1 else [param] for spelt in (param, param.replace("_", "-"))}
    return found
