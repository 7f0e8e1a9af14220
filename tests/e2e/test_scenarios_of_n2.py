"""What the end-to-end tests of n2 prove of a ninja, proved here; each scenario is written anew, as stages.

Not here: dependencies that a compiler reports (depfiles, `showIncludes`): a stage declares its inputs.
"""

from __future__ import annotations

import tomllib
from typing import Any

import tomli_w

from tests.e2e.conftest import CHAIN, Project


def stage(script: str, inputs: dict[str, str], outputs: dict[str, str], **more: Any) -> dict[str, Any]:
    """A stage that is a shell line; inputs and outputs are its `$1`, `$2` …, inputs first."""
    words = [*(f"{{inputs.{name}}}" for name in inputs), *(f"{{outputs.{name}}}" for name in outputs)]
    return {"command": ["sh", "-c", script, "sh", *words], "inputs": inputs, "outputs": outputs, **more}


def declare(project: Project, *, pipeline: dict[str, Any] | None = None, **stages: dict[str, Any]) -> Project:
    """Write a pipeline of these stages over `media/x.txt`, which is made where it isn't there."""
    document = {"pipeline": {"sources": ["media/*.txt"], **(pipeline or {})}, "stages": stages}
    project.write("pipeline.toml", tomli_w.dumps(document))
    if not (project.root / "media").exists():
        project.write("media/x.txt", "hello\n")
    return project


COPY = stage('cp "$1" "$2"', {"media": "source"}, {"out": "a.txt"})


def test_an_empty_file_is_a_mistake_and_no_traceback(project: Project) -> None:
    """It says what is missing, and what to write."""
    project.write("pipeline.toml", "")
    said = project.run()
    assert said.status == 3
    assert "pipeline.sources: missing" in said.err
    assert "Traceback" not in said.err


def test_folders_of_outputs_are_made(project: Project) -> None:
    """As deep as they are declared; what was built is built once."""
    declare(project, A=stage('cp "$1" "$2"', {"media": "source"}, {"out": "deep/er/a.txt"}))
    assert project.run().ran == ["A:x"]
    assert project.read("jobs/x/A/deep/er/a.txt") == "hello\n"
    assert project.run().ran == []


def test_a_command_with_thousands_of_inputs(project: Project) -> None:
    """All files of a glob become arguments, in order; a second run finds nothing to do."""
    for number in range(2000):
        project.write(f"parts/{number:04}.txt", f"{number}\n")
    script = 'for last; do :; done; i=0; for f; do [ "$f" = "$last" ] || cat "$f"; done > "$last"'
    declare(project, A=stage(script, {"parts": "./parts/*.txt"}, {"out": "all.txt"}))
    assert project.run().ran == ["A:x"]
    assert project.read("jobs/x/A/all.txt") == "".join(f"{number}\n" for number in range(2000))
    assert project.run().ran == []


def test_what_a_command_prints_is_in_its_log_and_breaks_nothing(project: Project) -> None:
    """Ten thousand lines on stdout and stderr."""
    script = 'seq 10000; seq 10000 >&2; echo the last line; cp "$1" "$2"'
    declare(project, A=stage(script, {"media": "source"}, {"out": "a.txt"}))
    run = project.run()
    assert run.status == 0
    (log,) = (project.root / "jobs/x/.mediabuild/logs").iterdir()
    assert log.read_text().count("\n") == 20_001
    assert "the last line" in log.read_text()


def test_one_output_declared_twice_is_a_mistake(project: Project) -> None:
    """However it is spelt."""
    declare(project, A=stage("true", {"media": "source"}, {"one": "a.txt", "two": "./a.txt"}))
    assert "overlaps the output 'one'" in project.run().err


def test_names_in_any_script(project: Project) -> None:
    """In a file's name, a job's, a param and an output."""
    declare(project, A=stage('cp "$1" "$2"', {"media": "source"}, {"out": "reykjavík.txt"}, params={"word": "東京"}))
    (project.root / "media/x.txt").rename(project.root / "media/Þingvellir été.txt")
    run = project.run()
    assert run.ran == ["A:Þingvellir été"]
    assert "Þingvellir été" in run.out
    assert project.read("jobs/Þingvellir été/A/reykjavík.txt") == "hello\n"


