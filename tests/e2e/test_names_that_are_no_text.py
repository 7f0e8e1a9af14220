"""Names that are no UTF-8, in what stages read and make: refused by name or left alone, and never a traceback."""

from __future__ import annotations

import os

import pytest

from tests.e2e.conftest import Project, Ran

BAD = b"bad\xff.txt"
PIPELINE = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "make.sh", "{inputs.text}", "{outputs.tree}", "{out}"]
inputs  = { text = "source", pictures = "?./pictures" }
outputs = { tree = "tree" }
deliver = "out/{job}"

[stages.B]
command = ["sh", "-c", 'find "$1" -type f | wc -l > "$2"', "B", "{inputs.tree}", "{outputs.n}"]
inputs  = { tree = "A.tree" }
outputs = { n = "n.txt" }
"""
GOOD = 'mkdir -p "$2"; cp "$1" "$2/a.txt"\n'
BADLY = {
    "in a directory": GOOD + 'echo x > "$2/$(printf "bad\\\\377.txt")"',
    "a folder": GOOD + 'mkdir "$2/$(printf "bad\\\\377")"; echo x > "$2/$(printf "bad\\\\377")/a"',
    "an empty folder": GOOD + 'mkdir "$2/$(printf "bad\\\\377")"',
    "beside the outputs": GOOD + 'echo x > "$3/$(printf "bad\\\\377.txt")"',
    "a link": GOOD + 'ln -s a.txt "$2/$(printf "bad\\\\377.txt")"',
}


@pytest.fixture
def one(project: Project) -> Project:
    """A job, not built yet."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/a.txt", "a\n")
    project.write("make.sh", GOOD)
    return project


def sound(ran: Ran) -> Ran:
    """No traceback, and all that was said can be shown."""
    assert "Traceback" not in ran.out + ran.err
    assert (ran.out + ran.err).encode()
    return ran


@pytest.mark.parametrize("way", BADLY)
def test_an_output_is_refused_by_name(one: Project, way: str) -> None:
    """The stage fails; when it makes names that are text, it is built."""
    one.write("make.sh", BADLY[way])
    failed = sound(one.run())
    assert (failed.status, failed.ran) == (1, ["A:a"]), failed.out
    assert "bad\\xff" in failed.out and "not UTF-8" in failed.out, failed.out
    assert not (one.root / "jobs/a/A").exists()
    assert not list((one.root / "jobs/a/.mediabuild/tmp").iterdir())
    one.write("make.sh", GOOD)
    assert sound(one.run()).status == 0


def test_an_input_is_refused_by_name(one: Project) -> None:
    """In a directory that a stage reads, as a file and as a folder; gone, it is built."""
    (one.root / "pictures").mkdir()
    bad = os.fsencode(one.root / "pictures") + b"/" + BAD
    for make in (lambda: os.close(os.open(bad, os.O_CREAT | os.O_WRONLY)), lambda: os.mkdir(bad)):
        make()
        for command in ([], ["status"], ["explain", "A"], ["check"]):
            asked = sound(one.command(*command))
            assert asked.status != 0 or command == ["status"] or command[:1] == ["explain"]
        refused = sound(one.run())
        assert "bad\\xff" in refused.out and "not UTF-8" in refused.out, refused.out
        (os.rmdir if os.path.isdir(bad) else os.unlink)(bad)
    assert sound(one.run()).status == 0


def test_what_somebody_puts_among_the_outputs_is_kept(one: Project) -> None:
    """A file of a person's in a stage's directory and in a delivered one: nothing is lost, and all commands work."""
    assert one.run().status == 0
    for place in ("jobs/a/A/tree", "jobs/a/A", "out/a.tree", "jobs/a", "media"):
        with open(os.fsencode(one.root / place) + b"/" + (BAD if place != "media" else b"bad\xff.jpg"), "w") as file:
            file.write("mine")
    for command in (["status"], ["check"], ["validate"], ["list"], ["gc"]):
        sound(one.command(*command))
    one.write("media/a.txt", "other\n")
    assert sound(one.run()).status == 0
    assert one.read("jobs/a/B/n.txt").strip() == "1"
    kept = [os.path.join(folder, name) for folder, _, names in os.walk(os.fsencode(one.root)) for name in names]
    assert len([path for path in kept if b"\xff" in path]) == 5
    for command in (["clean"], ["status"], ["clean", "--orphans"]):
        sound(one.command(*command))
    kept = [os.path.join(folder, name) for folder, _, names in os.walk(os.fsencode(one.root)) for name in names]
    assert len([path for path in kept if b"\xff" in path]) == 5
