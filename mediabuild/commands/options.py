"""Options as they are typed: which stand in front, and what is said of one that there isn't.

A param is set with NAME=VALUE; who types it as an option is told so.

Not here: what options mean (the commands, a file each).
"""

from __future__ import annotations

import difflib
import getopt
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand

from mediabuild.errors import MediabuildError
from mediabuild.machine.here import PIPELINE, meant

ALIKE = 0.7  # of two names, 0 to 1: less is another word


def leading_options(parser: Any, words: list[str], command: str) -> tuple[list[str], list[str]]:
    """The options that the words begin with, and the rest: names, and what stands behind them.

    Args:
        parser: doit's, which knows the command's options. command: as it is typed behind `doit`.

    Raises:
        InvalidCommand: one of them is no option of the command; with the nearest one that is.
    """
    known = [str(option.long) for option in parser.options if option.long]
    if words and _one_dash(words[0], known):
        raise InvalidCommand(f"{_unknown(words, words[0][1], known)}\n  hint: doit{command} --help")
    try:
        _, rest = getopt.getopt(words, parser.get_short(), parser.get_long())
    except getopt.GetoptError as error:
        raise InvalidCommand(f"{_mistake(words, known, error)}\n  hint: doit{command} --help") from None
    return words[: len(words) - len(rest)], rest


def _mistake(words: list[str], known: list[str], error: getopt.GetoptError) -> str:
    """What is wrong with an option."""
    dashed = f"--{error.opt}" if len(error.opt) > 1 else f"-{error.opt}"
    if "requires argument" in error.msg:
        return f"{dashed}: a value is missing"
    if "must not have" in error.msg:
        return f"{dashed}: takes no value"
    return _unknown(words, error.opt, known)


def _one_dash(word: str, known: list[str]) -> bool:
    """Whether it is a long option with one dash, such as `-language`."""
    return len(word) > 2 and word[0] == "-" and word[1:].partition("=")[0] in known


def _unknown(words: list[str], option: str, known: list[str]) -> str:
    """What is said of an option that there isn't: with the option or the param that is meant, if that is clear."""
    if len(option) == 1:
        short = (word for word in words if word.startswith("-") and word[1:2] != "-" and option in word)
        word = next(short, f"-{option}")
        if not _one_dash(word, known):
            return f"-{option}: there is no such option"
        name, value = word[1:].partition("=")[0], _value_behind(words, word)
        meaning = f"--{name}" + (f" {value}" if value else "")
        return f"{word.partition('=')[0]}: there is no such option; did you mean {meaning!r}?"
    params = _params()
    close = difflib.get_close_matches(option, sorted({*known, *params}), n=1, cutoff=ALIKE)
    meant_by = ""
    if close and close[0] in params:
        typed = next((word for word in words if word.partition("=")[0] == f"--{option}"), "")
        value = _value_behind(words, typed) or "VALUE"
        meant_by = " or ".join(f"{name}={value}" for name in params[close[0]])
    elif close:
        meant_by = f"--{close[0]}"
    return f"--{option}: there is no such option" + (f"; did you mean {meant_by!r}?" if meant_by else "")


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
