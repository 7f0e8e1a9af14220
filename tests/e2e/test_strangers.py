"""A jobs directory from somebody else: whatever lies in it, nothing outside of it is changed or removed, nothing waits.

One project has a job for each trick: links where directories or files of ours are expected, manifests and records that
name paths elsewhere, pipes. Then every command is tried on it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/**/*.txt"]

[stages.A]
command = ["cp", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "a.txt" }
deliver = "out/{job}"

[stages.T]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "t.txt" }
temp = true

[stages.U]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "T.text" }
outputs = { text = "u.txt" }

[stages.D]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "d.txt" }
matrix  = { v = ["x"] }
deliver = "out/{job}.{v}"
"""
COMMANDS = ("status", "check", "cache", "run", "gc", "changed", "temp", "forget", "clean", "withdrawn", "orphans")
STATE = ".mediabuild"


def build(project: Project, jobs: Iterable[str]) -> Project:
    """Jobs with outputs, copies, earlier outputs and an edit."""
    project.write("pipeline.toml", PIPELINE)
    names = ["good", *jobs]
    for content in ("early\n", "hello\n"):
        for job in names:
            project.write(f"media/{job}.txt", content)
        assert project.run().status == 0
    for job in names:
        project.write(f"jobs/{job}/A/mine.txt", "a person's\n")
    return project


def play(project: Project, command: str) -> None:
    """Do something that makes a command work in the jobs directory."""
    sources = list((project.root / "media").rglob("*.txt"))
    if command == "changed":
        for source in sources:
            source.write_text("changed\n")
        ran = project.run()
    elif command == "orphans":
        for source in sources:
            if source.stem != "good":
                source.unlink()
        ran = project.command("clean", "--orphans")
    elif command == "withdrawn":
        text = project.read("pipeline.toml")
        project.write("pipeline.toml", text.partition("[stages.D]")[0].replace('deliver = "out/{job}"\n', ""))
        ran = project.run()
        ran = project.command("clean", "--orphans")
    elif command == "gc":
        ran = project.command("gc", "--all")
    elif command == "forget":
        project.command("forget", "A")
        ran = project.run()
    elif command == "temp":
        for output in project.root.glob("jobs/**/U/u.txt"):
            output.unlink()
        ran = project.run()
    else:
        ran = project.run() if command == "run" else project.command(command)
    assert "Traceback" not in ran.err + ran.out, ran.err


def contents(folder: Path) -> dict[str, tuple[bytes | None, float]]:
    """All that is below a folder: content, and when it was changed."""
    found = sorted(path for path in folder.rglob("*"))
    return {str(p): (p.read_bytes() if p.is_file() else None, os.lstat(p).st_mtime_ns) for p in found}


def lead_out(link: Path, target: Path) -> None:
    """Put a link where a directory of ours is; what was there is now in the folder that it leads to, and more."""
    if os.path.lexists(link):
        link.rename(target)
    else:
        link.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir()
    for name in ("A.lock", "A.log", "A.json", "A.failed", "U", "A.0123abcd.part", "manifest.json", "job.toml"):
        if not (target / name).exists():
            (target / name).write_text("precious")
    for folder in ("ab", "a" * 64, "A.old", "A.01234567"):
        (target / folder).mkdir(exist_ok=True)
        (target / folder / ("c" * 62)).write_text("precious")
    link.symlink_to(target)


LINKS = {
    "above/one": "..", "a-job": "", "a-stage": "A", "a-matrix": "D", "a-value": "D/x", "edited": "A.edited",
    "edited-matrix": "D.edited", "edited-value": "D.edited/x", "state": STATE, "earlier": f"{STATE}/generations/A",
    "earlier-value": f"{STATE}/generations/D@x",
    **{name: f"{STATE}/{name}" for name in
       ("locks", "logs", "marks", "delivered", "tmp", "swap", "units", "generations")},
}  # fmt: skip


def test_links_in_the_place_of_directories(project: Project) -> None:
    """Every command leaves what they lead to as it was; the other job is built; who is in the way is named."""
    build(project, LINKS)
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    for job, place in LINKS.items():
        lead_out(Path(os.path.normpath(project.root / "jobs" / job / place)), elsewhere / job.replace("/", "-"))
    before = contents(elsewhere)
    for command in COMMANDS:
        play(project, command)
        assert contents(elsewhere) == before, command
        if command == "changed":
            assert project.read("out/good.txt") == "changed\n"
            said = [
                line for line in project.run().out.splitlines() if line.startswith("FAILED") and "is a link" in line
            ]
            assert [job for job in LINKS if not any(f":{job}" in line for line in said)] == []


@pytest.mark.parametrize("place", [STATE, f"{STATE}/traces", f"{STATE}/traces/ab", f"{STATE}/slots"])
def test_a_link_in_the_place_of_a_directory_of_all_jobs(project: Project, place: str) -> None:
    """No command writes or removes anything there."""
    build(project, ["one"])
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    lead_out(project.root / "jobs" / place, elsewhere / "target")
    before = contents(elsewhere)
    for command in COMMANDS:
        play(project, command)
        assert contents(elsewhere) == before, command


FILES = {
    "summary": "manifest.json", "resolved": "job.toml", "manifest": "A/manifest.json", "output": "A/a.txt",
    "lock": f"{STATE}/locks/A.lock", "log": f"{STATE}/logs/A.log", "record": f"{STATE}/delivered/A.json",
    "mark": f"{STATE}/marks/A.failed", "units": f"{STATE}/units/A", "owner": f"{STATE}/pipeline",
}  # fmt: skip
SHARED = (f"{STATE}/events.jsonl", f"{STATE}/fresh.index", f"{STATE}/stats.cache", f"{STATE}/devices.json")


