"""The derived index: what it answers is what a look at every task answers, and whatever changes is noticed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.store import index
from tests.e2e.conftest import PROGRAM, Project, Ran
from tests.e2e.crash import Launcher

ROOT = Path(__file__).parents[2]
INDEX = "jobs/.mediabuild/fresh.index"
UPPER = """
import msgspec

from mediabuild.stage import Context, stage


class Params(msgspec.Struct, forbid_unknown_fields=True):
    pass


@stage(version=1, inputs={"text": "", "words": ""}, outputs={"text": "upper.txt"})
def upper(ctx: Context, params: Params) -> None:
    ctx.output("text").write_text(ctx.input("text").read_text().upper())
"""
PIPELINE = """
[pipeline]
sources = ["media/**/*.txt", "!media/**/no*"]

[stages.upper]
inputs  = { text = "source", words = "./words" }
deliver = "out/{job}"

[stages.join]
command = ["sh", "-c", 'out=$1; shift; for f; do [ -z "$f" ] || cat "$f"; done > "$out"', "join", "{outputs.text}",
           "{inputs.text}", "{inputs.notes}", "{inputs.more}"]
inputs  = { text = "upper.text", notes = "./notes/*.txt", more = "?./more.txt" }
outputs = { text = "join.txt" }

[stages.parts]
command = ["sh", "-c", 'mkdir "$1"; cp "$2" "$1/a.txt"', "parts", "{outputs.all}", "{inputs.text}"]
inputs  = { text = "join.text", mine = "?./mine/{job}.txt" }
outputs = { all = "all/" }
"""
ALL = ["upper", "join", "parts"]
HEARING = """
[pipeline]
sources = ["*.wav"]

[stages.demux]
inputs = { media = "source" }

[stages.detect_speech]
inputs = { audio = "demux.audio" }

[stages.transcribe]
inputs = { audio = "demux.audio", speech = "detect_speech.segments" }
params = { model = "some/model" }
"""


def tasks(*jobs: str, stages: list[str] = ALL) -> list[str]:
    """Task names, sorted."""
    return sorted(f"{stage}:{job}" for job in jobs for stage in stages)


def both(stages: list[str]) -> list[str]:
    """These stages' tasks of both jobs."""
    return tasks("a", "deep/b", stages=stages)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> Project:
    """Two jobs, all built."""
    project = Project(tmp_path_factory.mktemp("built"), launcher)
    project.write("stages/upper.py", UPPER)
    project.write("pipeline.toml", PIPELINE)
    project.write("words/de/a.txt", "wort")
    project.write("notes/one.txt", "note\n")
    for name in ("a", "deep/b"):
        project.write(f"media/{name}.txt", f"{name}\n")
    first = project.run()
    assert first.status == 0, first.out + first.err
    return project


@pytest.fixture
def shelf(project: Project, built: Project) -> Project:
    """A copy of it, and an index that vouches for both jobs."""
    shutil.copytree(built.root, project.root, dirs_exist_ok=True)
    assert project.run().ran == []
    assert sorted(index.load(project.root / INDEX).jobs) == ["a", "deep/b"]
    return project


def said(run: Ran) -> list[Any]:
    """What a run said, without what is never the same."""
    events = [str({k: v for k, v in e.items() if k not in ("ts", "run", "seconds")}) for e in run.events]
    out = re.sub(r" in [0-9.]+ s", "", run.out)
    return [run.status, sorted(out.splitlines()), run.err, sorted(events)]


def test_a_noop_says_the_same_with_and_without_an_index(shelf: Project) -> None:
    """Console lines, events and status, though in another order; and it is there again afterwards."""
    quick = shelf.run()
    assert sorted(quick.skipped) == tasks("a", "deep/b")
    (shelf.root / INDEX).unlink()
    assert said(shelf.run()) == said(quick)
    assert (shelf.root / INDEX).exists()
    assert said(shelf.run()) == said(quick)


