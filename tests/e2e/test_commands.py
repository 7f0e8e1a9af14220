"""How commands run: what they print becomes an output, values of JSON inputs, their environment, shared params."""

from __future__ import annotations

import json
import subprocess

import pytest

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.pipeline.command_stages.json_text import last_json
from tests.e2e.conftest import Project

HEAD = """
[pipeline]
sources = ["media/*.txt"]
"""
MEASURE = (
    HEAD
    + """
[params]
goal = 3

[stages.measure]
command = ["sh", "-c", 'echo "noise $$" >&2; printf %s "$1" >&2; cat "$2"; exit "$3"',
           "m", "{params.json}", "{inputs.media}", "{params.exit}"]
inputs  = { media = "source" }
outputs = { json = "measured.json", text = "said.txt" }
params  = { json = '{"a": {"b": [1, 2.5, true, null]}, "unused": 1}', exit = 0 }
stdout  = "text"
stderr  = "json"

[stages.use]
command = ["sh", "-c", 'echo "$@ $TZ $LEVEL"', "u", "{inputs.m.a.b.1}", "x{inputs.m.a.b.2}{inputs.m.a.b.3}",
           "{params.goal}"]
inputs  = { m = "measure.json" }
outputs = { text = "use.txt" }
stdout  = "text"
env     = { TZ = "UTC", LEVEL = "{params.goal}/{job}" }
params  = { goal = "{params.goal}" }

[stages.also]
command = ["echo", "{params.text}", "{params.many}"]
outputs = { text = "also.txt" }
stdout  = "text"
params  = { text = "goal={params.goal}!", many = [1, "{params.goal}"] }
"""
)


@pytest.fixture
def measured(project: Project) -> Project:
    """Built once."""
    project.write("pipeline.toml", MEASURE)
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 0, run.out
    return project


def test_what_is_printed_is_an_output(measured: Project) -> None:
    """Of a `.json` just the JSON, the rest is in the log; the same bytes each time."""
    assert measured.read("jobs/one/measure/said.txt") == "hello\n"
    assert json.loads(measured.read("jobs/one/measure/measured.json"))["unused"] == 1
    assert "noise" in measured.read("jobs/one/.mediabuild/logs/measure.log")
    before = measured.read("jobs/one/measure/measured.json")
    assert measured.run("--force", "measure").ran == ["measure:one"]
    assert measured.read("jobs/one/measure/measured.json") == before
    assert measured.run().ran == []


def test_a_value_of_an_input_that_is_json(measured: Project) -> None:
    """As text; the fact is the file, whatever of it is used."""
    assert measured.read("jobs/one/use/use.txt") == "2.5 xtrue 3 UTC 3/one\n"
    text = MEASURE.replace('"unused": 1', '"unused": 2')
    measured.write("pipeline.toml", text)
    run = measured.run()
    assert run.ran == ["measure:one", "use:one"]
    assert run.reasons("use:one") == ["inputs.m: measure/measured.json"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{"a": {"c": 1}}', "measured.json has no 'b' for {inputs.m.a.b.1}"),
        ('{"a": {"b": [1]}}', "measured.json has no '1' for {inputs.m.a.b.1}"),
        ('{"a": 1}', "measured.json has no 'b'"),
        ("[]", "measured.json has no 'a'"),
        ("{", "printed no JSON for the output 'json'"),
        ("", "printed no JSON for the output 'json'"),
    ],
)
def test_a_value_that_is_not_there(project: Project, value: str, said: str) -> None:
    """That task's failure, which names the nearest."""
    project.write("pipeline.toml", MEASURE.replace('{"a": {"b": [1, 2.5, true, null]}, "unused": 1}', value))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert said in run.out
    assert "Traceback" not in run.out + run.err


def test_what_a_failing_command_printed_is_in_its_log(project: Project) -> None:
    """Though it goes to outputs otherwise."""
    project.write("pipeline.toml", MEASURE.replace("exit = 0", "exit = 3"))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert "failed with exit 3" in run.out
    assert "hello" in run.out
    assert '"unused": 1' in run.out


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('TZ = "UTC"', 'TZ = "CET"', "stage.env"),
        ('stdout  = "text"\nenv ', 'stderr  = "text"\nenv ', "stage.stderr"),
        ("goal = 3", "goal = 4", "params.goal"),
    ],
)
def test_what_is_a_fact(measured: Project, old: str, new: str, reason: str) -> None:
    """Environment, streams, and the effective value of a shared param, wherever it stands."""
    measured.write("pipeline.toml", MEASURE.replace(old, new, 1))
    run = measured.run()
    assert reason in run.reasons("use:one")
    assert set(run.ran) == ({"use:one", "also:one"} if reason == "params.goal" else {"use:one"})
    measured.write("pipeline.toml", MEASURE)
    assert measured.run().ran == []


