"""What is said of an option that there isn't, or that was typed with one dash.

Not here: that a command says it and runs nothing (`tests/e2e/test_help`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from doit.exceptions import InvalidCommand

from mediabuild.commands.options import check_dashes, leading_options
from tests.unit.test_docs import parser

SLIPS = {  # command and words → what is said
    "run -force": "-force: there is no such option; did you mean '--force'?",
    "run -fore": "-fore: there is no such option; did you mean '--force'?",
    "run -n 2 -force": "-force: there is no such option; did you mean '--force'?",
    "run -n4 --job one -dry-run": "-dry-run: there is no such option; did you mean '--dry-run'?",
    "run -dryrun": "-dryrun: there is no such option; did you mean '--dry-run'?",
    "run -job one": "-job: there is no such option; did you mean '--job one'?",
    "run -stages=mux": "-stages: there is no such option; did you mean '--stages mux'?",
    "run -frm B": "-frm: there is no such option; did you mean '--from B'?",
    "run -help": "-help: there is no such option; did you mean '--help'?",
    "run -version": "-version: there is no such option; did you mean '--version'?",
    "run -afrom B": "-afrom: there is no such option; did you mean '--from B'?",
    "status -json": "-json: there is no such option; did you mean '--json'?",
    "clean -orphans": "-orphans: there is no such option; did you mean '--orphans'?",
    "run --versoin": "--versoin: there is no such option; did you mean '--version'?",
    "run --verbose": "--verbose: there is no such option; did you mean '--log-level debug'?",
    "run -V": "-V: there is no such option; did you mean '--version'?",
    "run -Z": "-Z: there is no such option",
    "run -n4x": "-n: '4x' is no whole number",
    "run -n -1": "-n: '-1' is no whole number",
    "run --jobs=x": "--jobs: 'x' is no whole number",
    "run --jobs": "--jobs: a value is missing",
}
RIGHT = (  # of what is right, how much are options
    ("run -n4 -a A", 2), ("run -as -n 4 A", 3), ("run -c -v2 --job -x A", 4), ("run -osaid.log A", 1),
    ("run -j 0 A", 2), ("run - -force", 0), ("run -o -force A", 2), ("run A -force", 0),
    ("run -fforce.py -dfailed A", 2),
)  # fmt: skip


@pytest.mark.parametrize("typed", SLIPS)
def test_a_slip_is_told_with_what_is_meant(typed: str) -> None:
    """With the long option, its value as it was typed, and where help is."""
    command, *words = typed.split(" ")
    with pytest.raises(InvalidCommand) as raised:
        leading_options(parser(command), words, "" if command == "run" else f" {command}")
    said, hint = str(raised.value).splitlines()
    assert said == SLIPS[typed]
    assert hint.strip() == "hint: doit --help" if command == "run" else f"hint: doit {command} --help"


@pytest.mark.parametrize(("typed", "count"), RIGHT)
def test_what_is_right_stays(typed: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters together, a value behind its letter, a file whose name is like an option, words behind a name."""
    monkeypatch.chdir(tmp_path)
    Path("force.py").touch()
    Path("failed").mkdir()
    command, *words = typed.split(" ")
    check_dashes(parser(command), words)
    assert leading_options(parser(command), words, "") == (words[:count], words[count:])
