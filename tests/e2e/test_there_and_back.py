"""What changes while a stage runs and is as before when it ends, or never stops changing: noticed all the same."""

from __future__ import annotations

import shlex

import pytest

from tests.e2e.conftest import Project
from tests.e2e.test_meanwhile import during

READ_LATER = """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", '''
    [ ! -e during/A.sh ] || sh during/A.sh
    if [ -e read.txt ]; then mv read.txt "$2"; else cat "$1" > "$2"; fi
''', "A", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "A.txt" }
"""


WAYS = {
    "written and written back": "echo bad > {f}; cat {f} > read.txt; cat keep > {f}",
    "with its time": "echo bad > {f}; cat {f} > read.txt; cat keep > {f}; touch -r keep {f}",
    "replaced and brought back": "mv {f} {f}.away; echo bad > {f}; cat {f} > read.txt; mv -f {f}.away {f}",
    "another folder in its place": (
        "mv media away; mkdir media; echo bad > {f}; cat {f} > read.txt; rm -r media; mv away media"
    ),
    "deleted and brought back": "rm {f}; cp -p keep {f}; echo bad > read.txt",
}


@pytest.mark.parametrize("way", WAYS)
def test_an_input_that_changes_and_changes_back(project: Project, way: str) -> None:
    """Its digest is the same before and after, and what the stage read isn't: it runs once more."""
    project.write("pipeline.toml", READ_LATER)
    project.write("media/one.txt", "one\n")
    during(project, "A", "cp -p media/one.txt keep; " + WAYS[way].format(f="media/one.txt"))
    first = project.run()
    assert (first.status, first.ran) == (0, ["A:one", "A:one"]), first.out
    assert project.read("jobs/one/A/A.txt") == "one\n"
    (warning,) = [e["message"] for e in first.events if e["event"] == "stage_warning"]
    assert "inputs.text: media" in warning
    assert project.run().ran == []


def test_an_input_that_changes_and_changes_back_each_time(project: Project) -> None:
    """Twice is once too often: the stage fails with that reason, and nothing is recorded."""
    project.write("pipeline.toml", READ_LATER)
    project.write("media/one.txt", "one\n")
    during(project, "A", "cp -p media/one.txt keep; echo bad > media/one.txt; cat keep > media/one.txt", once=False)
    first = project.run()
    assert (first.status, first.ran) == (1, ["A:one", "A:one"])
    assert "media/one.txt changed and changed back while it ran, twice" in first.out
    assert not (project.root / "jobs/one/A").exists()


@pytest.mark.parametrize("way", ["a file", "a folder", "a file far below", "a file's name"])
def test_a_file_that_comes_and_goes_in_a_directory_input(project: Project, way: str) -> None:
    """A directory counts with all that it holds, at any moment."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", '[ -e during/A.sh ] && sh during/A.sh; [ -e read.txt ] && mv read.txt "$2" || ls -R "$1" > "$2"',
           "A", "{inputs.tree}", "{outputs.text}"]
inputs  = { tree = "./tree" }
outputs = { text = "a.txt" }
""",
    )
    project.write("media/one.txt", "one\n")
    project.write("tree/a/b/c.txt", "c\n")
    script = {
        "a file": "echo x > tree/new; ls -R tree > read.txt; rm tree/new",
        "a folder": "mkdir tree/a/new; ls -R tree > read.txt; rmdir tree/a/new",
        "a file far below": "echo x > tree/a/b/new; ls -R tree > read.txt; rm tree/a/b/new",
        "a file's name": "mv tree/a/b/c.txt tree/a/b/d; ls -R tree > read.txt; mv tree/a/b/d tree/a/b/c.txt",
    }[way]
    during(project, "A", script)
    first = project.run()
    assert (first.status, first.ran) == (0, ["A:one", "A:one"]), first.out
    assert "new" not in project.read("jobs/one/A/a.txt")
    assert "c.txt" in project.read("jobs/one/A/a.txt")
    assert project.run().ran == []


def test_a_link_that_leads_elsewhere_for_a_while(project: Project) -> None:
    """A folder of recordings that is a link: it is turned to another folder and back."""
    project.write("pipeline.toml", READ_LATER)
    project.write("disk/one.txt", "one\n")
    project.write("other/one.txt", "bad\n")
    (project.root / "media").symlink_to("disk")
    during(project, "A", "ln -sfn other media; cat media/one.txt > read.txt; ln -sfn disk media")
    assert project.run().ran == ["A:one", "A:one"]
    assert project.read("jobs/one/A/A.txt") == "one\n"


def test_neighbours_of_an_input_may_come_and_go(project: Project) -> None:
    """Other recordings are copied into the folder while a stage runs: that is no change of its own."""
    project.write("pipeline.toml", READ_LATER)
    project.write("media/one.txt", "one\n")
    during(project, "A", "echo two > media/two.txt; mkdir media/sub; chmod 600 media/two.txt")
    assert project.run().ran == ["A:one"]


def test_a_second_run_overrides_what_a_stage_reads(project: Project) -> None:
    """While B reads A's output, another run makes A with an override, and a third brings the first result back."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", 'echo "$1" > "$2"', "A", "{params.word}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
params  = { word = "good" }
[stages.B]
command = ["sh", "-c", '[ -e during/B.sh ] && sh during/B.sh; [ -e read.txt ] && mv read.txt "$2" || cat "$1" > "$2"',
           "B", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "b.txt" }
""",
    )
    project.write("media/one.txt", "one\n")
    assert project.run("A:one").status == 0
    program = " ".join(shlex.quote(word) for word in project.program)
    during(project, "B", f"{program} A.word=bad A:one >/dev/null; cat jobs/one/A/a.txt > read.txt; {program} A:one")
    first = project.run()
    assert (first.status, first.ran) == (0, ["B:one", "B:one"]), first.out
    assert project.read("jobs/one/B/b.txt") == "good\n"


def test_a_model_that_changes_and_changes_back(project: Project) -> None:
    """A worker that loaded other bytes than recorded: the job runs once more, and nobody gets that model."""
    stage = '''"""Write down a model."""

from pathlib import Path

from mediabuild.stage import Context, ModelRef, NoParams, stage


@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"},
       models=lambda params, lookup: {"m": ModelRef("m", lookup.project_dir / "model.bin")})
def read(ctx: Context, params: NoParams) -> None:
    file, hook = ctx.models["m"].path, Path("during/A")
    if hook.exists():
        hook.unlink()
        good = file.read_bytes()
        file.write_bytes(b"bad")
        ctx.model("m", file.read_text)
        file.write_bytes(good)
    ctx.output("text").write_text(ctx.model("m", file.read_text))
'''
    project.write("stages/read.py", stage)
    project.write(
        "pipeline.toml", '[pipeline]\nsources = ["media/*.txt"]\n[stages.read]\ninputs = { text = "source" }\n'
    )
    project.write("model.bin", "good")
    project.write("during/A", "")
    for job in ("one", "two"):
        project.write(f"media/{job}.txt", job)
    first = project.run("-n1")
    assert (first.status, first.ran) == (0, ["read:one", "read:one", "read:two"])
    assert any("model" in e["message"] for e in first.events if e["event"] == "stage_warning")
    assert [project.read(f"jobs/{job}/read/a.txt") for job in ("one", "two")] == ["good", "good"]
