"""Inputs of every kind: directories, globs, links, pipes, one file as two of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project

READS = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-c", '''
    out=$1; shift
    for file in "$@"; do echo "$file"; cat "$file" 2>/dev/null || find "$file" | sort; done > "$out"
''', "A", "{outputs.text}", "{inputs.media}", "{inputs.extra}"]
inputs  = { media = "source", extra = "%s" }
outputs = { text = "a.txt" }
"""
OUTPUT = "jobs/one/A/a.txt"


@pytest.fixture
def reading(project: Project) -> Project:
    """A project with one source; `reads(project, REFERENCE)` gives it a stage."""
    project.write("media/one.txt", "hello\n")
    return project


def reads(project: Project, reference: str) -> None:
    """A stage A that reads the source and `extra`."""
    project.write("pipeline.toml", READS % reference)


def settled(project: Project) -> bool:
    """Whether another run runs nothing."""
    again = project.run()
    return (again.status, again.ran) == (0, [])


def test_a_directory_counts_with_all_it_holds(reading: Project) -> None:
    """A file in it, however deep, changed, added, removed or renamed runs the stage; each is named."""
    reads(reading, "./extra")
    for name in ("extra/a", "extra/deep/er/b", "extra/.hidden"):
        reading.write(name, "1")
    assert reading.run().status == 0
    assert settled(reading)

    def why() -> list[str]:
        run = reading.run()
        assert run.ran == ["A:one"]
        return run.reasons("A:one")

    reading.write("extra/deep/er/b", "2")
    assert why() == ["inputs.extra: extra/deep/er/b"]
    reading.write("extra/deep/new", "")
    assert why() == ["inputs.extra: extra/deep/new"]
    (reading.root / "extra/.hidden").unlink()
    assert why() == ["inputs.extra: extra/.hidden"]
    (reading.root / "extra/a").rename(reading.root / "extra/z")
    assert why() == ["inputs.extra: extra/a", "inputs.extra: extra/z"]
    (reading.root / "extra/empty").mkdir()
    assert why() == ["inputs.extra: extra/empty/"]
    os.utime(reading.root / "extra")
    assert settled(reading)


def test_an_empty_directory_as_input(reading: Project) -> None:
    """It is there, and empty: no file; then it gains one."""
    reads(reading, "./extra")
    (reading.root / "extra").mkdir()
    assert reading.run().status == 0
    assert settled(reading)
    reading.write("extra/a", "")
    assert reading.run().ran == ["A:one"]


def test_a_glob_gains_and_loses_a_file(reading: Project) -> None:
    """A file that matches, comes or goes: the stage runs; one that doesn't match is nothing to it."""
    reads(reading, "./terms/**/*.{csv,tsv}")
    reading.write("terms/a.csv", "a\n")
    reading.run()
    reading.write("terms/readme.md", "no term\n")
    assert settled(reading)
    reading.write("terms/deep/b.tsv", "b\n")
    gained = reading.run()
    assert gained.reasons("A:one") == ["inputs.extra: terms/deep/b.tsv"]
    assert "b\n" in reading.read(OUTPUT)
    (reading.root / "terms/a.csv").unlink()
    lost = reading.run()
    assert lost.reasons("A:one") == ["inputs.extra: terms/a.csv"]
    assert "a\n" not in reading.read(OUTPUT).replace("media\n", "").replace("extra\n", "")
    assert settled(reading)


def test_an_optional_input_comes_and_goes(reading: Project) -> None:
    """`?`: absent is fine; when it turns up the stage runs with it, when it goes it is as it was."""
    reads(reading, "?./corrections/{job}.*")
    assert reading.run().status == 0
    assert settled(reading)
    reading.write("corrections/one.txt", "better\n")
    assert reading.run().reasons("A:one") == ["inputs.extra: corrections/one.txt"]
    assert "better" in reading.read(OUTPUT)
    reading.write("corrections/two.txt", "of another job\n")
    assert settled(reading)
    (reading.root / "corrections/one.txt").unlink()
    assert reading.run().tasks("stage_restored") == ["A:one"]
    assert "better" not in reading.read(OUTPUT)


def test_a_required_input_is_missing(reading: Project) -> None:
    """Before anything runs: exit 3 and its place in the pipeline; `?` is proposed."""
    reads(reading, "./terms/*.csv")
    run = reading.run()
    assert (run.status, run.ran) == (3, [])
    assert "stages.A.inputs.extra" in run.err
    assert '"?./terms/*.csv"' in run.err


def test_links_count_by_what_is_behind_them(reading: Project) -> None:
    """An edit behind a link, and a link that points elsewhere, run the stage; one to the same bytes doesn't."""
    reads(reading, "./link")
    reading.write("target", "1\n")
    reading.write("twin", "1\n")
    link = reading.root / "link"
    link.symlink_to("target")
    reading.run()
    link.unlink()
    link.symlink_to("twin")
    assert settled(reading)
    reading.write("twin", "2\n")
    assert reading.run().reasons("A:one") == ["inputs.extra: link"]
    assert "2\n" in reading.read(OUTPUT)
    (reading.root / "twin").unlink()
    dangling = reading.run()
    assert dangling.status == 1
    assert "Traceback" not in dangling.err
    assert "link" in next(e["message"] for e in dangling.events if e["event"] == "stage_failed")


