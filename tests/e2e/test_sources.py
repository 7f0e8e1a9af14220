"""Which files are recordings: what a run makes never is, and an exclusion means a file however it is spelt."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import CHAIN, Project


@pytest.mark.parametrize(
    ("sources", "jobs"),
    [
        ('["./media/*.txt", "!media/x.txt"]', {"y"}),
        ('["media/*.txt", "!./media/x.txt"]', {"y"}),
        ('["media/x.txt", "media/y.txt", "!media/x*"]', {"y"}),
        ('["media/**/*.txt", "!media/drafts"]', {"x", "y"}),
        ('["media/**/*.txt", "!media/drafts/"]', {"x", "y"}),
        ('["media/**/*", "!./media/d*"]', {"x", "y"}),
    ],
)
def test_exclusions_are_compared_by_what_they_mean(project: Project, sources: str, jobs: set[str]) -> None:
    """A file, a folder, a pattern; a source that is named outright too; what a file manager left is none."""
    project.write("pipeline.toml", CHAIN.replace('["media/*.txt"]', sources))
    for name in ("x.txt", "y.txt", "drafts/z.txt", "Thumbs.db"):
        project.write(f"media/{name}", "hello\n")
    assert {name.partition(":")[2] for name in project.run().ran} == jobs


def test_outputs_are_no_recordings(project: Project) -> None:
    """Where the glob matches all of the project."""
    project.write("pipeline.toml", CHAIN.replace('"media/*.txt"', '"**/*.txt"'))
    project.write("media/x.txt", "hello\n")
    assert len(project.run().ran) == 3
    assert project.run().ran == []