def test_a_shared_param(measured: Project) -> None:
    """Typed where it stands alone; for one run on the command line; which stage says it makes no difference."""
    assert measured.read("jobs/one/also/also.txt") == "goal=3! [1,3]\n"
    assert measured.run("params.goal=7").ran == ["use:one"]
    assert measured.read("jobs/one/use/use.txt") == "7 xtrue 7 UTC 7/one\n".replace("7 x", "2.5 x")
    assert measured.run().tasks("stage_restored") == ["use:one"]
    measured.write("pipeline.toml", MEASURE.replace('params  = { goal = "{params.goal}" }', "params  = { goal = 3 }"))
    assert measured.run().ran == []
    measured.write("pipeline.toml", MEASURE + '[jobs.one]\nparams.use = { goal = "{params.goal}" }\n')
    assert measured.run().ran == []


MISTAKES = [
    ("stdout", 'stdout = "txt"', "stages.x.stdout: there is no output 'txt' (did you mean 'text'?)"),
    ("stdout", 'stdout = "hls"', "stages.x.stdout: 'hls/' is no single file"),
    ("stdout", 'stderr = "parts"', "stages.x.stderr: '*.ts' is no single file"),
    ("stdout", 'stdout = "text"\nstderr = "text"', "stages.x.stderr: stdout goes to 'text'"),
    ("stdout", "stdout = 1", "stages.x.stdout: expected a string"),
    ("stdout", 'stdout = ""', "stages.x.stdout"),
    ("stdout", 'stdot = "text"', "stages.x.stdot: unknown key (did you mean 'stdout'?)"),
    ("env", 'env = { "A B" = "1" }', "stages.x.env.A B: no name of a variable"),
    ("env", 'env = { "A=B" = "1" }', "stages.x.env.A=B: no name of a variable"),
    ("env", 'env = { A = "{jib}" }', "stages.x.env.A: {jib} is no placeholder (did you mean '{job}'?"),
    ("env", 'env = { A = "{params.x}" }', "stages.x.env.A: {params.x} is not declared"),
    ("env", "env = { A = 1 }", "stages.x.env"),
    ("env", 'env = "A=1"', "stages.x.env"),
    ("env", 'env = { A = "{outputs.parts}" }', "stages.x.env.A: {outputs.parts} stands for any number of files"),
    ("progress", 'progress = "ffmpeg"', "stages.x.progress: the command isn't ffmpeg"),
    ("progress", 'progress = "sox"', "stages.x.progress"),
    ("progress", "progress = true", "stages.x.progress"),
    ("params", 'params = { a = "{params.golf}" }', "stages.x.params.a: {params.golf} is not in [params] (did you mean"),
    ("params", 'params = { a = ["{params.golf}"] }', "stages.x.params.a: {params.golf} is not in [params]"),
    ("params", 'matrix = { a = ["{params.golf}"] }', "stages.x.matrix.a: {params.golf} is not in [params]"),
    ("values", 'env = { A = "{inputs.medja.x}" }', "{inputs.medja.x} is not declared"),
]


@pytest.mark.parametrize("table", ["stdout", "env", "progress", "params", "values"])
def test_mistakes(project: Project, table: str) -> None:
    """Each by its table and key, with the nearest name, before anything runs."""
    project.write("media/one.txt", "hello\n")
    for _, text, said in (m for m in MISTAKES if m[0] == table):
        outputs = '{ text = "x.txt", hls = "hls/", parts = "*.ts" }'
        stage = f'[params]\ngoal = 1\n[stages.x]\ncommand = ["true"]\noutputs = {outputs}\n{text}\n'
        stage += 'inputs = { media = "source" }\n'
        project.write("pipeline.toml", HEAD + stage)
        ran = project.command("validate")
        assert ran.status == 3, text
        assert said in ran.out + ran.err