def test_status_shows_when_a_noop_looked_last(shelf: Project) -> None:
    """The manifests aren't written for it: the index's own time counts, for the jobs that it knows."""
    manifest = shelf.root / "jobs/a/upper/manifest.json"
    before, since = manifest.read_bytes(), time.time()
    assert shelf.run().ran == []
    assert manifest.read_bytes() == before
    tasks = json.loads(shelf.command("status", "--json").out)
    assert all(since <= task["last_checked_ts"] <= time.time() for task in tasks)


def test_a_noop_loads_nothing_that_it_does_not_need(shelf: Project) -> None:
    """Neither doit nor msgspec nor the engine is imported where the index answers; it is where it can't."""
    heavy = ("doit", "msgspec", "mediabuild.build", "mediabuild.pipeline.config")
    assert "mediabuild.commands.noop" in loaded(shelf)
    assert not set(heavy) & loaded(shelf)
    assert not set(heavy[1:]) & loaded(shelf, "--events=-", "-n2"), "options that make no difference"
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["doit"]
    shelf.write("pyproject.toml", tomli_w.dumps({"tool": {"doit": config}}))
    assert not set(heavy[1:]) & loaded(shelf, module="doit")
    shelf.write("media/a.txt", "changed")
    assert set(heavy) <= loaded(shelf)


def loaded(project: Project, *args: str, module: str = "mediabuild") -> set[str]:
    """The modules that a run imports."""
    project.program = [sys.executable, "-X", "importtime", "-m", module]
    return {line.rpartition("|")[2].strip() for line in project.command(*args).err.splitlines()}


def test_stages_with_models_and_devices_are_vouched_for(project: Project) -> None:
    """No stage is loaded to find the models anew; whatever could make another one turn up is noticed."""

    def snapshot(name: str) -> None:
        project.write(f"hub/hub/models--some--model/snapshots/{name}/model.bin", name)
        project.write("hub/hub/models--some--model/refs/main", name)

    snapshot("old")
    project.env |= {"HF_HOME": str(project.root / "hub"), "MEDIABUILD_DRIVER": ""}
    project.write("pipeline.toml", HEARING)
    silence = ["-f", "lavfi", "-i", "anullsrc=r=16000", "-t", "1", str(project.root / "one.wav")]
    subprocess.run([ffmpeg_path(), "-loglevel", "error", *silence], check=True)
    assert project.run().status == 0
    assert project.run().ran == []
    assert not {"doit", "mediabuild.stage"} & loaded(project)
    known = index.load(project.root / INDEX)
    assert "some/model" in known.listing.absent, "a folder of this name would be taken first"
    assert {"driver", "HF_HOME"} <= known.surroundings.keys()
    project.env["MEDIABUILD_DRIVER"] = "another"
    assert "doit" in loaded(project), "it asks what the driver means"
    project.env["MEDIABUILD_DRIVER"] = ""
    assert "doit" in loaded(project), "and once more"
    assert "doit" not in loaded(project)
    snapshot("newer")
    project.program = PROGRAM
    found = project.command("check")
    assert found.status == 1
    assert "RUN     transcribe:one  model.whisper changed" in found.out