def places_of_files(project: Project) -> list[Path]:
    """Where files of ours lie, each in a job of its own; and those of all jobs."""
    jobs = project.root / "jobs"
    return [*(jobs / job / place for job, place in FILES.items()), *(jobs / place for place in SHARED)]


def test_links_in_the_place_of_files(project: Project) -> None:
    """What they lead to is neither written nor removed."""
    build(project, FILES)
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    for number, link in enumerate(places_of_files(project)):
        target = elsewhere / f"{number}.{link.name}"
        target.write_bytes(b"precious " * 1_000_000)  # a log of this size is rotated
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    before = contents(elsewhere)
    for command in COMMANDS:
        play(project, command)
        assert contents(elsewhere) == before, command
    assert project.read("jobs/good/A/a.txt") == "changed\n"


def test_pipes_in_the_place_of_files(project: Project) -> None:
    """No command waits for somebody to write into them."""
    build(project, FILES)
    for command in COMMANDS:
        for path in places_of_files(project):
            if path.parent.is_dir():
                path.unlink(missing_ok=True)
                os.mkfifo(path)
        play(project, command)


RECORDED = (
    "../keep.txt", "{root}/../keep.txt", "out/../notes.txt", "notes.txt", "media/good.txt", "pipeline.toml",
    "corrections/one.txt", "jobs/good/A/a.txt", "", ".", "out/a\0b", "out", "/",
)  # fmt: skip


@pytest.mark.parametrize("command", ["changed", "clean", "withdrawn", "orphans"])
def test_records_of_copies_that_were_never_made(project: Project, command: str) -> None:
    """With the right digest, for times that a stranger could guess: every file stays."""
    build(project, ["one"])
    for name in ("../keep.txt", "notes.txt", "corrections/one.txt"):
        project.write(name, "hello\n")
    files = [project.root / name.format(root=project.root) for name in RECORDED if name and "\0" not in name]
    before = {file: file.read_bytes() for file in files if file.is_file()}
    digests = json.loads(project.read("jobs/one/A/manifest.json"))["outputs"]["text"].values()
    for key in ("A", "D@x", "gone"):
        record = project.root / "jobs/one" / STATE / f"delivered/{key}.json"
        made = json.loads(record.read_text()) if record.exists() else {}
        forged = {
            name.format(root=project.root): [[digest, t] for digest in digests for t in (0, 1)] for name in RECORDED
        }
        record.write_text(json.dumps(made | forged))
    play(project, command)
    after = {file: file.read_bytes() if file.exists() else None for file in before}
    rewritten = {project.root / name for name in ("media/good.txt", "pipeline.toml", "jobs/good/A/a.txt")}
    assert {f: c for f, c in after.items() if f not in rewritten} == {
        f: c for f, c in before.items() if f not in rewritten
    }
    assert all(file.exists() for file in rewritten if command != "clean" or "jobs" not in str(file))


PATHS = (
    "l/keep.txt", "../../../../elsewhere/keep.txt", "{elsewhere}/keep.txt", "a/../../x", ".", "", "a//b", "a\0b",
    "./a.txt", "l",
)  # fmt: skip


@pytest.mark.parametrize("command", ["changed", "clean", "withdrawn", "orphans", "temp", "gc"])
def test_manifests_that_list_what_is_elsewhere(project: Project, command: str) -> None:
    """Behind a link, above, absolute, or no path at all: what lies there stays, and nobody stumbles."""
    keep = project.write("../elsewhere/keep.txt", "hello\n")
    build(project, [f"job{number}" for number in range(len(PATHS))])
    for number, path in enumerate(PATHS):
        for stage in ("A", "T", "D/x"):
            folder = project.root / f"jobs/job{number}/{stage}"
            (folder / "l").symlink_to(keep.parent)
            manifest = json.loads((folder / "manifest.json").read_text())
            digest = next(iter(manifest["outputs"]["text"].values()))
            manifest["outputs"]["other"] = {path.format(elsewhere=keep.parent): digest}
            (folder / "manifest.json").write_text(json.dumps(manifest))
    play(project, command)
    assert keep.read_text() == "hello\n"


PERSONS = (
    "tmp/notes", "tmp/A.mine", "tmp/A.01234567.mine/x", "tmp/A/x", "swap/keep/x", "swap/A.older", "units/my notes",
    "generations/A/mine/x", "generations/my folder/x", "marks/A.note", "locks/notes.lock.bak", "notes.txt",
)  # fmt: skip


def test_what_has_no_name_of_ours_stays(project: Project) -> None:
    """In every folder, whatever is swept, collected or removed."""
    build(project, ["one"])
    paths = [project.root / "jobs/one" / STATE / name for name in PERSONS]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    for command in ("run", "changed", "gc", "withdrawn", "orphans"):
        play(project, command)
        assert [str(path) for path in paths if not path.exists()] == [], command


def test_the_jobs_directory_itself_may_be_a_link(project: Project) -> None:
    """Where it lies is the user's to say."""
    build(project, ["one"])
    shutil.move(project.root / "jobs", project.root.parent / "large")
    (project.root / "jobs").symlink_to(project.root.parent / "large")
    assert project.run().ran == []
    play(project, "changed")
    assert project.read("out/one.txt") == "changed\n"