def test_a_changed_file_is_named_as_the_reason(project: Project) -> None:
    """By `explain` before the run, and by the run."""
    declare(project, A=COPY)
    project.run()
    assert "A:x: up to date" in project.command("explain", "A:x").out
    project.write("media/x.txt", "other\n")
    assert "inputs" in project.command("explain", "A:x").out
    assert project.run().reasons("A:x") == ["inputs.media: media/x.txt"]


def test_a_stage_that_writes_to_its_input_fails_by_name(project: Project) -> None:
    """It would be stale as soon as it is done, for ever; what was read is not known."""
    declare(project, A=stage('cp "$1" "$2"; echo more >> "$1"', {"media": "source"}, {"out": "a.txt"}))
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["A:x"])
    assert "media/x.txt" in run.out
    assert not (project.root / "jobs/x/A/a.txt").exists()


def test_tasks_that_only_stand_for_others(project: Project) -> None:
    """One for one for a stage: what the first needs is built."""
    declare(project, A=COPY)
    alias = "def task_{}():\n    return {{'actions': None, 'task_dep': ['{}']}}\n"
    project.write("dodo.py", alias.format("outer", "inner") + alias.format("inner", "A:x"))
    assert project.run("outer").ran == ["A:x"]
    again = project.run("outer")
    assert (again.status, again.ran) == (0, [])
    assert project.command("check", "outer").status == 0


def test_results_may_lie_elsewhere(project: Project) -> None:
    """`jobs_dir`: all that a run writes is there."""
    declare(project, pipeline={"jobs_dir": "elsewhere/built"}, A=COPY)
    assert project.run().ran == ["A:x"]
    assert (project.root / "elsewhere/built/x/A/a.txt").exists()
    assert {path.name for path in project.root.iterdir()} == {"elsewhere", "media", "pipeline.toml"}


def test_a_program_that_is_not_there_is_named(project: Project) -> None:
    """With what to type; the next stage is blocked, not tried."""
    missing = {"command": ["no-such-program", "{inputs.media}", "{outputs.out}"], "inputs": {"media": "source"}}
    later = stage('cp "$1" "$2"', {"a": "A.out"}, {"out": "b.txt"})
    declare(project, A={**missing, "outputs": {"out": "a.txt"}}, B=later)
    run = project.run()
    assert (run.status, run.ran) == (1, ["A:x"])
    assert "no-such-program" in run.out
    assert run.tasks("stage_failed") == ["A:x", "B:x"]


PARAMS = {
    "braces": "{job} {device} {{x}}",
    "nothing": "",
    "words": "two  words; $HOME `id` 'q' \"q\" \\n",
    "option": "--force",
}


def test_a_params_value(project: Project) -> None:
    """It is filled in once, as one argument, whatever it holds; a job's own value wins, in that job alone."""
    stages = {}
    for name, value in PARAMS.items():
        stages[name] = stage('printf "%s" "$3" > "$2"', {"m": "source"}, {"out": "a.txt"}, params={"word": value})
        stages[name]["command"].append("{params.word}")
    declare(project, **stages)
    project.write("media/y.txt", "hello\n")
    document = tomllib.loads(project.read("pipeline.toml"))
    project.write("pipeline.toml", tomli_w.dumps({**document, "jobs": {"y": {"params": {"words": {"word": "own"}}}}}))
    assert project.run().status == 0
    assert {name: project.read(f"jobs/x/{name}/a.txt") for name in PARAMS} == PARAMS
    assert project.read("jobs/y/words/a.txt") == "own"
    assert project.read("jobs/y/option/a.txt") == "--force"


def test_a_placeholder_that_does_not_exist_is_a_mistake(project: Project) -> None:
    """Where it stands, with the nearest one, before anything runs."""
    table = stage("true", {"media": "source"}, {"out": "a.txt"})
    table["command"].append("{inputs.medai}")
    said = declare(project, A=table).run()
    assert said.status == 3
    assert "{inputs.medai} is not declared (did you mean '{inputs.media}'?" in said.err


def test_a_folder_as_an_input(project: Project) -> None:
    """A file that comes, one that goes, one that is renamed; the folder that holds the jobs can't be one."""
    declare(project, A=stage('ls "$1" > "$2"', {"notes": "./notes"}, {"out": "a.txt"}))
    project.write("notes/one", "1")
    assert project.run().ran == ["A:x"]
    project.write("notes/two", "2")
    assert project.run().ran == ["A:x"]
    (project.root / "notes/one").rename(project.root / "notes/three")
    assert project.run().ran == ["A:x"]
    assert project.read("jobs/x/A/a.txt") == "three\ntwo\n"
    assert project.run().ran == []
    declare(project, A=stage('ls "$1" > "$2"', {"notes": "./."}, {"out": "a.txt"}))
    assert "overlap" in project.run().err


