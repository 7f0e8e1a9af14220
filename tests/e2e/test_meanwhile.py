"""What changes while a stage runs: never recorded as if it hadn't.

Every stage here runs the script `during/STAGE.sh`, if there is one, between reading its input and
writing its output: so a test decides what happens in the middle of a stage, without a race.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project

STAGE = """
[stages.{name}]
command = ["sh", "-c", '''
    text=$(cat "$1")
    [ ! -e during/{name}.sh ] || sh during/{name}.sh
    echo "$text+{name}" > "$2"
''', "{name}", "{{inputs.text}}", "{{outputs.text}}"]
inputs  = {{ text = "{text}" }}
outputs = {{ text = "{name}.txt" }}
"""
PIPELINE = '[pipeline]\nsources = ["media/*.txt"]\n' + "".join(
    STAGE.format(name=name, text=text) for name, text in (("A", "source"), ("B", "A.text"), ("C", "B.text"))
)
ONCE = "[ -e during/{name}.done ] && exit 0; touch during/{name}.done; "


@pytest.fixture
def chain(project: Project) -> Project:
    """A → B → C, built once."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/one.txt", "one\n")
    assert project.run().status == 0
    return project


def during(project: Project, stage: str, script: str, *, once: bool = True) -> None:
    """Run a script in the middle of a stage, the first time or every time."""
    project.write(f"during/{stage}.sh", (ONCE.format(name=stage) if once else "") + script)


def outputs(project: Project) -> list[str]:
    """The outputs of A, B and C."""
    return [project.read(f"jobs/one/{stage}/{stage}.txt").strip() for stage in "ABC"]


def test_the_source_is_edited_while_a_runs(chain: Project) -> None:
    """A runs once more in the same run, on the new source; what was made of the old one is not kept."""
    chain.write("media/one.txt", "two\n")
    during(chain, "A", "echo three > media/one.txt")
    second = chain.run()
    assert second.status == 0
    assert second.ran == ["A:one", "A:one", "B:one", "C:one"]
    assert outputs(chain) == ["three+A", "three+A+B", "three+A+B+C"]
    assert any("media/one.txt" in e["message"] for e in second.events if e["event"] == "stage_warning")
    assert chain.run().ran == []


def test_the_source_is_edited_under_its_old_mtime_while_a_runs(chain: Project) -> None:
    """Same size, same mtime: it is seen all the same."""
    chain.write("media/one.txt", "two\n")
    during(chain, "A", "cp -p media/one.txt keep; echo 2wo > media/one.txt; touch -r keep media/one.txt")
    assert chain.run().ran == ["A:one", "A:one", "B:one", "C:one"]
    assert outputs(chain)[2] == "2wo+A+B+C"


def test_the_source_is_edited_twice(chain: Project) -> None:
    """It changes each time A runs: A fails with that reason, nothing is published, B and C are blocked."""
    before = outputs(chain)
    manifest = chain.read("jobs/one/A/manifest.json")
    chain.write("media/one.txt", "two\n")
    during(chain, "A", "echo again >> media/one.txt", once=False)
    second = chain.run()
    assert second.status == 1
    assert second.ran == ["A:one", "A:one"]
    assert second.tasks("stage_failed") == ["A:one", "B:one", "C:one"]
    failure = next(e for e in second.events if e["event"] == "stage_failed")
    assert "inputs.text: media/one.txt" in failure["message"]
    assert "while it ran" in failure["message"]
    assert outputs(chain) == before
    assert chain.read("jobs/one/A/manifest.json") == manifest
    (chain.root / "during/A.sh").unlink()
    third = chain.run()
    assert (third.status, third.ran) == (0, ["A:one", "B:one", "C:one"])
    assert outputs(chain)[2].startswith("two\nagain\nagain")


def test_nothing_is_left_over_of_a_run_that_was_not_published(chain: Project) -> None:
    """No temporary directory stays, and a first build that fails so leaves no output directory."""
    chain.write("media/two.txt", "two\n")
    during(chain, "A", "echo again >> media/two.txt", once=False)
    assert chain.run("A:two").status == 1
    assert not (chain.root / "jobs/two/A").exists()
    assert list((chain.root / "jobs/two/.mediabuild/tmp").iterdir()) == []


def test_the_output_of_a_is_edited_while_b_runs(chain: Project) -> None:
    """B is not recorded on it, and C doesn't run; the next run puts A right, keeps the edit, and runs B and C."""
    chain.write("media/one.txt", "two\n")
    during(chain, "B", "echo mine > jobs/one/A/A.txt")
    second = chain.run()
    assert second.status == 1
    assert second.tasks("stage_completed") == ["A:one"]
    assert "A:one" in next(e["message"] for e in second.events if e["event"] == "stage_failed")
    assert outputs(chain)[1:] == ["one+A+B", "one+A+B+C"]
    third = chain.run()
    assert (third.status, third.ran) == (0, ["A:one", "B:one", "C:one"])
    assert outputs(chain) == ["two+A", "two+A+B", "two+A+B+C"]
    assert chain.read("jobs/one/A.edited/A.txt") == "mine\n"
    assert chain.run().ran == []


def test_the_output_of_a_is_edited_while_b_runs_and_b_makes_the_same(chain: Project) -> None:
    """Even if B wrote what it had written before, it is not recorded with bytes that it never read."""
    chain.write("pipeline.toml", PIPELINE.replace('$text+B"', 'constant"'))
    during(chain, "B", "echo mine > jobs/one/A/A.txt")
    assert chain.run().status == 1
    assert chain.run().status == 0
    recorded = json.loads(chain.read("jobs/one/B/manifest.json"))["inputs"]["text"]
    made = json.loads(chain.read("jobs/one/A/manifest.json"))["outputs"]["text"]
    assert list(recorded.values()) == list(made.values())


