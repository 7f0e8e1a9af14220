"""Natural order: `ch2` stands before `ch10`, in lists and in what a stage is given; where it shows, it is a fact."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project

BOOK = """
[pipeline]
sources = ["book/*.txt"]

[stages.chapter]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "chapter.txt" }

[stages.size]
command = ["sh", "-c", 'echo "$1" > "$3"', "size", "{params.n}", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "chapter.text" }
outputs = { text = "size.txt" }
matrix  = { n = [100, 20, 0.5] }

[stages.sizes]
command = ["sh", "-c", 'echo "$@" > "$0"', "{outputs.names}", "{inputs.sizes}"]
inputs  = { sizes = "size.text" }
outputs = { names = "names.txt" }

[stages.book]
collect = true
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"', "book", "{outputs.text}", "{inputs.chapters}"]
inputs  = { chapters = "chapter.text" }
outputs = { text = "book.txt" }

[stages.notes]
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"', "notes", "{outputs.text}", "{inputs.notes}"]
inputs  = { notes = "./notes/*.txt" }
outputs = { text = "notes.txt" }
"""
OWN = '''"""Joins chapters, each a unit."""

import hashlib

import msgspec

from mediabuild.stage import Context, stage


class JoinParams(msgspec.Struct, forbid_unknown_fields=True):
    """None."""


@stage(version=1, inputs={"parts": "chapters"}, outputs={"text": "joined.txt"})
def join(ctx: Context, params: JoinParams) -> None:
    files = list(ctx.inputs("parts").values())
    facts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    found = ctx.units(facts, lambda numbers: (files[number].read_bytes() for number in numbers))
    ctx.output("text").write_bytes(b"".join(found))
'''


@pytest.fixture
def book(project: Project) -> Project:
    """Three chapters, whose order by letters isn't the one in which they are read; built once."""
    project.write("pipeline.toml", BOOK)
    for number in (1, 2, 10):
        project.write(f"book/ch{number}.txt", f"{number}\n")
        project.write(f"notes/n{number}.txt", f"note {number}\n")
    assert project.run().status == 0
    return project


def forget_order(project: Project, name: str) -> None:
    """The manifest as one that a mediabuild without natural order wrote."""
    manifest = json.loads(project.read(name))
    assert manifest["code"].pop("order") == "natural"
    project.write(name, json.dumps(manifest))


def test_files_jobs_and_values_in_natural_order(book: Project) -> None:
    """Of a fan-in over jobs, of a glob, of a matrix (numbers by what they are); and lists show it."""
    assert book.read("jobs/.all/book/book.txt").split() == ["1", "2", "10"]
    assert book.read("jobs/ch1/notes/notes.txt").split() == ["note", "1", "note", "2", "note", "10"]
    assert [path.split("/")[-2] for path in book.read("jobs/ch1/sizes/names.txt").split()] == ["0.5", "20", "100"]
    table = [line.split()[1] for line in book.command("status").out.splitlines() if line.startswith("│ ch")]
    assert table == ["ch1", "ch2", "ch10"]
    names = [line.split()[0] for line in book.command("list", "--all", "--quiet", "chapter").out.splitlines()]
    assert names == ["chapter", "chapter:ch1", "chapter:ch2", "chapter:ch10"]
    assert not book.run().ran


def test_what_was_given_files_in_the_order_of_letters_runs_once(book: Project) -> None:
    """And nothing else: neither what reads one file, nor what follows from equal bytes; and then all is fresh."""
    for name in (".all/book", "ch1/notes", "ch2/notes", "ch10/notes", "ch1/sizes", "ch2/sizes", "ch10/sizes"):
        forget_order(book, f"jobs/{name}/manifest.json")
    ran = book.run()
    many = [f"{stage}:{job}" for stage in ("notes", "sizes") for job in ("ch1", "ch2", "ch10")]
    assert sorted(ran.ran) == sorted([*many, "book:.all"])
    assert ran.reasons("book:.all") == ["stage.order"]
    assert not book.run().ran


def test_order_is_no_reason_of_its_own_where_files_came(book: Project) -> None:
    """With one note the order is nobody's; then others come, and they are the reason."""
    for number in (2, 10):
        (book.root / f"notes/n{number}.txt").unlink()
    book.run("notes:ch1")
    assert "order" not in json.loads(book.read("jobs/ch1/notes/manifest.json"))["code"]
    for number in (3, 20):
        book.write(f"notes/n{number}.txt", f"note {number}\n")
    ran = book.run("notes:ch1")
    assert ran.reasons("notes:ch1") == ["inputs.notes: notes/n20.txt", "inputs.notes: notes/n3.txt"]
    assert book.read("jobs/ch1/notes/notes.txt").split()[1::2] == ["1", "3", "20"]


def test_the_order_of_files_makes_no_unit_anew(project: Project) -> None:
    """A tenth chapter changes the order among the facts; the pieces of the others are kept."""
    project.write("stages/join.py", OWN)
    project.write(
        "pipeline.toml",
        '[pipeline]\nsources = ["a.txt"]\n[stages.join]\ninputs = { parts = "./book/*.txt" }\n',
    )
    project.write("a.txt", "a")
    for number in (2, 3):
        project.write(f"book/{number}.txt", f"{number}\n")
    assert project.run().status == 0
    project.write("book/10.txt", "10\n")
    ran = project.run()
    assert project.read("jobs/a/join/joined.txt").split() == ["2", "3", "10"]
    done = next(e for e in ran.events if e["event"] == "stage_completed")
    assert (done["units"], done["units_reused"]) == (3, 2)