def test_an_input_that_is_not_there(project: Project) -> None:
    """A mistake before anything runs; where it may be absent the stage runs, and again when it comes."""
    table = stage(
        'cat "$@" 2>/dev/null | wc -l; ls > "$2"', {"media": "source", "more": "./more.txt"}, {"out": "a.txt"}
    )
    assert "nothing is at more.txt" in declare(project, A=table).run().err
    script = 'for last; do :; done; cp "$1" "$last"'
    declare(project, A=stage(script, {"media": "source", "more": "?./more.txt"}, {"out": "a.txt"}))
    assert project.run().ran == ["A:x"]
    assert project.run().ran == []
    project.write("more.txt", "more\n")
    assert project.run().ran == ["A:x"]


def test_an_output_that_is_never_written(project: Project) -> None:
    """The stage fails by that name, whatever its exit status says; nobody reads what isn't there."""
    declare(
        project, A=stage("true", {"media": "source"}, {"out": "a.txt"}), B=stage("true", {"a": "A.out"}, {"b": "b"})
    )
    run = project.run()
    assert (run.status, run.ran) == (1, ["A:x"])
    assert "a.txt" in run.out
    assert "Traceback" not in run.out + run.err


GENERATES = """
def task_generate():
    return {"actions": ["sed 's/TIMES/2/' template.toml > pipeline.toml"], "file_dep": ["template.toml"],
            "targets": ["pipeline.toml"]}
"""


def test_a_task_that_writes_the_pipeline(project: Project) -> None:
    """The run that writes it goes by the old one, the next by the new one; then nothing is left to do."""
    project.write("media/x.txt", "hello\n")
    project.write("pipeline.toml", CHAIN)
    project.write("template.toml", CHAIN.replace("times = 2", "times = TIMES").replace('"c.txt"', '"d.txt"'))
    project.write("dodo.py", GENERATES)
    first = project.run()
    assert (first.status, first.ran) == (0, ["A:x", "B:x", "C:x"])
    second = project.run()
    assert (second.status, second.ran) == (0, ["C:x"])
    assert project.run().ran == []
    project.write("template.toml", "no pipeline at all")
    assert project.run().status == 0
    assert project.run().status == 3


def test_what_is_there_can_be_called_up_to_date(project: Project) -> None:
    """`reset-dep` adopts outputs as they are; a later change of an input makes them stale as usual."""
    declare(project, A=COPY)
    project.run()
    project.write("jobs/x/A/a.txt", "by hand\n")
    project.write("media/x.txt", "other\n")
    assert project.command("reset-dep", "A:x").status == 0
    assert project.run().ran == []
    assert project.read("jobs/x/A/a.txt") == "by hand\n"
    project.write("media/x.txt", "third\n")
    assert project.run().ran == ["A:x"]


def test_a_check_that_nobody_reads(project: Project) -> None:
    """It is built with all else, fails the run and nothing but itself; a name alone doesn't bring it."""
    verify = stage('cp "$1" "$2"; grep -q hello "$1"', {"a": "A.out"}, {"out": "ok.txt"})
    declare(project, A=COPY, verify=verify, B=stage('cp "$1" "$2"', {"a": "A.out"}, {"out": "b.txt"}))
    assert sorted(project.run().ran) == ["A:x", "B:x", "verify:x"]
    project.write("media/x.txt", "other\n")
    assert project.run("B").ran == ["A:x", "B:x"]
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["verify:x"])
    assert project.read("jobs/x/B/b.txt") == "other\n"
    assert project.run().ran == ["verify:x"]


def test_a_check_does_not_hold_up_what_it_checks(project: Project) -> None:
    """Two tasks at once: the check waits until the other one, which began after it, is done."""
    wait = 'n=0; until [ -e seen ] || [ $n -gt 600 ]; do sleep 0.05; n=$((n+1)); done; cp "$1" "$2"; test -e seen'
    verify = stage(wait, {"a": "A.out"}, {"out": "ok.txt"})
    declare(
        project,
        pipeline={"resources": {"cpu": 4}},
        A=COPY,
        verify=verify,
        B=stage('cp "$1" "$2"; touch seen', {"a": "A.out"}, {"out": "b.txt"}),
    )
    assert project.run("-n", "2").status == 0