@pytest.mark.parametrize("args", [(), ("-n", "2"), ("upper",), ("--job", "a")])
def test_a_damaged_index_changes_no_decision(shelf: Project, args: tuple[str, ...]) -> None:
    """Truncated, of another version, of another pipeline, a directory in its place: the same tasks run."""
    file = shelf.root / INDEX
    content = file.read_bytes()
    other = content[: len(content) // 2]
    for number, damaged in enumerate((b"", other, content[:-1], b"x" * 100, content.replace(b'"2 ', b'"0 '))):
        file.write_bytes(damaged)
        shelf.write("media/deep/b.txt", f"b {number}\n")
        run = shelf.run(*args)
        wanted = tasks("deep/b", stages=ALL[:1] if args == ("upper",) else ALL) if args != ("--job", "a") else []
        assert (run.status, sorted(run.ran)) == (0, wanted)
    file.unlink(missing_ok=True)
    file.mkdir()
    assert shelf.run(*args).status == 0


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
@settings(max_examples=200, deadline=None)
def test_an_index_that_is_not_whole_is_empty(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, cut: bool
) -> None:
    """Cut at any byte or with any bit flipped: as if there were none; whole: what was written."""
    entry = index.Entry(
        "media/a",
        index.said_of({"A:a": 1.5}),
        [0],
        5.0,
        1.5,
        index.Watched([b"\xff".decode(errors="surrogateescape")], [(1, 2, 3, 4)], ["b"]),
    )
    assert index.tasks_of([entry]) == {"A:a": 1.5}
    whole = index.Index(code="c", models=[["A", "{}", "{}"]], others=["b"], jobs={"a": entry})  # type: ignore[list-item]
    content = bytearray(whole.encode())
    file = tmp_path_factory.getbasetemp() / "fresh.index"
    file.write_bytes(content)
    assert index.load(file).encode() == whole.encode()
    at = int(place * len(content))
    content[at] ^= 1 << bit
    file.write_bytes(content[:at] if cut else content)
    assert index.load(file).encode() == index.Index().encode()


def remove(name: str) -> Callable[[Project], object]:
    """An edit that removes a file or a directory."""

    def edit(project: Project) -> None:
        path = project.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return edit


def same_size_and_time(project: Project) -> None:
    """Change a source in place; only the change time tells."""
    file = project.root / "media/a.txt"
    stats = file.stat()
    file.write_text("x\n")
    os.utime(file, ns=(stats.st_atime_ns, stats.st_mtime_ns))


EDITS: dict[str, tuple[Callable[[Project], object], list[str]]] = {
    "a source": (lambda p: p.write("media/a.txt", "A\n"), ["upper:a"]),  # its upper case is as before
    "a source's content, not its size and time": (same_size_and_time, tasks("a")),
    "a new source": (lambda p: p.write("media/deep/c.txt", "c\n"), tasks("deep/c")),
    "a new folder of sources": (lambda p: p.write("media/new/c.txt", "c\n"), tasks("new/c")),
    "a removed source": (remove("media/a.txt"), []),
    "an output": (lambda p: p.write("jobs/a/join/join.txt", "?"), ["join:a"]),
    "an output that is gone": (remove("jobs/a/join/join.txt"), ["join:a"]),
    "a file in an output directory": (lambda p: p.write("jobs/a/parts/all/more.txt", ""), ["parts:a"]),
    "a manifest": (remove("jobs/deep/b/upper/manifest.json"), ["upper:deep/b"]),
    "a manifest that says less": (lambda p: p.write("jobs/a/join/manifest.json", "{}"), ["join:a"]),
    "a delivered copy that is gone": (remove("out/a.txt"), []),
    "a file below an input directory": (lambda p: p.write("words/de/a.txt", "wörter"), both(ALL[:1])),
    "a new file below an input directory": (lambda p: p.write("words/de/b", ""), both(ALL[:1])),
    "a new file that a glob finds": (lambda p: p.write("notes/two.txt", "2"), both(ALL[1:])),
    "an optional file that appears": (lambda p: p.write("more.txt", "m"), both(ALL[1:])),
    "an optional file in a folder that wasn't there": (
        lambda p: p.write("mine/deep/b.txt", "m"), tasks("deep/b", stages=ALL[2:]),
    ),
    "a param's default in a stage file": (
        lambda p: p.write("stages/upper.py", UPPER.replace("version=1", "version=2")), both(ALL[:1]),
    ),
    "the pipeline file": (
        lambda p: p.write("pipeline.toml", PIPELINE.replace("a.txt\"'", "b.txt\"'")), both(ALL[2:]),
    ),
    "a failure mark": (lambda p: p.write("jobs/a/.mediabuild/marks/join.forgotten", ""), ["join:a"]),
    "a dodo file": (
        lambda p: p.write("dodo.py", "def task_mine():\n    return {'actions': ['touch mine']}\n"), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_whatever_changes_is_noticed(shelf: Project, name: str) -> None:
    """Each kind of change alone: just what it makes stale runs, or is put together again from what is there."""
    edit, wanted = EDITS[name]
    edit(shelf)
    run = shelf.run()
    assert run.status == 0, run.out + run.err
    assert sorted(run.ran + run.tasks("stage_restored")) == wanted
