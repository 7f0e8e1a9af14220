"""Forty typical mistakes and questions: each is answered in at most 400 characters, with what to type.

Not here: wrong options one by one (`test_help`, `test_command_line`), all that can be wrong in `pipeline.toml`
(`test_mistakes`).
"""

from __future__ import annotations

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.crash import Launcher

LONGEST = 400
SAYS_WHAT_TO_DO = ("hint: ", "did you mean", "there is: ", "(", "expected ", "is none of ")
TYPED = {
    "statsu": "did you mean 'status'?",
    "expalin A:one": "did you mean 'explain'?",
    "A:noe": "did you mean 'A:one'?",
    "A:two": "did you mean 'A:one'?",
    "D": "is no task, command or target",
    "*:nope": "matches no task",
    "why B:one": "'why' is no task or command; did you mean 'explain TASK'?",
    "explain one": "hint: doit explain --job one",
    "--dry-run clean": "'clean' is a command, which stands before everything else",
    "--job=": "--job: a value is missing",
    "clean --dry-run --stages=": "--stages: a value is missing",
    "media/tow.txt": "media/tow.txt: there is no such file",
    "other.dat": "is no recording of this project",
    "--job nope": "no job matches 'nope'",
    "--job on": "did you mean 'one'?",
    "--from X": "there is no stage 'X'",
    "--from C --to A": "doit --from A --to C",
    "--stages A,Z": "there is no stage 'Z'",
    "--forse": "did you mean '--force'?",
    "--log-level loud": "is none of debug, info, warning, error",
    "-n many": "many",
    "--jobs": "a value is missing",
    "--device gpu": "is none of auto, cpu, cuda",
    "--source nowhere.txt": "no such file: nowhere.txt",
    "B.time=3": "did you mean 'B.times'?",
    "timse=3": "did you mean 'times'?",
    "times=many": "expected",
    "explain": "explain: which task?",
    "explain B:oen": "did you mean 'B:one'?",
    "ignore": "ignore: which task?",
    "forget nope": "is no task",
    "clean nope": "is no task",
    "clean --orphans A": "takes no names",
    "info nope": "is no task",
    "graph --format png": "png",
    "-P process": "doit -n",
    "--events /nowhere/e.jsonl": "/nowhere/e.jsonl",
    "-d nowhere": "nowhere",
}
EDITS = {
    ("[stages.A]", "[stage.A]"): "unknown table (did you mean 'stages'?)",
    ('sources = ["media/*.txt"]', 'source = ["media/*.txt"]'): "unknown key (did you mean 'sources'?)",
    ('sources = ["media/*.txt"]', 'sources = ["media/*.mp4"]'): "no source matches media/*.mp4",
    ("A.text", "A.txet"): "did you mean 'text'?",
    ("{inputs.media}", "{input.media}"): "input.media",
    ('inputs  = { media = "source" }', 'inputs  = { media = "C.text" }'): "a cycle",
    ("times = 2", 'times = 2, model = "x'): "pipeline.toml",
    ("[stages.C]", "[stages.status]"): "is a command",
    ('outputs = { text = "c.txt" }', 'outputs = { text = "../c.txt" }'): "leads outside",
    ("params  = { times = 2 }", "parms  = { times = 2 }"): "did you mean 'params'?",
    ('text = "c.txt" }', 'text = "c.txt" }\ndeliver = "/out"'): "leads outside the project",
}


@pytest.fixture(scope="module")
def typical(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> Project:
    """A → B → C over one text, built once."""
    project = Project(tmp_path_factory.mktemp("typical") / "project", launcher)
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("other.dat", "x\n")
    assert project.run().status == 0
    return project


def answered(project: Project, typed: str, said: str) -> None:
    """Refused, with what to do about it, and not too much of it."""
    ran = project.command(*typed.split())
    answer = ran.out + ran.err
    assert ran.status in (1, 2, 3), answer
    assert said.replace("doit", "mediabuild") in answer.replace("doit", "mediabuild")
    assert any(word in answer for word in SAYS_WHAT_TO_DO), answer
    assert len(answer) <= LONGEST, answer
    assert "Traceback" not in answer


@pytest.mark.parametrize("typed", TYPED)
def test_a_slip_on_the_command_line(typical: Project, typed: str) -> None:
    """Names, options, values and files that are nearly right."""
    answered(typical, typed, TYPED[typed])


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit[1].splitlines()[-1])
def test_a_slip_in_the_pipeline(typical: Project, edit: tuple[str, str]) -> None:
    """A key, a name, a path that are nearly right: where it is, and the nearest that exists."""
    assert edit[0] in CHAIN
    typical.write("pipeline.toml", CHAIN.replace(*edit))
    try:
        answered(typical, "status", EDITS[edit])
    finally:
        typical.write("pipeline.toml", CHAIN)


def test_there_are_forty() -> None:
    """So many were promised."""
    assert len(TYPED) + len(EDITS) >= 40
