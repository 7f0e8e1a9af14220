"""A user's mistakes: one clear message each, the nearest name, exit 3, nothing run, no traceback."""

from __future__ import annotations

import os

import pytest

from tests.e2e.conftest import CHAIN, Project

HEAD = '[pipeline]\nsources = ["media/*.txt"]\n'
COPY = '["cp", "{inputs.text}", "{outputs.text}"]'


def stage(name: str, text: str, *, output: str = "x.txt", more: str = "") -> str:
    """A small command stage."""
    ends = f'inputs = {{ text = "{text}" }}\noutputs = {{ text = "{output}" }}'
    return f"[stages.{name}]\ncommand = {COPY}\n{ends}\n{more}\n"


@pytest.fixture
def one(project: Project) -> Project:
    """A project with a source and no pipeline yet."""
    project.write("media/one.txt", "hello\n")
    return project


def refused(project: Project, *args: str, pipeline: str | None = None) -> str:
    """What a run that must not start anything says."""
    if pipeline is not None:
        project.write("pipeline.toml", pipeline)
    run = project.run(*args)
    assert run.status == 3, run.out + run.err
    assert run.events == []
    assert "Traceback" not in run.err
    assert run.out == ""
    return run.err


MISTAKES = {
    "an unknown stage file": (
        HEAD + '[stages.demuxx]\ninputs = { media = "source" }\n',
        ["stages.demuxx", "no stage 'demuxx'", "'demux'"],
    ),
    "an unknown stage as input": (
        HEAD + stage("alpha", "source") + stage("beta", "alhpa.text"),
        ["stages.beta.inputs.text", "alhpa.text", "'alpha'"],
    ),
    "an unknown output of a stage": (
        HEAD + stage("alpha", "source") + stage("beta", "alpha.txet"),
        ["stages.beta.inputs.text", "no output 'txet'", "'text'"],
    ),
    "a misspelt key of a stage": (
        HEAD + stage("alpha", "source", more="timout_s = 3"),
        ["stages.alpha.timout_s", "unknown key", "'timeout_s'"],
    ),
    "a misspelt key of the pipeline": (
        '[pipeline]\nsource = ["media/*.txt"]\n' + stage("alpha", "source"),
        ["pipeline.source", "unknown key", "'sources'"],
    ),
    "a misspelt table": (HEAD + stage("alpha", "source") + "[stage.x]\n", ["stage:", "unknown table", "'stages'"]),
    "a wrong type": (
        HEAD + stage("alpha", "source", more='timeout_s = "long"'),
        ["stages.alpha.timeout_s", "expected", "a number", "a string"],
    ),
    "a value out of bounds": (HEAD + stage("alpha", "source", more="timeout_s = 0"), ["stages.alpha.timeout_s", "> 0"]),
    "a wrong choice": (
        '[pipeline]\nsources = "media/*.txt"\nchecksum = "md5"\n' + stage("alpha", "source"),
        ["pipeline.checksum", "md5"],
    ),
    "a device that is none": (
        '[pipeline]\nsources = "media/*.txt"\ndevice = "gpu"\n' + stage("alpha", "source"),
        ["pipeline.device"],
    ),
    "a table in the place of a value": (HEAD + "[stages.alpha]\ncommand = { a = 1 }\n", ["stages.alpha.command"]),
    "a value in the place of a table": (HEAD + "[stages]\nalpha = 3\n", ["stages.alpha", "expected a table"]),
    "a cycle": (
        HEAD + stage("alpha", "gamma.text") + stage("beta", "alpha.text") + stage("gamma", "beta.text"),
        ["a cycle", "alpha", "beta", "gamma", "→"],
    ),
    "a stage that reads itself": (HEAD + stage("alpha", "alpha.text"), ["a cycle", "alpha → alpha"]),
    "a cycle beside a good stage": (
        HEAD + stage("good", "source") + stage("alpha", "beta.text") + stage("beta", "alpha.text"),
        ["a cycle", "alpha"],
    ),
    "no source matches": (
        '[pipeline]\nsources = ["nowhere/*.mp4"]\n' + stage("alpha", "source"),
        ["pipeline.sources", "no source matches", "nowhere/*.mp4"],
    ),
    "a source that is named and missing": (
        '[pipeline]\nsources = ["media/two.txt"]\n' + stage("alpha", "source"),
        ["pipeline.sources", "media/two.txt"],
    ),
    "an output outside its directory": (
        HEAD + stage("alpha", "source", output="../../x.txt"),
        ["stages.alpha.outputs.text", "leads outside"],
    ),
    "an absolute output": (HEAD + stage("alpha", "source", output="/tmp/x"), ["outputs.text", "leads outside"]),
    "an output that is the directory": (HEAD + stage("alpha", "source", output="."), ["outputs.text", "leads outside"]),
    "an output called as the manifest": (
        HEAD + stage("alpha", "source", output="manifest.json"),
        ["outputs.text", "manifest.json"],
    ),
    "overlapping outputs": (
        HEAD + stage("alpha", "source").replace('"x.txt"', '"x", more = "x/y.txt"'),
        ["stages.alpha.outputs.more", "overlaps"],
    ),
    "one file as two outputs": (
        HEAD + stage("alpha", "source").replace('"x.txt"', '"x.txt", more = "x.txt"'),
        ["stages.alpha.outputs.more", "overlaps"],
    ),
    "one file as two outputs, spelt otherwise": (
        HEAD + stage("alpha", "source").replace('"x.txt"', '"x.txt", more = "./x.txt"'),
        ["stages.alpha.outputs.more", "overlaps"],
    ),
    "an input nobody makes": (
        HEAD + stage("alpha", "./terms/main.csv"),
        ["stages.alpha.inputs.text", "terms/main.csv", "?./terms/main.csv"],
    ),
    "a path without a slash": (HEAD + stage("alpha", "main.csv"), ["stages.alpha.inputs.text", "./main.csv"]),
    "a delivery outside the project": (
        HEAD + stage("alpha", "source", more='deliver = "../out/{job}"'),
        ["stages.alpha.deliver", "leads outside"],
    ),
    "a stage called as a command": (
        HEAD + stage("status", "source"),
        ["stages.status", "is a command", "my_status"],
    ),
    "a stage with a strange name": (HEAD + stage('"a b"', "source"), ["a b", "letters, digits"]),
    "a placeholder that is not declared": (
        HEAD + stage("alpha", "source").replace("{inputs.text}", "{inputs.texd}"),
        ["stages.alpha.command", "{inputs.texd}", "'{inputs.text}'"],
    ),
    "an empty command": (HEAD + stage("alpha", "source").replace(COPY, "[]"), ["stages.alpha.command", "empty"]),
    "both a command and a file": (
        HEAD + stage("alpha", "source", more='uses = "demux"'),
        ["stages.alpha.uses", "either a command or a file"],
    ),
    "a matrix value twice": (
        HEAD + stage("alpha", "source", more='matrix = { language = ["es", "es"] }'),
        ["stages.alpha.matrix.language", "twice"],
    ),
    "a matrix value that is no name": (
        HEAD + stage("alpha", "source", more='matrix = { language = ["../es"] }'),
        ["stages.alpha.matrix.language", "'../es'"],
    ),
    "no stages": (HEAD, ["stages", "no stage is declared"]),
    "an unknown stage in a job": (
        HEAD + stage("alpha", "source") + "[jobs.one]\nparams.alhpa = {}\n",
        ["params.alhpa", "'alpha'"],
    ),
    "an unknown param in a job": (
        HEAD + stage("alpha", "source", more="params = { speed = 1 }") + "[jobs.one]\nparams.alpha = { sped = 2 }\n",
        ["params.alpha.sped", "'speed'"],
    ),
    "a job's param of another type": (
        HEAD + stage("alpha", "source", more="params = { speed = 1 }") + '[jobs.one]\nparams.alpha = { speed = "x" }\n',
        ["params.alpha.speed", "expected an integer", "a string"],
    ),
    "no TOML": ("[pipeline\n", ["pipeline.toml", "line 1", "\n  1 | [pipeline\n"]),
    "no end of a text": ('[pipeline]\nsources = "media\n\n', ["line 2", '\n  2 | sources = "media\n']),
    "no TOML up to the end": ('[pipeline]\nsources = "media', ['\n  2 | sources = "media\n']),
    "no TOML below": (
        "[pipeline]\nsources = [1,,2] # \x09" + 200 * "x",
        ["line 2", "\n  2 | sources = [1,,2] #", "xx …\n"],
    ),
    "a key twice": (HEAD + stage("alpha", "source") + stage("alpha", "source"), ["pipeline.toml", "alpha"]),
    "no source at all": ('[pipeline]\nsources = ""\n' + stage("alpha", "source"), ["pipeline.sources", "isn't empty"]),
    "an empty list of sources": ("[pipeline]\nsources = []\n" + stage("alpha", "source"), ["sources", "a list"]),
    "an empty source": ('[pipeline]\nsources = ["media/*.txt", ""]\n' + stage("alpha", "source"), ["sources", "[1]"]),
    "a NUL in a source": (HEAD.replace("*", "\\u0000*") + stage("alpha", "source"), ["pipeline.sources", "NUL"]),
    "a NUL in the jobs directory": (
        HEAD + 'jobs_dir = "a\\u0000"\n' + stage("alpha", "source"),
        ["pipeline.jobs_dir", "NUL"],
    ),
    "a NUL in a command": (HEAD + stage("alpha", "source").replace('"cp"', '"c\\u0000p"'), ["alpha.command", "NUL"]),
    "a NUL in a param": (
        HEAD + stage("alpha", "source", more='params = { a = [{ b = "\\u0000" }] }'),
        ["stages.alpha.params.a.b", "NUL"],
    ),
    "a NUL in a key": (
        HEAD + stage("alpha", "source", more='params = { "a\\u0000" = 1 }'),
        ["stages.alpha.params", "NUL"],
    ),
    "a NUL in a job's name": (HEAD + stage("alpha", "source") + '[jobs."\\u0000"]\n', ["jobs", "NUL"]),
    "nested lists": (
        HEAD + stage("alpha", "source", more=f"params = {{ a = {'[' * 1000}{']' * 1000} }}"),
        ["nested too deep"],
    ),
    "nested tables": (
        HEAD + stage("alpha", "source", more=f"params = {{ a = {'{a=' * 1000}1{'}' * 1000} }}"),
        ["nested too deep"],
    ),
    "nested names": (
        HEAD + stage("alpha", "source") + f"[{'.'.join(['a'] * 1000)}]\nx = 1\n",
        ["a.a.a.a.a: nested deeper than 32 levels"],
    ),
    "memory that is no number": (
        HEAD + stage("alpha", "source", more="resources = { memory_gb = nan }"),
        ["stages.alpha.resources.memory_gb", "nan"],
    ),
    "memory without end": (
        HEAD + "resources = { memory_gb = inf }\n" + stage("alpha", "source"),
        ["pipeline.resources.memory_gb", "inf"],
    ),
    "fewer cores than none": (
        HEAD + "resources = { cpu = -1 }\n" + stage("alpha", "source"),
        ["pipeline.resources", "cpu", ">= 0"],
    ),
    "more cores than there are anywhere": (
        HEAD + stage("alpha", "source", more="resources = { cpu = 100000 }"),
        ["stages.alpha.resources", "cpu", "<= 4096"],
    ),
    "a time limit of ages": (HEAD + stage("alpha", "source", more="timeout_s = 1e300"), ["alpha.timeout_s", "<="]),
    "a time limit without end": (HEAD + stage("alpha", "source", more="timeout_s = inf"), ["alpha.timeout_s", "inf"]),
    "a param that is no number": (
        HEAD + stage("alpha", "source", more="params = { lufs = -inf }"),
        ["stages.alpha.params.lufs", "-inf"],
    ),
    "a number of thousands of digits": (
        HEAD + stage("alpha", "source", more=f"params = {{ a = {'9' * 5000} }}"),
        ["a number in it is too long"],
    ),
    "a number beyond 64 bits": (
        HEAD + stage("alpha", "source", more="params = { a = 99999999999999999999 }"),
        ["stages.alpha.params.a", "too large"],
    ),
    "no limit that is no number": (
        HEAD + stage("alpha", "source") + "[cache]\nmax_gb = nan\n",
        ["cache.max_gb", "nan"],
    ),
    "an output called as the manifest, spelt otherwise": (
        HEAD + stage("alpha", "source", output="./manifest.json"),
        ["outputs.text", "manifest.json"],
    ),
    "an output below the manifest": (
        HEAD + stage("alpha", "source", output="Manifest.JSON/x"),  # one file on disks that know no case
        ["outputs.text", "manifest.json"],
    ),
    "an output with too long a name": (
        HEAD + stage("alpha", "source", output="x" * 250),
        ["outputs.text", "too long a name", "200 bytes"],
    ),
    "a stage with too long a name": (HEAD + stage("a" * 300, "source"), ["stages.aaa", "too long a name"]),
    "a matrix value with too long a name": (
        HEAD + stage("alpha", "source", more=f'matrix = {{ language = ["{"é" * 100}"] }}'),
        ["stages.alpha.matrix", "too long a name"],
    ),
    "matrix values that make too long a name together": (
        HEAD + stage("alpha", "source", more=f'matrix = {{ a = ["{"a" * 120}"], b = ["{"b" * 120}"] }}'),
        ["stages.alpha.matrix", "too long a name"],
    ),
    "a jobs directory with too long a name": (
        HEAD + f'jobs_dir = "{"j" * 300}"\n' + stage("alpha", "source"),
        ["pipeline.jobs_dir", "too long a name"],
    ),
    "jobs that are no table": ("jobs = 3\n" + HEAD + stage("alpha", "source"), ["jobs", "expected a table"]),
    "a matrix value that the stage before lacks": (
        HEAD
        + stage("alpha", "source", more='matrix = { language = ["es"] }')
        + stage("beta", "alpha.text", more='matrix = { language = ["ca", "es"] }'),
        ["stages.beta.matrix.language", "alpha has no 'ca'"],
    ),
    "a matrix value of another type": (
        HEAD + '[stages.demux]\ninputs = { media = "source" }\nmatrix = { clip_start_s = [1, "late"] }\n',
        ["stages.demux.matrix.clip_start_s", "expected a number, got a string"],
    ),
    "a time as on a clock": (
        HEAD + '[stages.demux]\ninputs = { media = "source" }\nparams = { clip_end_s = "0:10", audio_track = true }\n',
        [
            "stages.demux.params.clip_end_s: expected a number, got a string (seconds; --clip-end 1:30 takes minutes)",
            "stages.demux.params.audio_track: expected an integer or a string, got a boolean\n",
        ],
    ),
    "a param beside the params, and what no pattern of letters should be needed to understand": (
        HEAD.replace("\n", '\ndevice = "GPU"\nresources = { cpus = 2 }\n', 1)
        + '[stages.demux]\ninputs = { media = "source" }\nclip_start_s = 9\n'
        + '[stages.transcribe]\nmodel = "small"\nparams = { language = "English" }\n',
        [
            "pipeline.device: expected auto, cpu, cuda, cuda:N or mps (",
            "pipeline.resources: it has an unknown key cpus ({ cpu = 8 })\n",
            "stages.demux.clip_start_s: belongs into params (params = { clip_start_s = 9 })\n",
            'stages.transcribe.model: belongs into params (params = { model = "small" })\n',
            'stages.transcribe.params.language: expected a language\'s tag such as en or pt-BR (type "en")\n',
        ],
    ),
    "a jobs directory that holds the project": (
        HEAD + 'jobs_dir = "."\n' + stage("alpha", "source"),
        ['no source matches media/*.txt (jobs_dir holds them, and what lies there is no source: jobs_dir = "jobs")'],
    ),
    "an interpreter that is not there": (
        HEAD + stage("alpha", "source", more='python = "venv/none"'),
        ["stages.alpha.python", "venv/none"],
    ),
    "an interpreter in a folder that only a shell knows": (
        HEAD + stage("alpha", "source", more='python = "$HOME/venv"'),
        ["stages.alpha.python: $HOME: variables of the environment aren't filled in (the path in full)"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_pipeline(one: Project, name: str) -> None:
    """It is said with its table and key, what was expected, and the nearest name; nothing runs, exit 3."""
    pipeline, expected = MISTAKES[name]
    said = refused(one, pipeline=pipeline)
    for text in expected:
        assert text in said, said
    assert not (one.root / "jobs").exists()
    done = one.command("validate")
    assert (done.status, done.err) == (3, said)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_pipeline_in_another_encoding(one: Project, encoding: str) -> None:
    """One line says what to save it as."""
    one.write("pipeline.toml", f"# é\n{HEAD}{stage('alpha', 'source')}".encode(encoding))
    assert "is no UTF-8 text" in refused(one)


def test_a_pipeline_that_cannot_be_read_whole(one: Project) -> None:
    """A pipe, which nobody waits for, and a file of holes."""
    file = one.root / "pipeline.toml"
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    assert "pipeline.toml: not a regular file" in refused(one)
    file.unlink()
    file.touch()
    os.truncate(file, 1 << 40)
    assert "pipeline.toml: too large to be read whole" in refused(one)


def test_several_mistakes_are_said_at_once(one: Project) -> None:
    """One run tells all: an unknown key, an unknown stage, a wrong type, an unknown input, each on its line."""
    pipeline = (
        HEAD
        + "speed = 3\n"
        + stage("alpha", "sorce")
        + stage("beta", "alpha.text", more="timeout_s = []")
        + "[stages.demuxx]\n[jbos.x]\n"
    )
    said = refused(one, pipeline=pipeline)
    for where in ("pipeline.speed", "stages.alpha.inputs.text", "stages.beta.timeout_s", "stages.demuxx", "jbos"):
        assert any(line.strip().startswith(where) for line in said.splitlines()), said
    assert "5 mistakes" in said


def test_what_only_follows_is_not_said(one: Project) -> None:
    """A stage is misspelt in its heading: that nothing makes what the others read is no mistake of theirs."""
    said = refused(one, pipeline=HEAD + "[stages.demxu]\n" + stage("beta", "demux.audio") + stage("gamma", "beta.txet"))
    assert "stages.demxu: there is no stage 'demxu' (did you mean 'demux'?)" in said
    assert "stages.gamma.inputs.text: 'beta' has no output 'txet'" in said
    assert "2 mistakes" in said


def test_params_of_a_python_stage(one: Project) -> None:
    """A built-in stage's params are checked before anything runs: name, type, bounds, all at once, and its inputs."""
    pipeline = (
        '[pipeline]\nsources = "media/*.txt"\n[stages.demux]\ninputs = { meda = "source" }\n'
        'params = { clip_start = 3, clip_end_s = "late", audio_track = -4 }\n'
    )
    said = refused(one, pipeline=pipeline)
    for text in (
        "stages.demux.params.clip_start: unknown key",
        "'clip_start_s'",
        "stages.demux.params.clip_end_s: expected",
        "stages.demux.params.audio_track",
        "stages.demux.inputs.meda",
        "'media'",
        "stages.demux.inputs.media: missing",
    ):
        assert text in said, said


def test_a_broken_stage_file(one: Project) -> None:
    """A project's stage that can't be imported is named with its line, without a traceback."""
    one.write("stages/broken.py", '"""Broken."""\nimport nothing_of_this_name\n')
    said = refused(one, pipeline=HEAD + '[stages.broken]\ninputs = { text = "source" }\n')
    assert "stages.broken" in said
    assert "broken.py:2" in said
    assert "nothing_of_this_name" in said
    one.write("stages/broken.py", "def (:\n")
    assert "broken.py:1" in refused(one)
    one.write("stages/broken.py", '"""No stage in it."""\n')
    assert "declares 0 stages" in refused(one)
    declared = '@stage(version=1, inputs={"text": "x"}, outputs={"text": "x"})\n'
    one.write("stages/broken.py", f"from mediabuild.stage import stage\n{declared}def broken(ctx, params: None): ...\n")
    assert "the params of broken are <class 'NoneType'>: no msgspec.Struct; NoParams says none" in refused(one)


def test_two_sources_with_one_name(one: Project) -> None:
    """Both are shown."""
    one.write("media/one.md", "the other\n")
    said = refused(one, pipeline=HEAD.replace("*.txt", "*") + stage("alpha", "source"))
    assert "'one'" in said
    assert "media/one.md" in said
    assert "media/one.txt" in said


def test_a_job_in_another_jobs_stage(one: Project) -> None:
    """`media/one/alpha.txt` would put its job into the stage `alpha` of the job `one`."""
    one.write("media/one/alpha.txt", "inside\n")
    said = refused(one, pipeline=HEAD.replace("*.txt", "**/*.txt") + stage("alpha", "source"))
    assert "'one/alpha'" in said
    assert "'one'" in said
    assert "stage 'alpha'" in said


def test_a_job_called_as_the_state_directory(one: Project) -> None:
    """`.mediabuild` and `.all` are kept for the engine."""
    for name in (".mediabuild", ".all"):
        one.write(f"media/{name}/x.txt", "x\n")
        pipeline = f'[pipeline]\nsources = "media/**/{name}/*.txt"\n' + stage("alpha", "source")
        assert f"'{name}/x'" in refused(one, pipeline=pipeline)


def test_there_is_no_pipeline(project: Project) -> None:
    """An empty directory: the file is named, and how to get one."""
    said = refused(project)
    assert "pipeline.toml: not found" in said
    assert "mediabuild init" in said
    os.mkfifo(project.root / "pipeline.toml")
    assert "pipeline.toml: not a regular file" in refused(project)


def test_a_dodo_task_that_is_called_as_a_stage(one: Project) -> None:
    """The clash is told, and nothing of either runs."""
    one.write("dodo.py", 'def task_A():\n    return {"actions": ["touch ran"]}\n')
    said = refused(one, pipeline=CHAIN)
    assert "'A'" in said
    assert not (one.root / "ran").exists()


def test_a_dodo_that_does_not_load(one: Project) -> None:
    """The user's own error is theirs to read; the pipeline doesn't run."""
    one.write("dodo.py", "import nothing_of_this_name\n")
    one.write("pipeline.toml", CHAIN)
    run = one.run()
    assert run.status == 3
    assert "nothing_of_this_name" in run.err
    assert run.events == []


def test_a_program_that_is_not_there(one: Project) -> None:
    """A command stage whose program is missing fails by name, with what to type."""
    one.write("pipeline.toml", CHAIN.replace('["sh", "-c", \'cp "$1"', '["no-such-program", "-c", \'cp "$1"'))
    run = one.run()
    assert run.status == 1
    assert run.tasks("stage_failed") == ["A:one", "B:one", "C:one"]
    assert "no-such-program" in run.out
    assert "command -v no-such-program" in run.out
    assert "Traceback" not in run.err


def test_a_stage_that_does_not_write_its_output(one: Project) -> None:
    """Exit 0 without the file is a failure that names the file."""
    one.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', "true"))
    run = one.run("A:one")
    assert run.status == 1
    assert "did not write a.txt" in run.out


LANGUAGES = """
[pipeline]
sources = ["media/*.txt"]

[stages.translate]
inputs = { transcript = "./media/one.txt" }
matrix = { language = ["Spanish"] }
"""


def test_a_language_by_its_name(project: Project) -> None:
    """In a matrix and on the command line the tag is said; times as on a clock are understood."""
    project.write("pipeline.toml", LANGUAGES)
    project.write("media/one.txt", "x")
    ran = project.command("validate")
    assert (ran.status, ran.err.count("stages.translate"), 'type "es"' in ran.err) == (3, 1, True)
    project.write("pipeline.toml", LANGUAGES.replace("Spanish", "es"))
    assert 'type "fr"' in project.command("--language", "French").err
    assert 'type "de"' in project.command("check", "translate.language=Deutsch").err
    text = LANGUAGES.replace("Spanish", "es") + '[stages.demux]\ninputs = { media = "source" }\n'
    project.write("pipeline.toml", text)
    said = project.command("explain", "demux", "--clip-start", "1:30", "--clip-end=1:02:00.5").out
    assert "not built yet" in said
    assert "clip_start_s" in project.command("--clip-start", "1:3x").err
    ran = project.run("--clip-start=1:30", "--clip-end=1:10")
    assert (ran.status, "clip_start_s = 90 is not before clip_end_s = 70" in ran.err, ran.events) == (3, True, [])
