"""Outputs that are directories."""

from __future__ import annotations

from tests.e2e.conftest import Project
from tests.e2e.test_inputs import settled

DIRECTORY_OUTPUT = """
[pipeline]
sources = ["media/*.txt"]

[stages.split]
command = ["sh", "-c", 'mkdir -p "$2/sub/empty"; split -l 1 "$1" "$2/part."; cp "$1" "$2/sub/whole"',
           "split", "{inputs.text}", "{outputs.parts}"]
inputs  = { text = "source" }
outputs = { parts = "parts" }

[stages.join]
command = ["sh", "-c", 'find "$1" | wc -l > "$2"; cat "$1"/part.* >> "$2"', "j", "{inputs.parts}", "{outputs.text}"]
inputs  = { parts = "split.parts" }
outputs = { text = "joined.txt" }
"""


def test_a_directory_as_output(project: Project) -> None:
    """A stage owns a directory: handed over whole, compared file by file, made again when one isn't right."""
    project.write("pipeline.toml", DIRECTORY_OUTPUT)
    project.write("media/one.txt", "a\nb\nc\n")
    assert project.run().status == 0
    assert project.read("jobs/one/join/joined.txt").endswith("a\nb\nc\n")
    assert settled(project)
    project.write("jobs/one/split/parts/part.ab", "mine\n")
    tampered = project.run()
    assert tampered.ran == ["split:one"]
    assert tampered.reasons("split:one") == ["outputs.parts/part.ab"]
    assert project.read("jobs/one/split.edited/parts/part.ab") == "mine\n"
    (project.root / "jobs/one/split/parts/sub/empty").rmdir()
    assert project.run().reasons("split:one") == ["outputs.parts/sub/empty/"]
    assert settled(project)


def test_a_file_added_to_a_directory_output(project: Project) -> None:
    """What a person puts into a stage's output directory is not what the stage made: never read downstream unseen."""
    project.write("pipeline.toml", DIRECTORY_OUTPUT)
    project.write("media/one.txt", "a\nb\nc\n")
    project.run()
    clean = project.read("jobs/one/join/joined.txt")
    project.write("jobs/one/split/parts/part.zz", "mine\n")
    run = project.run()
    assert run.status == 0
    assert project.read("jobs/one/join/joined.txt") == clean
    assert settled(project)
    assert [p.read_text() for p in project.root.glob("jobs/one/split.edited/**/part.zz")] == ["mine\n"]
