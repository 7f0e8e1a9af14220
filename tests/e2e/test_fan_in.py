"""A stage that reads an output with `*` over jobs, or over a matrix, gets every file, as JOB/FILE if there are more."""

from __future__ import annotations

import json

import pytest

from mediabuild.store.manifest import encode, read_manifest
from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/**/*.txt"]

[stages.split]
command = ["sh", "-c", 'for w in $(cat "$1"); do echo $w > "$2/$w.part"; done', "split", "{inputs.text}", "{out}"]
inputs  = { text = "source" }
outputs = { parts = "*.part" }

[stages.parts]
command = ["sh", "-c", 'for w in $(cat "$1"); do echo "$2$w" > "$3/$w.txt"; done', "parts",
           "{inputs.text}", "{params.mark}", "{out}"]
inputs  = { text = "source" }
outputs = { parts = "*.txt" }
matrix  = { mark = ["x", "y"] }

[stages.total]
collect = true
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"', "total", "{outputs.all}", "{inputs.parts}"]
inputs  = { parts = "split.parts" }
outputs = { all = "all.txt" }

[stages.keys]
uses    = "keys"
collect = true
inputs  = { parts = "split.parts" }

[stages.marks]
uses    = "keys"
inputs  = { parts = "parts.parts" }

[stages.everything]
uses    = "keys"
collect = true
inputs  = { parts = "parts.parts" }
"""
KEYS = '''"""Tell what it is given."""
import json
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"parts": "texts"}, outputs={"keys": "keys.json"})
def keys(ctx: Context, params: NoParams) -> None:
    found = {key: path.read_text().strip() for key, path in ctx.inputs("parts").items()}
    ctx.output("keys").write_text(json.dumps(found))
'''


@pytest.fixture
def shelf(project: Project) -> Project:
    """Job `a` has one part, `b` three, `deep/c` two; built once."""
    project.write("pipeline.toml", PIPELINE)
    project.write("stages/keys.py", KEYS)
    for job, words in (("a", "one"), ("b", "one two three"), ("deep/c", "two four")):
        project.write(f"media/{job}.txt", words)
    built = project.run()
    assert built.status == 0, built.out
    return project


def keys(project: Project, stage: str, job: str = ".all") -> dict[str, str]:
    """What a stage was given: key → content."""
    found: dict[str, str] = json.loads(project.read(f"jobs/{job}/{stage}/keys.json"))
    return found


def test_every_file_of_every_job(shelf: Project) -> None:
    """A command gets all paths, a Python stage all keys, and the manifest lists what was given."""
    assert shelf.read("jobs/.all/total/all.txt").split() == ["one", "one", "three", "two", "four", "two"]
    assert keys(shelf, "keys") == {
        "a": "one",
        "b/one.part": "one",
        "b/three.part": "three",
        "b/two.part": "two",
        "deep/c/four.part": "four",
        "deep/c/two.part": "two",
    }
    recorded = json.loads(shelf.read("jobs/.all/keys/manifest.json"))["inputs"]["parts"]
    assert len(recorded) == 6
    assert shelf.run().ran == []


def test_every_file_of_every_matrix_value(shelf: Project) -> None:
    """By itself and together with jobs."""
    assert keys(shelf, "marks", "a") == {"x": "xone", "y": "yone"}
    assert keys(shelf, "marks", "deep/c") == {
        "x/four.txt": "xfour",
        "x/two.txt": "xtwo",
        "y/four.txt": "yfour",
        "y/two.txt": "ytwo",
    }
    everything = keys(shelf, "everything")
    assert len(everything) == 12
    assert everything["a:x"] == "xone"
    assert everything["deep/c:y/four.txt"] == "yfour"


def test_a_part_more_and_one_less(shelf: Project) -> None:
    """From one file to two its key changes, and back."""
    shelf.write("media/a.txt", "one five")
    assert "keys:.all" in shelf.run().ran
    assert {"a/five.part", "a/one.part"} <= keys(shelf, "keys").keys()
    shelf.write("media/a.txt", "six")
    shelf.run()
    assert keys(shelf, "keys")["a"] == "six"


def test_manifests_of_the_time_when_each_job_gave_its_last_file_are_stale_once(shelf: Project) -> None:
    """They list every file, and their outputs hold the last ones: told by what their code doesn't say."""
    for file in shelf.root.glob("jobs/**/manifest.json"):
        if file.parent.name in ("total", "keys", "everything", "marks"):
            manifest = read_manifest(file.parent)
            manifest.code.pop("order", None)
            file.write_bytes(encode(manifest))
    (shelf.root / "jobs/.mediabuild/fresh.index").unlink()
    assert sorted(shelf.run().ran) == ["everything:.all", "keys:.all", "marks:b", "marks:deep/c", "total:.all"]
    assert shelf.run().ran == []