def test_mistakes_are_said_all_at_once(project: Project) -> None:
    """Of all keys; a Python stage has none of them."""
    text = (
        HEAD
        + """
[params]
goal = 1
[stages.demux]
inputs = { media = "source" }
stdout = "audio"
env = { A = "1" }
[stages.x]
command = ["true", "{outs}"]
outputs = { text = "x.txt" }
stdout = "txt"
progress = "ffmpeg"
params = { a = "{params.gol}" }
[jobs.one]
params.x = { a = "{params.gaol}" }
"""
    )
    project.write("pipeline.toml", text)
    said = project.command("validate").err
    assert "stages.demux.stdout: only a command has it" in said
    assert "stages.demux.env: only a command has it" in said
    assert "{outs} is no placeholder (did you mean '{out}'?" in said
    assert "no output 'txt'" in said
    assert "the command isn't ffmpeg" in said
    assert "stages.x.params.a: {params.gol} is not in [params] (did you mean 'goal'?)" in said
    assert 'jobs."one".params.x.a: {params.gaol} is not in [params]' in said


def test_folders_and_absent_inputs(project: Project) -> None:
    """`{out}` is the outputs' directory, a directory output is there, a lone absent input is an empty argument."""
    text = (
        HEAD
        + r"""
[stages.x]
command = ["sh", "-ec", 'out=mine; echo "${out}" "$#" > "$1/a.txt"; echo hi > "$2/0.ts"; test -z "$3"; test -z "$4"',
           "x", "{out}", "{outputs.hls}", "{inputs.notes}", "{inputs.more.key}", "{inputs.all}", "{inputs.any}"]
inputs  = { media = "source", notes = "?./notes/{job}.{txt,md}", more = "?./m.json", all = "?./n/*", any = "?./n/x.*" }
outputs = { text = "a.txt", hls = "sub/hls/" }
"""
    )
    project.write("pipeline.toml", text)
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 0, run.out
    assert project.read("jobs/one/x/a.txt") == "mine 5\n"
    assert project.read("jobs/one/x/sub/hls/0.ts") == "hi\n"
    project.write("pipeline.toml", text.replace("sub/hls/", "sub/hls"))
    assert project.run().ran == []


def test_arguments_that_no_file_can_be_called(project: Project) -> None:
    """Long ones, odd ones: none is a fact, and the next run is still a no-op."""
    words = [
        *("x" * n for n in (255, 256, 5000)),
        "a/" * 3000,
        "..",
        "/",
        ".",
        "~",
        "media",
        "./media/../../x",
        "*",
        "",
    ]
    text = f'[stages.x]\ncommand = {json.dumps(["echo", *words])}\noutputs = {{ t = "t.txt" }}\nstdout = "t"\n'
    project.write("pipeline.toml", HEAD + text)
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 0, run.out
    assert (project.run().ran, project.run().ran) == ([], [])
    code = json.loads(project.read("jobs/one/x/manifest.json"))["code"]
    assert [name for name in code if "/" in name] == []


def test_the_progress_of_ffmpeg(project: Project) -> None:
    """Seconds of the longest input, on the way; no fact; what is made is the same."""
    text = (
        HEAD.replace("txt", "wav")
        + """
[stages.slow]
command = ["{ffmpeg}", "-nostdin", "-readrate", "1", "-i", "{inputs.sound}", "-bitexact", "{outputs.wav}"]
inputs  = { sound = "source" }
outputs = { wav = "slow.wav" }
"""
    )
    project.write("pipeline.toml", text + 'progress = "ffmpeg"\n')
    (project.root / "media").mkdir()
    sine = ["-f", "lavfi", "-i", "sine=d=2", project.root / "media/it's.wav"]
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *sine], check=True)
    run = project.run()
    assert run.status == 0, run.out
    steps = [(e["done"], e["total"]) for e in run.events if e["event"] == "stage_progress"]
    assert len(steps) >= 2
    assert steps == sorted(steps)
    assert {total for _, total in steps} == {2.0}
    assert 0 < steps[-1][0] <= 2
    project.write("pipeline.toml", text)
    assert project.run().ran == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("[1]\n", "[1]\n"),
        ('x\n{"a": {\n"b": 1}}\nend', '{"a": {\n"b": 1}}\n'),
        ('{"a": 1}\n{"a": 2}\n', '{"a": 2}\n'),
        ("[info] x\n[1, 2]\n[info] y", "[1, 2]\n"),
        ("{ no\n", None),
        ("", None),
        ("12 x", None),
    ],
)
def test_json_among_other_lines(text: str, found: str | None) -> None:
    """All of a text, or the last object or list that begins a line."""
    assert last_json(text) == found
