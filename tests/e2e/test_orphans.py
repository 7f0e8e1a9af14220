"""Jobs whose recording is gone: shown, and removed by `clean --orphans` only."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.e2e.conftest import CHAIN, Project


@pytest.fixture
def shelf(project: Project) -> Project:
    """Three jobs, one of them in a folder and one inside that folder's namesake; built, delivered."""
    sources = CHAIN.replace('["media/*.txt"]', '["media/**/*.txt"]')
    project.write("pipeline.toml", sources + 'deliver = "out/{job}"\n')
    for name in ("a", "a/deep", "show/b"):
        project.write(f"media/{name}.txt", f"{name}\n")
    assert project.run().status == 0
    return project


def gone(project: Project, *names: str) -> None:
    """Remove recordings."""
    for name in names:
        (project.root / f"media/{name}.txt").unlink()


def test_an_orphan_is_shown_and_only_clean_orphans_removes_it(shelf: Project) -> None:
    """A run, `status` and its JSON name it; nothing else touches it; `--dry-run` removes nothing."""
    gone(shelf, "show/b")
    for run in (shelf.run(), shelf.run()):
        assert run.status == 0
        assert "ORPHAN  show/b: no source any more" in run.out
    assert "show/b: orphaned, media/show/b.txt is gone" in shelf.command("status").out
    states = {t["job"]: t["state"] for t in json.loads(shelf.command("status", "--json").out)}
    assert states == {"a": "fresh", "a/deep": "fresh", "show/b": "orphaned"}
    assert shelf.command("check").status == 0
    assert shelf.command("clean", "A").status == 0
    before = sorted(shelf.root.rglob("*"))
    dry = shelf.command("clean", "--orphans", "--dry-run")
    assert "show/b - removing file 'out/show/b.txt'" in dry.out
    assert sorted(shelf.root.rglob("*")) == before
    assert shelf.command("clean", "--orphans").status == 0
    assert not (shelf.root / "jobs/show").exists()
    assert not (shelf.root / "out/show/b.txt").exists()
    assert shelf.read("out/a.txt")
    assert "ORPHAN" not in shelf.run().out


def test_a_job_inside_the_orphan_and_what_a_person_wrote_stay(shelf: Project) -> None:
    """An edited output, an edited copy and a note stay and the edited ones are named; another job in there stays."""
    gone(shelf, "a")
    assert "ORPHAN  a:" in shelf.run().out
    shelf.write("jobs/a/B/b.txt", "mine\n")
    shelf.write("out/a.txt", "mine too\n")
    shelf.write("jobs/a/A/note", "a note\n")
    said = shelf.command("clean", "--orphans").out
    assert "keeping 'jobs/a/B/b.txt': it was edited" in said
    assert "keeping 'out/a.txt': it was edited" in said
    left = sorted(str(f.relative_to(shelf.root)) for f in (shelf.root / "jobs/a").rglob("*") if f.is_file())
    assert [f for f in left if "deep" not in f] == ["jobs/a/A/note", "jobs/a/B/b.txt"]
    assert shelf.read("out/a.txt") == "mine too\n"
    run = shelf.run()
    assert (run.ran, "ORPHAN" in run.out) == ([], False)  # there is nothing more that could be removed


def test_a_renamed_recording_is_a_new_job_and_an_orphan(shelf: Project) -> None:
    """The new name is built, the old one is shown; back again, the old outputs are still there."""
    (shelf.root / "media/a.txt").rename(shelf.root / "media/c.txt")
    run = shelf.run()
    assert run.ran == ["A:c", "B:c", "C:c"]
    assert "ORPHAN  a: " in run.out
    (shelf.root / "media/c.txt").rename(shelf.root / "media/a.txt")
    back = shelf.run()
    assert (back.ran, "ORPHAN  c: " in back.out) == ([], True)


def test_a_recording_out_of_sight_makes_no_orphan(shelf: Project) -> None:
    """A glob that matches nothing at all (a drive that isn't there) and a recording that others made leave none."""
    text = shelf.read("pipeline.toml").replace('["media/**/*.txt"]', '["media/**/*.txt", "drive/*.txt"]')
    shelf.write("pipeline.toml", text)
    shelf.write("drive/d.txt", "d\n")
    shelf.write("else/e.txt", "e\n")
    assert shelf.run("--source", "else/e.txt").status == 0
    assert shelf.run("--source", "else/e.txt", "--job-dir", "jobs/e-again").status == 0
    assert "ORPHAN" not in shelf.run().out
    (shelf.root / "drive").rename(shelf.root / "unplugged")
    assert "ORPHAN" not in shelf.run().out
    said = shelf.command("clean", "--orphans").out
    assert "nothing matches drive/*.txt" in said
    assert "0 orphaned jobs" in said
    assert shelf.read("jobs/d/C/c.txt")
    assert shelf.command("clean", "--orphans", "a").status == 3


def test_a_job_that_never_worked_is_an_orphan_too(shelf: Project) -> None:
    """A recording that failed at the first stage and was taken away leaves nothing behind."""
    text = shelf.read("pipeline.toml")
    shelf.write("pipeline.toml", text.replace("'cp ", """'! grep -q bad "$1" && cp """))
    shelf.write("media/bad.txt", "bad\n")
    assert shelf.run().status == 1
    gone(shelf, "bad")
    assert "bad: orphaned" in shelf.command("status").out
    assert shelf.command("clean", "--orphans").status == 0
    assert not (shelf.root / "jobs/bad").exists()


