"""Inputs of every kind: directories, globs, links, pipes, strange names, strange clocks."""

from __future__ import annotations

import json
import os
import time
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


STRANGE = [
    "with space",
    "new\nline",
    "tab\tand\\backslash",
    """quotes'"`$(touch oops)""",
    "ünïcödé 日本語 🎬",
    "-rf",
    "--help",
    "[brackets]{braces}!?",
    "*star*",
    "a=b:c%d",
    "~home",
    "#hash;semi|pipe&amp",
    "dot.in.the.name",
    "ends in dots...",
]


def test_strange_names(project: Project) -> None:
    """Spaces, newlines, quotes, brackets, leading dashes and non-ASCII in a recording's name, from end to end.

    Each is a job with its own outputs and its delivered copy; nothing runs twice; none is run by a shell.
    """
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    for number, name in enumerate(STRANGE):
        project.write(f"media/{name}.txt", f"{number}\n")
    first = project.run()
    assert (first.status, len(first.ran)) == (0, 3 * len(STRANGE)), first.out
    made = sorted(path.read_text() for path in project.root.glob("jobs/*/C/c.txt"))
    assert made == sorted(f"{str(number)[::-1]}\n" * 2 for number in range(len(STRANGE)))
    assert len(list((project.root / "out").iterdir())) == len(STRANGE)
    assert not list(project.root.rglob("oops"))
    second = project.run()
    assert (second.status, second.ran) == (0, [])
    assert len(second.skipped) == 3 * len(STRANGE)
    for command in (["check"], ["status"], ["list", "--all"], ["validate"], ["clean"]):
        assert project.command(*command).status == 0, command
    assert list(project.root.glob("jobs/*/C/*")) == []


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


def test_a_source_with_a_leading_dash_beside_the_pipeline(project: Project) -> None:
    """`-n.txt` is handed over as `./-n.txt`, so that no program takes it for an option."""
    project.write("pipeline.toml", CHAIN.replace("media/*.txt", "*.txt"))
    project.write("-n.txt", "hello\n")
    run = project.run()
    assert run.status == 0
    assert project.read("jobs/-n/C/c.txt") == "olleh\nolleh\n"


def test_names_that_are_no_utf8(project: Project) -> None:
    """A recording whose name is no UTF-8 is refused by name, exit 3; beside it nothing runs."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    name = os.fsencode(project.root / "media") + b"/bad\xff.txt"
    Path(os.fsdecode(name)).write_text("x")
    run = project.run()
    assert (run.status, run.ran) == (3, [])
    assert "UTF-8" in run.err
    assert "Traceback" not in run.err


def test_mtimes_in_the_future_and_in_1970(chain: Project) -> None:
    """A clock that was wrong when a file was written: nothing runs for it, and an edit under it is seen."""
    files = ["media/one.txt", "jobs/one/A/a.txt", "jobs/one/B/b.txt"]
    for moment_s in (time.time() + 10 * 365 * 86_400, 0):
        for file in files:
            os.utime(chain.root / file, (moment_s, moment_s))
        assert settled(chain)
        chain.write("media/one.txt", f"{moment_s}\n")
        os.utime(chain.root / "media/one.txt", (moment_s, moment_s))
        assert chain.run().ran == ["A:one", "B:one", "C:one"]


@pytest.mark.parametrize("offset_s", [-10 * 86_400, 10 * 86_400])
def test_manifests_from_another_clock(chain: Project, offset_s: int) -> None:
    """Manifests written when the clock was days ahead or behind are as good as any; no time decides."""
    for stage in "ABC":
        file = chain.root / f"jobs/one/{stage}/manifest.json"
        manifest = json.loads(file.read_text())
        manifest["timestamp"] += offset_s
        manifest["last_checked_ts"] += offset_s
        file.write_text(json.dumps(manifest))
    assert settled(chain)
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]


def test_edits_within_the_clocks_granularity(chain: Project) -> None:
    """Two writes of one size in one tick, a run between two others: each run sees the last one, every time."""
    source = chain.root / "media/one.txt"
    for number in range(6):
        source.write_text(f"x{number:04}\n")
        source.write_text(f"y{number:04}\n")
        assert chain.run("A:one").status == 0
        assert chain.read("jobs/one/A/a.txt") == f"y{number:04}\n"
    chain.run()
    output = chain.root / "jobs/one/A/a.txt"
    for number in range(3):
        output.write_text(f"z{number:04}\n")  # right after the run that recorded it
        assert chain.run("A:one").ran == ["A:one"]


def test_a_racy_edit_is_never_taken_for_clean(tmp_path: Path) -> None:
    """In one process: write, digest, write the same size again at once; the digest is always the present one's."""
    from mediabuild.machine.hashing import hash_bytes
    from mediabuild.store.digest import Digests

    digests = Digests(tmp_path)
    file = tmp_path / "racy"
    for number in range(500):
        content = f"{number:06}".encode()
        file.write_bytes(content)
        assert digests.file(file) == hash_bytes(content, "blake3")


def test_chmod_and_hard_links_hash_again_and_run_nothing(chain: Project) -> None:
    """A new ctime means look again, not run again: for the source and for every output."""
    for number, file in enumerate(["media/one.txt", "jobs/one/A/a.txt", "jobs/one/B/b.txt", "jobs/one/C/c.txt"]):
        (chain.root / file).chmod(0o600)
        os.link(chain.root / file, chain.root / f"link{number}")
    assert settled(chain)
    (chain.root / "link1").write_text("mine\n")  # writes through the hard link
    assert chain.run().ran == ["A:one"]


def test_hard_linked_outputs_do_not_share_their_fate(chain: Project) -> None:
    """A backup made of hard links keeps its bytes when a stage runs again: outputs are new files."""
    os.link(chain.root / "jobs/one/C/c.txt", chain.root / "backup.txt")
    chain.write("media/one.txt", "world\n")
    chain.run()
    assert chain.read("backup.txt") == "olleh\nolleh\n"


def test_another_checksum_runs_nothing(chain: Project) -> None:
    """`checksum = "sha256"` re-hashes and re-runs nothing; from then on changes are seen as before; and back."""
    chain.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"'))
    assert settled(chain)
    for stage in "ABC":
        text = chain.read(f"jobs/one/{stage}/manifest.json")
        assert "blake3:" not in text
        assert "sha256:" in text
    assert chain.command("validate").status == 0
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    chain.write("pipeline.toml", CHAIN)
    assert settled(chain)
    assert "blake3:" in chain.read("jobs/one/B/manifest.json")
    chain.write("jobs/one/B/b.txt", "mine\n")
    assert chain.run().ran == ["B:one"]


def test_an_edit_is_seen_across_a_change_of_checksum(chain: Project) -> None:
    """The switch launders nothing: what was edited before it is stale after it."""
    chain.write("jobs/one/B/b.txt", "mine\n")
    chain.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"'))
    assert chain.run().ran == ["B:one"]
    assert chain.read("jobs/one/C/c.txt") == "olleh\nolleh\n"


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