def test_a_source_that_is_a_link(reading: Project) -> None:
    """A linked recording is a job as any other, and is judged by its target's content."""
    reading.write("pipeline.toml", CHAIN)
    reading.write("elsewhere/two.bin", "two\n")
    (reading.root / "media/two.txt").symlink_to("../elsewhere/two.bin")
    reading.run()
    reading.write("elsewhere/two.bin", "2wo\n")
    assert reading.run().ran == ["A:two", "B:two", "C:two"]


def test_a_directory_that_links_to_itself(reading: Project) -> None:
    """A loop of links in a directory ends."""
    reads(reading, "./extra")
    reading.write("extra/a", "1")
    (reading.root / "extra/loop").symlink_to(".")
    reading.write("extra/deep/b", "1")
    (reading.root / "extra/deep/up").symlink_to("..")
    assert reading.run().status == 0
    assert settled(reading)
    reading.write("extra/deep/b", "2")
    assert reading.run().reasons("A:one") == ["inputs.extra: extra/deep/b"]


def test_empty_files(project: Project) -> None:
    """Nothing in, nothing out: an empty source and empty outputs are content like any other."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "")
    assert project.run().ran == ["A:one", "B:one", "C:one"]
    assert project.read("jobs/one/C/c.txt") == ""
    assert settled(project)
    project.write("media/one.txt", "x\n")
    assert project.run().ran == ["A:one", "B:one", "C:one"]


def test_a_pipe_as_input_is_refused_without_hanging(reading: Project) -> None:
    """A FIFO in the place of a file, in a directory and among the sources: said, not waited for."""
    reads(reading, "./extra")
    os.mkfifo(reading.root / "extra")
    run = reading.run()
    assert (run.status, run.ran) == (1, [])
    assert "not a regular file" in run.out
    (reading.root / "extra").unlink()
    (reading.root / "extra").mkdir()
    os.mkfifo(reading.root / "extra/pipe")
    run = reading.run()
    assert (run.status, run.ran) == (1, [])
    assert "not a regular file" in run.out
    (reading.root / "extra/pipe").unlink()
    os.mkfifo(reading.root / "media/two.txt")
    run = reading.run()
    assert (run.status, run.ran) == (0, ["A:one"])


def test_a_pipe_as_output_is_refused(project: Project) -> None:
    """A stage that leaves a FIFO fails, and nothing is published."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'mkfifo "$2"'))
    project.write("media/one.txt", "hello\n")
    run = project.run("A:one")
    assert run.status == 1
    assert "no regular file" in run.out
    assert not (project.root / "jobs/one/A").exists()


def test_an_output_that_links_outside_is_refused(project: Project) -> None:
    """A stage can't publish a link to something that it doesn't own."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'ln -s "$PWD/$1" "$2"'))
    project.write("media/one.txt", "hello\n")
    run = project.run("A:one")
    assert run.status == 1
    assert "leads outside" in run.out


def test_a_dependency_becomes_a_directory_and_a_file_again(reading: Project) -> None:
    """The same path, another kind: the stage runs and gets what is there; back to a file, the first result is back."""
    reads(reading, "./extra")
    reading.write("extra", "1\n")
    reading.run()
    (reading.root / "extra").unlink()
    reading.write("extra/inner", "1\n")
    second = reading.run()
    assert (second.status, second.ran) == (0, ["A:one"])
    assert "extra/inner" in reading.read(OUTPUT)
    assert settled(reading)
    (reading.root / "extra/inner").unlink()
    (reading.root / "extra").rmdir()
    reading.write("extra", "1\n")
    assert reading.run().tasks("stage_restored") == ["A:one"]


def test_a_source_becomes_a_directory(chain: Project) -> None:
    """It is no recording any more: nothing is left to build, said with exit 3; its outputs stay."""
    (chain.root / "media/one.txt").unlink()
    (chain.root / "media/one.txt").mkdir()
    run = chain.run()
    assert (run.status, run.ran) == (3, [])
    assert "no source matches" in run.err
    assert chain.read("jobs/one/C/c.txt") == "olleh\nolleh\n"


def test_strange_names_in_an_input_and_its_reference(reading: Project) -> None:
    """A path reference with spaces, brackets and a leading dash names that file, and the command gets it whole."""
    for name in ("./-x y [1]", "./ünï 'q\\\" $HOME"):
        reads(reading, name)
        path = name.replace("\\", "")
        reading.write(path, "inside\n")
        run = reading.run()
        assert (run.status, run.ran) == (0, ["A:one"]), run.out + run.err
        assert "inside" in reading.read(OUTPUT)
        assert settled(reading)


def test_an_absolute_path_and_one_that_leads_up(reading: Project, tmp_path: Path) -> None:
    """Inputs may lie anywhere; they are judged by content, and moving the project doesn't matter to a relative one."""
    (tmp_path / "common.txt").write_text("1\n")
    for reference in (str(tmp_path / "common.txt"), "../common.txt"):
        reads(reading, reference)
        assert reading.run().status == 0
        assert settled(reading)
        (tmp_path / "common.txt").write_text((tmp_path / "common.txt").read_text() + "more\n")
        assert reading.run().ran == ["A:one"]


def test_one_file_as_two_inputs(reading: Project) -> None:
    """The source is also an extra input; a change is told for both."""
    reads(reading, "./media/one.txt")
    reading.run()
    reading.write("media/one.txt", "x\n")
    assert reading.run().reasons("A:one") == ["inputs.extra: media/one.txt", "inputs.media: media/one.txt"]
