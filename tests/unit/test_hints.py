"""Every hint that the program can print names commands and options that exist.

The hints are collected from the source: texts that are, or hold, a command of `doit` or `mediabuild`.

Not here: hints of a run that are typed for real (`tests/e2e/test_typical`, `test_help`).
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_docs import commands, parser

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"(?:^|hint: |; |or: |to remove: |: )((?:doit|mediabuild) [^\n]*)$", re.MULTILINE)
END = re.compile(r"   |, | \(|;|: ")  # where a remark begins
SENTENCES = ("mediabuild is make", "mediabuild was installed")  # no hints
PLACE = "PLACE"  # stands for what only a run knows


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each string literal that is no docstring, `PLACE` for what is filled in."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(p.value if isinstance(p, ast.Constant) else PLACE for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (parts | docs):
            yield node.lineno, node.value


def hints() -> list[object]:
    """Each command that a text of the program shows."""
    found = {}
    files = [*sorted((ROOT / "mediabuild").rglob("*.py")), *sorted((ROOT / "stages").glob("*.py"))]
    for file in files:
        for line, text in texts(ast.parse(file.read_text())):
            for command in COMMAND.findall(text):
                shown = END.split(command)[0].strip()
                found.setdefault(shown, pytest.param(shown, id=f"{file.relative_to(ROOT)}:{line}: {shown}"))
    return list(found.values())


@pytest.mark.parametrize("hint", hints())
def test_a_hint_can_be_typed(hint: str) -> None:
    """Its command exists, and the options that it names."""
    if hint.startswith(SENTENCES):
        return
    words = shlex.split(hint)[1:]
    if words[:1] in (["init"], ["--version"], ["-h"]):
        return
    known = commands()
    words = [word for word in words if word not in (PLACE, "VALUE")]
    name = next((word for word in words if word in known), "run")
    options = parser(name).options
    longs, shorts = {option.long for option in options}, {option.short for option in options}
    for word in words:
        if word.startswith("--") and word not in ("--help", f"--{PLACE}"):
            assert word[2:].partition("=")[0] in longs, hint
        elif word.startswith("-") and word != "-h" and not word.startswith("--"):
            assert word[1] in shorts, hint
    first = words[0] if words else ""
    if first and not first.startswith("-") and "=" not in first and first not in known:
        assert PLACE in first or first[0] in "'*" or ":" in first or "." in first or first in STAGES, hint


STAGES = {file.stem for file in (ROOT / "stages").glob("*.py")} | {"*:ep01"}


def test_hints_were_found() -> None:
    """The collection isn't empty by mistake."""
    assert len(hints()) > 25
