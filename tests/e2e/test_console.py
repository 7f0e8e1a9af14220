"""A console that can't be written stops no run, and costs nothing that is kept."""

from __future__ import annotations

from tests.e2e.conftest import CHAIN, Project


def test_a_full_console_builds_and_keeps_what_is_kept(project: Project) -> None:
    """`> /dev/full`, with a stage that warns: it is said on stderr, and earlier outputs stay; also without changes."""
    project.write("pipeline.toml", CHAIN)
    for content in ("early\n", "late\n"):
        project.write("media/one.txt", content)
        assert project.run().status == 0
    kept = len(list(project.root.glob("jobs/one/.mediabuild/generations/*/*")))
    assert kept == 3
    project.write("media/one.txt", "new\n")
    project.write("jobs/one/A/a.txt", "mine\n")
    for _ in range(2):
        with open("/dev/full", "w") as full:
            process = project.start("--log-level=warning", stdout=full)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "Traceback" not in said
    assert project.read("jobs/one/C/c.txt") == "wen\nwen\n"
    assert len(list(project.root.glob("jobs/one/.mediabuild/generations/*/*"))) >= kept
