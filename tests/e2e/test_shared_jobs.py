"""A jobs directory that several projects share, or that moved with its project: whose job is whose."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import CHAIN, Project


def shared(first: Project, second: Path) -> Project:
    """A second project with the same jobs directory."""
    other = Project(second, first.launcher)
    second.mkdir()
    for project in (first, other):
        project.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\njobs_dir = "../jobs"'))
    first.write("media/one.txt", "one\n")
    other.write("media/two.txt", "two\n")
    return other


def test_two_projects_share_a_jobs_directory(project: Project, tmp_path: Path) -> None:
    """Neither removes what is the other's: by `clean --orphans`, by `gc`; it is named."""
    other = shared(project, tmp_path / "other")
    for one in (project, other):
        for content in ("early\n", "late\n"):
            one.write(f"media/{'one' if one is project else 'two'}.txt", content)
            assert one.run().status == 0
    kept = list((tmp_path / "jobs").rglob("generations/*/*"))
    said = project.command("clean", "--orphans")
    assert (said.status, "0 orphaned jobs" in said.out) == (0, True)
    assert "two - keeping it: it belongs to the pipeline in" in said.out
    assert project.command("gc", "--all").status == 0
    left = list((tmp_path / "jobs").rglob("generations/*/*"))
    assert left == [path for path in kept if path.is_relative_to(tmp_path / "jobs/two")]
    assert other.run().ran == []
    (other.root / "media/two.txt").unlink()
    other.write("media/three.txt", "three\n")
    assert other.run().status == 0
    assert "two - removing" not in project.command("clean", "--orphans").out
    assert "1 orphaned jobs, 1 removed" in other.command("clean", "--orphans").out
    assert not (tmp_path / "jobs/two").exists()
    assert project.run().ran == []


def test_two_projects_have_a_job_of_one_name(project: Project, tmp_path: Path) -> None:
    """The second is told whose it is, and nothing of the first's is changed; its other jobs are built."""
    other = shared(project, tmp_path / "other")
    assert project.run().status == 0
    other.write("media/one.txt", "another\n")
    run = other.run()
    assert run.status == 1
    assert f"belongs to the pipeline in {project.root}" in run.out
    assert sorted(run.ran) == ["A:two", "B:two", "C:two"]
    assert project.run().ran == []
    assert (tmp_path / "jobs/one/A/a.txt").read_text() == "one\n"


def test_a_project_that_was_moved_keeps_its_jobs(project: Project, tmp_path: Path) -> None:
    """Also a copy, and one that is moved away from its jobs directory takes them over, but removes none."""
    project.write("pipeline.toml", CHAIN)
    for job in ("one", "two"):
        project.write(f"media/{job}.txt", "hello\n")
    assert project.run().status == 0
    moved = Project(tmp_path / "moved", project.launcher)
    project.root.rename(moved.root)
    assert moved.run().ran == []
    moved.write("media/one.txt", "changed\n")
    assert moved.run().status == 0
    (moved.root / "media/two.txt").unlink()
    assert "1 orphaned jobs, 1 removed" in moved.command("clean", "--orphans").out
    (moved.root / "deep").mkdir()
    (moved.root / "jobs").rename(moved.root / "deep/jobs")
    moved.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\njobs_dir = "deep/jobs"'))
    (moved.root / "media/one.txt").rename(moved.root / "media/three.txt")
    assert moved.run().status == 0
    assert "one - keeping it" in moved.command("clean", "--orphans").out
    (moved.root / "media/three.txt").rename(moved.root / "media/one.txt")
    assert moved.run().ran == []