def test_a_record_that_leads_outside_removes_nothing_there(shelf: Project) -> None:
    """A forged record of copies can't reach beyond the project, nor at what a present job delivers."""
    outside = shelf.root.parent / "treasure"
    outside.write_bytes((shelf.root / "out/show/b.txt").read_bytes())
    record = shelf.root / "jobs/show/b/.mediabuild/delivered/C.json"
    content = json.loads(record.read_text())
    digest = content["out/show/b.txt"]
    other = json.loads(shelf.read("jobs/a/.mediabuild/delivered/C.json"))["out/a.txt"]
    record.write_text(json.dumps({"../treasure": digest, str(outside): digest, "out/a.txt": other}))
    gone(shelf, "show/b")
    assert shelf.command("clean", "--orphans").status == 0
    assert outside.exists()
    assert shelf.read("out/a.txt")


def test_a_recording_elsewhere_is_not_gone(shelf: Project) -> None:
    """Built with `--source` from outside the project: while it is there, it is no orphan."""
    outside = shelf.root.parent / "elsewhere/far.txt"
    outside.parent.mkdir()
    outside.write_text("far\n")
    assert shelf.run(f"--source={outside}").status == 0
    assert "ORPHAN" not in shelf.run().out
    assert "0 orphaned jobs" in shelf.command("clean", "--orphans").out
    assert shelf.read("jobs/far/A/a.txt") == "far\n"
    outside.unlink()
    assert "far: orphaned" in shelf.command("status").out


def test_a_folder_of_a_brace_set_may_be_out_of_sight(shelf: Project) -> None:
    """One choice that matches nothing: a drive that isn't mounted; none of its jobs is an orphan."""
    pipeline = shelf.read("pipeline.toml")
    shelf.write("pipeline.toml", pipeline.replace("media/**/*.txt", "{media,more}/*.txt"))
    for name in ("more/m.txt", "more/n.txt"):
        shelf.write(name, "m\n")
    assert shelf.run().status == 0
    for name in ("more/m.txt", "more/n.txt"):
        (shelf.root / name).unlink()
    assert "ORPHAN" not in shelf.run().out


def test_a_stage_whose_only_run_was_killed_is_known(project: Project) -> None:
    """It never got to a manifest, and then went from the pipeline: what it left can be seen and removed."""
    project.write("pipeline.toml", CHAIN.replace('rev "$1" > "$2"', 'echo half > "$2"; kill -9 $PPID'))
    project.write("media/one.txt", "hello\n")
    assert project.run().status == -9
    project.write("pipeline.toml", CHAIN.partition("[stages.C]")[0])
    assert project.run().status == 0
    assert list(project.root.glob("jobs/one/.mediabuild/tmp/C.*"))
    assert "C:one: withdrawn" in project.command("status").out
    assert project.command("clean", "--orphans").status == 0
    assert list((project.root / "jobs").rglob("C.*")) == []
    assert "C:one" not in project.command("status").out


def test_a_job_whose_only_run_was_killed_is_known(project: Project) -> None:
    """The run died before its end; then the recording was renamed: what was built is shown, and can be removed."""
    project.write("pipeline.toml", CHAIN.replace('rev "$1" > "$2"', "kill -9 $PPID"))
    project.write("media/a.txt", "a\n")
    assert project.run().status == -9
    (project.root / "media/a.txt").rename(project.root / "media/b.txt")
    project.write("pipeline.toml", CHAIN)
    run = project.run()
    assert run.status == 0 and "ORPHAN  a: no source any more" in run.out
    assert "a: orphaned" in project.command("status").out
    assert project.command("clean", "--orphans").status == 0
    assert not (project.root / "jobs/a/A").exists()


def test_a_removal_that_was_killed_can_be_done_again(shelf: Project) -> None:
    """Killed before any of its operations, `clean --orphans` removes the rest the next time."""
    gone(shelf, "show/b")
    kept, number, status = shelf.root.with_name("kept"), 1, -9
    shutil.copytree(shelf.root / "jobs/show", kept)
    while status == -9:
        assert shelf.launcher is not None
        status = shelf.launcher.run(shelf.root, "clean", "--orphans", env=shelf.env, kill_at=number)
        said = shelf.command("clean", "--orphans").out
        left = [path for path in (shelf.root / "jobs").rglob("show/b/**/*") if path.is_file() or path.name[0] == "."]
        assert left == [] and "nobody knows" not in said, f"{number}\n{said}"
        shutil.copytree(kept, shelf.root / "jobs/show", dirs_exist_ok=True)
        number += 5
    assert (status, number > 20) == (0, True)


def test_what_clean_leaves_of_a_job_is_an_orphan_too(shelf: Project) -> None:
    """Its outputs were removed, and then its recording: the state that is left can be seen and removed."""
    assert shelf.command("clean", "*:show/b").status == 0
    gone(shelf, "show/b")
    assert "ORPHAN  show/b: no source any more" in shelf.run().out
    assert "show/b: orphaned, nothing but its state is left" in shelf.command("status").out
    assert shelf.command("clean", "--orphans").status == 0
    assert not (shelf.root / "jobs/show").exists()
