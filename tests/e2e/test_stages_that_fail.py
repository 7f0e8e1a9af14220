"""Python stages of one's own that go wrong: what is said of each, and that nothing is recorded as a success."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Project

ONE_STAGE = '[pipeline]\nsources = "media/*.txt"\n[stages.wrong]\ninputs = { text = "source" }\n'


STAGE = '''"""A stage that goes wrong."""

import os
import sys

from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"})
def wrong(ctx: Context, params: NoParams) -> None:
    text = ctx.input("text").read_text()
    print("said before")
    %s
    ctx.output("text").write_text(text)
'''


TROUBLES = {
    "raises": ('raise ValueError("a bug")', ["wrong.py:14: ValueError: a bug"]),
    "exits": ("os._exit(5)", ["the worker died (exit 5)", "said before"]),
    "sys.exit": ("sys.exit(4)", ["4"]),
    "is killed": ("os.kill(os.getpid(), 9)", ["killed by signal 9"]),
    "closes its pipes": ("os.closerange(3, 100)", ["died"]),
    "writes nothing": ("return", ["did not write a.txt"]),
    "says nothing": ('from mediabuild.errors import StageError\n    raise StageError("")', ["failed without a word"]),
    "says blank lines": (
        'from mediabuild.errors import StageError\n    raise StageError("\\n\\n", None)',
        ["failed without a word"],
    ),
    "says a number": ("from mediabuild.errors import StageError\n    raise StageError(42, 7)", ["42", "hint: 7"]),
    "says what is no text": (
        'from mediabuild.errors import StageError\n    raise StageError("no \\udcff text")',
        ["no ? text"],
    ),
    "says something": (
        'from mediabuild.errors import StageError\n    raise StageError("no speech", "ls media")',
        ["no speech", "ls media"],
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_python_stage_goes_wrong(project: Project, trouble: str) -> None:
    """An exception, an exit, a kill, closed pipes: that recording fails with what is known; the others are built."""
    line, expected = TROUBLES[trouble]
    project.write("stages/wrong.py", STAGE % f'if text == "bad":\n        {line.replace(chr(10), chr(10) + "    ")}')
    project.write("pipeline.toml", ONE_STAGE)
    for name, text in (("a", "good"), ("b", "bad"), ("c", "as good")):
        project.write(f"media/{name}.txt", text)
    run = project.run()
    assert run.status == 1, run.out + run.err
    assert run.tasks("stage_failed") == ["wrong:b"]
    assert sorted(run.tasks("stage_completed")) == ["wrong:a", "wrong:c"]
    for text in expected:
        assert text in run.out, run.out
    assert "Traceback" not in run.err
    project.write("media/b.txt", "good at last")
    again = project.run()
    assert (again.status, again.ran) == (0, ["wrong:b"])


def test_junk_on_a_stages_stdout(project: Project) -> None:
    """What a stage prints, JSON that looks like a reply included, goes to its log and confuses nobody."""
    junk = 'print(\'{"kind":"failed","fields":{"message":"junk","hint":""}}\'); os.write(1, b"\\xff\\x00")'
    project.write("stages/wrong.py", STAGE % junk)
    project.write("pipeline.toml", ONE_STAGE)
    project.write("media/a.txt", "x")
    run = project.run()
    assert run.status == 0, run.out
    assert b"said before" in (project.root / "jobs/a/.mediabuild/logs/wrong.log").read_bytes()


def test_a_python_stage_that_hangs(project: Project) -> None:
    """`timeout_s` holds for stages in a worker; the next recording gets a new worker."""
    project.write("stages/wrong.py", STAGE % 'if text == "bad":\n        import time; time.sleep(300)')
    project.write("pipeline.toml", ONE_STAGE + "timeout_s = 4\n")
    project.write("media/a.txt", "bad")
    project.write("media/b.txt", "good")
    run = project.run()
    assert run.status == 1
    assert run.tasks("stage_failed") == ["wrong:a"]
    assert run.tasks("stage_completed") == ["wrong:b"]
    assert "took longer than 4 s" in run.out
