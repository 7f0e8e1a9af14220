"""The same recording in another job is not heard again, and damaged outputs come back from good copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project, Ran

STAGE = """
import msgspec

from mediabuild.stage import Context, stage


class Params(msgspec.Struct, forbid_unknown_fields=True):
    times: int = 1


@stage(version=1, inputs={"text": ""}, outputs={"text": "NAME.txt", "parts": "parts"})
def NAME(ctx: Context, params: Params) -> None:
    ctx.output("text").write_text(ctx.input("text").read_text() * params.times + "NAME\\n")
    ctx.output("parts").mkdir()
    (ctx.output("parts") / "a.txt").write_text("part")
"""
PIPELINE = """
[pipeline]
sources = ["media/**/*.txt"]

[stages.hear]
inputs = { text = "source" }

[stages.write]
inputs  = { text = "hear.text" }

[stages.count]
command = ["sh", "-c", 'wc -c < "$1" > "$2"', "count", "{inputs.text}", "{outputs.count}"]
inputs  = { text = "write.text" }
outputs = { count = "count.txt" }
"""
TRACES = "jobs/.mediabuild/traces"


@pytest.fixture
def shelf(project: Project) -> Project:
    """One job of two Python stages and a command, built."""
    for name in ("hear", "write"):
        project.write(f"stages/{name}.py", STAGE.replace("NAME", name))
    project.write("pipeline.toml", PIPELINE)
    project.write("media/a.txt", "hello\n")
    assert project.run().status == 0
    return project


def sources(run: Ran) -> dict[str, str]:
    """Restored task → where it came from."""
    return {e["task"]: e.get("source", "") for e in run.events if e["event"] == "stage_restored"}


def is_fresh(project: Project) -> None:
    """Nothing is left to do, and every manifest describes its outputs."""
    assert project.run().ran == []
    validated = project.command("validate")
    assert validated.status == 0, validated.out


def test_a_duplicate_is_copied(shelf: Project) -> None:
    """Python stages don't run for it, the command does; the copies are files of their own, the manifests its own."""
    shutil.copyfile(shelf.root / "media/a.txt", shelf.root / "media/b.txt")
    run = shelf.run()
    assert sources(run) == {"hear:b": "hear:a", "write:b": "write:a"}
    assert run.ran == ["count:b"]
    assert "RESTORED hear:b from hear:a" in run.out
    manifest = json.loads(shelf.read("jobs/b/hear/manifest.json"))
    assert (manifest["task"], list(manifest["inputs"]["text"])) == ("hear:b", ["media/b.txt"])
    with (shelf.root / "jobs/b/hear/hear.txt").open("a") as file:
        file.write("edited in place")
    assert shelf.read("jobs/a/hear/hear.txt") == "hello\nhear\n"
    assert shelf.run().tasks("stage_restored") == ["hear:b"]
    is_fresh(shelf)


def test_a_renamed_recording_is_not_heard_again(shelf: Project) -> None:
    """Its old job's directory is still there."""
    (shelf.root / "media/season1").mkdir()
    (shelf.root / "media/a.txt").rename(shelf.root / "media/season1/one.txt")
    run = shelf.run()
    assert sorted(sources(run)) == ["hear:season1/one", "write:season1/one"]
    assert run.ran == ["count:season1/one"]
    is_fresh(shelf)


