"""A stage with a matrix: its values are what is written, of their type, and named after their text."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project

HEAD = '[pipeline]\nsources = ["media/*.txt"]\n'
STAGE = '''"""Repeats a text."""

import msgspec

from mediabuild.stage import Context, stage


class RepeatParams(msgspec.Struct, forbid_unknown_fields=True):
    """How often, how loud, and whether with an end; without a default, so the pipeline has to say."""

    times: int
    gain: float = 1.0
    end: bool = False


@stage(version=1, inputs={"text": "any text"}, outputs={"text": "b.txt"})
def repeat(ctx: Context, params: RepeatParams) -> None:
    text = ctx.input("text").read_text() * params.times + f"{params.gain!r} {params.end!r}"
    ctx.output("text").write_text(text)
'''
PYTHON = HEAD + '[stages.repeat]\ninputs = { text = "source" }\nmatrix = { times = [1, 3], end = [true, false] }\n'
SAYS = """
[stages.says]
command = ["sh", "-c", 'echo "$1 $2 $3" > "$4"', "says",
           "{params.on}", "{params.lufs}", "{params.note}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
matrix  = { on = [true, false], lufs = [-16, 0.5], note = ["x"] }
deliver = "out/{job}.{on}.{lufs}"
"""


@pytest.fixture
def one(project: Project) -> Project:
    """A project with a recording."""
    project.write("media/one.txt", "hello\n")
    return project


def test_a_python_stage_gets_numbers_and_booleans(one: Project) -> None:
    """As it declares them; a param without a default may come from the matrix alone."""
    one.write("stages/repeat.py", STAGE)
    one.write("pipeline.toml", PYTHON)
    assert one.command("validate").status == 0
    run = one.run()
    assert run.status == 0, run.out
    assert sorted(run.ran) == [f"repeat:one:{n}-{end}" for n in (1, 3) for end in ("false", "true")]
    assert one.read("jobs/one/repeat/3-true/b.txt") == "hello\n" * 3 + "1.0 True"
    assert json.loads(one.read("jobs/one/repeat/3-true/manifest.json"))["params"]["times"] == 3
    assert one.run().ran == []


def test_a_command_gets_them_as_they_are_written(one: Project) -> None:
    """`true`, never `True`; directories and copies are named alike."""
    one.write("pipeline.toml", HEAD + SAYS)
    run = one.run()
    assert run.status == 0, run.out
    assert one.read("jobs/one/says/true--16-x/a.txt") == "true -16 x\n"
    assert one.read("jobs/one/says/false-0.5-x/a.txt") == "false 0.5 x\n"
    assert one.read("out/one.true.-16.txt") == "true -16 x\n"
    assert one.run().ran == []


def test_values_from_the_command_line_are_of_the_same_type(one: Project) -> None:
    """For a Python stage what it declares, for a command what the values in the file are."""
    one.write("stages/repeat.py", STAGE)
    one.write("pipeline.toml", PYTHON + SAYS)
    run = one.run("repeat.times=2", "repeat.end=true", "lufs=-20,-1.5", "on=false")
    assert run.status == 0, run.out + run.err
    assert sorted(run.ran) == ["repeat:one:2-true", "says:one:false--1.5-x", "says:one:false--20-x"]
    assert one.read("jobs/one/repeat/2-true/b.txt") == "hello\n" * 2 + "1.0 True"
    assert json.loads(one.read("jobs/one/says/false--20-x/manifest.json"))["params"]["lufs"] == -20
    for override in ("repeat.times=many", "on=perhaps", "repeat.gain=nan"):
        refused = one.run(override)
        assert (refused.status, refused.events) == (3, [])
        assert override.partition("=")[0] in refused.err
        assert "Traceback" not in refused.err


def test_a_value_that_the_stage_before_lacks(one: Project) -> None:
    """Said by `validate`, and of an override too; the other way round it reads what it has."""
    reads = '[stages.reads]\ncommand = ["cp", "{inputs.text}", "{outputs.text}"]\ninputs = { text = "says.text" }\n'
    reads += 'outputs = { text = "r.txt" }\nmatrix = { note = ["x"] }\n'
    one.write(
        "pipeline.toml",
        HEAD
        + SAYS.replace("on = [true, false], lufs = [-16, 0.5], ", "")
        .replace('"{params.on}", "{params.lufs}"', '"a", "b"')
        .replace(".{on}.{lufs}", ".{note}")
        + reads,
    )
    assert one.run().status == 0
    refused = one.command("validate", "reads.note=x,y")
    assert refused.status == 3
    assert "says has no 'y'" in refused.err
    assert one.run("says.note=x,y").status == 0
    assert one.read("jobs/one/reads/x/r.txt") == "a b x\n"