def test_the_output_of_a_is_deleted_while_b_runs(chain: Project) -> None:
    """Gone in the middle: B fails, and the next run makes all of it again."""
    chain.write("media/one.txt", "two\n")
    during(chain, "B", "rm jobs/one/A/A.txt")
    second = chain.run()
    assert (second.status, second.tasks("stage_completed")) == (1, ["A:one"])
    third = chain.run()
    assert (third.status, third.ran) == (0, ["A:one", "B:one", "C:one"])
    assert outputs(chain)[2] == "two+A+B+C"


def test_the_source_is_deleted_while_a_runs(chain: Project) -> None:
    """A fails, names it, and leaves the earlier output alone."""
    before = outputs(chain)
    chain.write("media/one.txt", "two\n")
    during(chain, "A", "rm -f media/one.txt")
    second = chain.run()
    assert second.status == 1
    assert "media/one.txt" in next(e["message"] for e in second.events if e["event"] == "stage_failed")
    assert outputs(chain) == before


def test_a_glob_gains_a_file_while_the_stage_runs(project: Project) -> None:
    """A file that turns up in the middle counts: the stage runs once more with it."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"; sh during/A.sh',
           "A", "{outputs.text}", "{inputs.media}", "{inputs.terms}"]
inputs  = { media = "source", terms = "./terms/*.csv" }
outputs = { text = "a.txt" }
""",
    )
    project.write("media/one.txt", "one\n")
    project.write("terms/a.csv", "a\n")
    during(project, "A", "echo b > terms/b.csv")
    first = project.run()
    assert (first.status, first.ran) == (0, ["A:one", "A:one"])
    assert project.read("jobs/one/A/a.txt") == "one\na\nb\n"
    assert project.run().ran == []


def test_an_edit_between_a_and_c_of_what_both_read(project: Project) -> None:
    """Two stages read one file; it changes after the first of them ran: the next run sees it there too."""
    project.write(
        "pipeline.toml", PIPELINE.replace('{ text = "B.text" }', '{ text = "B.text", terms = "./terms.txt" }')
    )
    text = (project.root / "pipeline.toml").read_text()
    project.write("pipeline.toml", text.replace('{ text = "source" }', '{ text = "source", terms = "./terms.txt" }'))
    project.write("media/one.txt", "one\n")
    project.write("terms.txt", "first\n")
    during(project, "B", "echo second > terms.txt")
    assert project.run().ran == ["A:one", "B:one", "C:one"]
    second = project.run()
    assert second.ran == ["A:one"]
    assert second.reasons("A:one") == ["inputs.terms: terms.txt"]


def test_the_pipeline_is_edited_while_it_runs(chain: Project) -> None:
    """A run goes by the pipeline that it read; the next one sees the change."""
    chain.write("media/one.txt", "two\n")
    during(chain, "A", "sed -i s/+C/+D/ pipeline.toml")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    assert outputs(chain)[2] == "two+A+B+C"
    assert chain.run().ran == ["C:one"]
    assert outputs(chain)[2] == "two+A+B+D"


def test_the_stages_own_output_is_edited_while_it_runs(chain: Project) -> None:
    """The earlier output, edited in the middle of the run that replaces it, is kept."""
    chain.write("media/one.txt", "two\n")
    during(chain, "B", "echo mine > jobs/one/B/B.txt")
    assert chain.run().status == 0
    assert outputs(chain)[1] == "two+A+B"
    assert chain.read("jobs/one/B.edited/B.txt") == "mine\n"


def test_the_stage_file_is_edited_while_it_runs(project: Project) -> None:
    """A project's own stage, saved in the middle of its run: what was published is stale by the new file."""
    stage = '''"""Copy."""

import time
from pathlib import Path

from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"})
def copy(ctx: Context, params: NoParams) -> None:
    hook = Path("during/A.sh")
    if hook.exists():
        hook.unlink()
        file = Path("stages/copy.py")
        file.write_text(file.read_text().replace("+1", "+2"))
    ctx.output("text").write_text(ctx.input("text").read_text().strip() + "+1")
'''
    project.write("stages/copy.py", stage)
    project.write(
        "pipeline.toml", '[pipeline]\nsources = ["media/*.txt"]\n[stages.copy]\ninputs = { text = "source" }\n'
    )
    project.write("media/one.txt", "one\n")
    project.write("during/A.sh", "")
    project.run()
    second = project.run()
    assert second.status == 0
    assert project.read("jobs/one/copy/a.txt") == "one+2"
    assert project.run().ran == []


def test_a_file_that_never_stops_changing(project: Project) -> None:
    """A log that somebody writes to all the time fails its stage with a clear word, and only that stage."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/one.txt", "one\n")
    project.write("media/two.txt", "two\n")
    during(project, "A", "date +%N >> media/one.txt", once=False)
    first = project.run()
    assert first.status == 1
    assert first.tasks("stage_failed") == ["A:one", "B:one", "C:one"]
    assert project.read("jobs/two/C/C.txt") == "two+A+B+C\n"


def test_a_mode_of_a_folder_above_is_no_change(project: Project) -> None:
    """Somebody changes the mode of a folder on the way to the recording, and writes there: nothing runs once more."""
    project.write("pipeline.toml", """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", 'chmod 700 media; sleep 0.1; chmod 755 . media; cat "$1" > "$2"', "A",
           "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    ran = project.run()
    assert (ran.status, ran.ran) == (0, ["A:a"]), ran.out