@pytest.mark.parametrize("way", ["killed", "checksum"])
def test_what_is_fresh_is_found_by_other_jobs(shelf: Project, way: str) -> None:
    """Where a kill came before it was noted who holds the outputs, or digests are of another kind now: noted anew."""
    if way == "killed":
        shutil.rmtree(shelf.root / TRACES)
    else:
        shelf.write("pipeline.toml", PIPELINE.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"'))
    assert shelf.run().ran == []
    (shelf.root / "media/a.txt").rename(shelf.root / "media/b.txt")
    assert sorted(sources(shelf.run())) == ["hear:b", "write:b"]


def test_what_another_job_keeps_of_earlier_params_counts_too(shelf: Project) -> None:
    """Its generation is copied, and stays."""
    shelf.write("pipeline.toml", PIPELINE + "[jobs.a]\nparams.write = { times = 2 }\n")
    assert "write:a" in shelf.run().ran
    shutil.copyfile(shelf.root / "media/a.txt", shelf.root / "media/b.txt")
    assert sorted(sources(shelf.run())) == ["hear:b", "write:b"]
    shelf.write("pipeline.toml", PIPELINE)
    assert sources(shelf.run())["write:a"] == ""


@pytest.mark.parametrize("damage", ["output", "manifest", "gone", "lines", "escape", "file"])
def test_nothing_unsound_is_copied(shelf: Project, damage: str, tmp_path: Path) -> None:
    """A changed output, a manifest that can't be read, no directory, garbage in the registry: the stages run."""
    if damage == "output":
        for name in ("hear", "write"):
            shelf.write(f"jobs/a/{name}/{name}.txt", "something else")
    elif damage == "manifest":
        for name in ("hear", "write"):
            shelf.write(f"jobs/a/{name}/manifest.json", "{")
    elif damage == "gone":
        shutil.rmtree(shelf.root / "jobs/a")
    elif damage == "file":
        shutil.rmtree(shelf.root / TRACES)
        shelf.write(TRACES, "a file")
    else:
        outside = tmp_path / "outside"
        shutil.copytree(shelf.root / "jobs/a", outside / "a")
        lines = {
            "lines": b"\xff\n[1,2]\n{}\n\n",
            "escape": json.dumps([f"../../outside/a/{n}" for n in ("hear", "write")] + ["hear"]).encode(),
        }
        for file in (shelf.root / TRACES).glob("*/*"):
            file.write_bytes(lines[damage])
    (shelf.root / "media/a.txt").rename(shelf.root / "media/b.txt")
    run = shelf.run()
    assert run.status == 0, run.out + run.err
    assert sources(run) == {}
    assert sorted(run.ran) == ["count:b", "hear:b", "write:b"]
    assert "Traceback" not in run.err


def test_forced_never_copies(shelf: Project) -> None:
    """`--force` runs what it names."""
    shutil.copyfile(shelf.root / "media/a.txt", shelf.root / "media/b.txt")
    assert "hear:b" in shelf.run("--force", "hear:b").ran


def test_gc_forgets_traces_that_nobody_holds(shelf: Project) -> None:
    """What is held stays."""
    files = sorted((shelf.root / TRACES).glob("*/*"))
    assert len(files) == 2
    shelf.command("gc")
    assert sorted((shelf.root / TRACES).glob("*/*")) == files
    shutil.rmtree(shelf.root / "jobs/a")
    shelf.command("gc")
    assert sorted((shelf.root / TRACES).glob("*/*")) == []


def test_a_person_s_text_stays_in_its_job(shelf: Project) -> None:
    """An adopted output is nobody else's result."""
    shelf.write("jobs/a/write/write.txt", "mine")
    assert shelf.command("reset-dep", "write:a").status == 0
    shutil.copyfile(shelf.root / "media/a.txt", shelf.root / "media/b.txt")
    run = shelf.run()
    assert "write:b" in run.ran
    assert shelf.read("jobs/b/write/write.txt") == "hello\nhear\nwrite\n"


@pytest.mark.parametrize("damage", ["missing", "edited", "truncated"])
def test_outputs_come_back_from_delivered_copies(project: Project, damage: str) -> None:
    """Nothing runs, an edit is kept beside; where the copy is bad too, the stage runs."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    output = project.root / "jobs/one/C/c.txt"
    for copy_is_good in (True, False):
        if damage == "missing":
            output.unlink()
        else:
            output.write_text("mine\n" if damage == "edited" else "")
        if not copy_is_good:
            (project.root / "out/one.txt").write_text("bad")
        run = project.run()
        assert run.status == 0
        assert (run.ran, sources(run)) == (([], {"C:one": "delivered copies"}) if copy_is_good else (["C:one"], {}))
        assert output.read_text() == "olleh\nolleh\n"
        assert project.run().ran == []
    assert (project.root / "jobs/one/C.edited/c.txt").exists() == (damage != "missing")


def test_the_limit_counts_jobs_that_are_left_out(project: Project) -> None:
    """A run that looks at one job only still holds `max_gb` over what all jobs keep."""
    project.write("pipeline.toml", CHAIN + "\n[cache]\nmax_gb = 0.000012\n")
    for name in "ab":
        project.write(f"media/{name}.txt", name * 999 + "\n")
    for times in (2, 3, 4):
        project.write("pipeline.toml", CHAIN.replace("times = 2", f"times = {times}") + "[cache]\nmax_gb = 0.000012\n")
        assert project.run().status == 0
    project.run()
    project.write("media/a.txt", "b" * 999 + "\n")
    assert "B:a" in project.run().ran
    kept = project.root.glob("jobs/*/.mediabuild/generations/*/*/*")
    assert 0 < sum(file.stat().st_size for file in kept) <= 12_000
