"""What a stage delivers can't be read by its path, and what a task of dodo.py makes is there before it is read."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/**/*.txt"]

[stages.A]
command = ["sh", "-c", 'mkdir -p "$3"; cp "$1" "$2"; cp "$1" "$3/x.txt"', "A",
           "{inputs.text}", "{outputs.text}", "{outputs.tree}"]
inputs  = { text = "source" }
outputs = { text = "a.en.txt", tree = "tree" }
deliver = DELIVER

[stages.B]
command = ["sh", "-c", 'o=$1; shift; : > "$o"; [ -z "$1" ] || find "$@" -type f -exec cat {} + >> "$o"', "B",
           "{outputs.text}", "{inputs.text}"]
inputs  = { text = "INPUT" }
outputs = { text = "b.txt" }
"""
READS = {
    "its own job's": ('"out/{job}"', "?./out/{job}.en.txt", "A.text"),
    "one that must be there": ('"out/{job}"', "./out/{job}.en.txt", "A.text"),
    "another job's": ('"out/{job}"', "?./out/deep/b.en.txt", "A.text"),
    "a glob": ('"out/{job}"', "?./out/*.txt", "A.text"),
    "a glob with its job": ('"out/{job}"', "?./out/{job}.*", "A.text"),
    "a deep glob": ('"out/{job}"', "?./**/*.en.txt", "A.text"),
    "braces": ('"out/{job}"', "?./out/{job}.{de,en}.txt", "A.text"),
    "the folder": ('"out/{job}"', "?./out", "A.text"),
    "a folder above": ('"made/out/{job}"', "?./made", "A.text"),
    "in a delivered directory": ('"out/{job}"', "?./out/a.tree/x.txt", "A.tree"),
    "a delivered directory": ('"out/{job}/"', "?./out/{job}/tree", "A.tree"),
    "a table's name": ('{ text = "subs/{job}.srt" }', "?./subs/{job}.srt", "A.text"),
    "spelt otherwise": ('"./out/{job}"', "?./out/../out/{job}.en.txt", "A.text"),
}
ALLOWED = {
    "another folder": ('"out/{job}"', "?./corrections/{job}.*"),
    "another suffix": ('"out/{job}"', "?./out/{job}.srt"),
    "a name that begins so": ('"out/{job}"', "?./outer/{job}.en.txt"),
    "what a table leaves out": ('{ text = "subs/{job}.srt" }', "?./subs/{job}.tree/x.txt"),
}


def write(project: Project, deliver: str, reading: str) -> None:
    """Two jobs."""
    project.write("pipeline.toml", PIPELINE.replace("DELIVER", deliver).replace("INPUT", reading))
    project.write("media/a.txt", "a\n")
    project.write("media/deep/b.txt", "b\n")


@pytest.mark.parametrize("way", READS)
def test_a_delivered_file_that_is_read_by_its_path_is_a_mistake(project: Project, way: str) -> None:
    """From `validate` on, with what to write instead, whether it was ever built or not."""
    deliver, reading, instead = READS[way]
    write(project, deliver, reading)
    refused = project.command("validate")
    assert refused.status == 3, refused.out
    assert "stages.B.inputs.text" in refused.err
    assert f'"{instead}"' in refused.err


@pytest.mark.parametrize("way", ALLOWED)
def test_other_files_are_read_by_their_paths(project: Project, way: str) -> None:
    """What no stage delivers is no mistake."""
    write(project, *ALLOWED[way])
    built = project.run()
    assert built.status == 0, built.out + built.err
    assert project.run().ran == []


DODO = """
import shutil, time

def task_TASK():
    def make():
        time.sleep(0.3)
        shutil.copy("words.txt", "TARGET")
    return {"actions": ["mkdir -p lists", make], "targets": ["TARGET"], "file_dep": ["words.txt"]}
"""


@pytest.mark.parametrize(
    ("reading", "arguments"),
    [
        ("./lists/words.txt", ["-n", "4"]),
        ("./lists", ["B:a"]),
        ("./lists/*.txt", ["B", "zz"]),
        ("?./lists/{job}.txt", ["-n", "1", "B:a"]),
        ("./lists/wo*.txt", ["-n", "4"]),
    ],
)
def test_what_an_own_task_makes_is_there_before(project: Project, reading: str, arguments: list[str]) -> None:
    """It isn't there yet, and later it is another; each run ends with the present one, and then all is fresh."""
    write(project, '"out/{job}"', reading)
    target = "lists/a.txt" if "{job}" in reading else "lists/words.txt"
    dodo = DODO.replace("TASK", "zz").replace("TARGET", target)
    if "wo*" in reading:
        dodo = dodo.replace('"targets": ["lists/words.txt"]', '"targets": ["lists"]')
    project.write("dodo.py", dodo)
    for words in ("one\n", "two\n"):
        project.write("words.txt", words)
        built = project.run(*arguments)
        assert built.status == 0, built.out + built.err
        assert project.read("jobs/a/B/b.txt") == words
    assert project.run().status == 0
    assert project.run().ran == []
    assert project.command("validate").status == 0
