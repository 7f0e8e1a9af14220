"""More ready tasks than threads."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import CHAIN, Project


@pytest.mark.parametrize("threads", ["1", "3"])
def test_more_jobs_than_threads(project: Project, threads: str) -> None:
    """Every task of every job runs once, whatever the number of threads."""
    project.write("pipeline.toml", CHAIN)
    count = 33
    for number in range(count):
        project.write(f"media/{number:02}.txt", f"{number}\n")
    run = project.run("-n", threads)
    assert run.status == 0
    assert sorted(run.ran) == sorted(f"{stage}:{number:02}" for stage in "ABC" for number in range(count))
    assert len(project.run("-n", threads).skipped) == 3 * count


@pytest.mark.parametrize(
    ("deliver", "what"),
    [("out/all", "as C:a does"), ("media/{job}", "is the source"), ("jobs/{job}/B/x", "jobs directory")],
)
def test_copies_that_would_fight_are_refused(project: Project, deliver: str, what: str) -> None:
    """Two tasks' copies of one name, a copy in a source's place, one among the jobs: exit 3, nothing run."""
    project.write("pipeline.toml", CHAIN + f'deliver = "{deliver}"\n')
    for name in "ab":
        project.write(f"media/{name}.txt", name)
    run = project.run()
    assert run.status == 3
    assert "stages.C.deliver" in run.err
    assert what.replace("is the source", "as the source does") in run.err
    assert not (project.root / "jobs").exists()
