"""In which order ready tasks start: jobs that are begun are finished first, and long ones begin early."""

from __future__ import annotations

from tests.e2e.conftest import CHAIN, Project

WAITING = """
[pipeline]
sources   = ["media/*.txt"]
resources = { cpu = 8, gpu = 1 }

[stages.light]
command = ["sh", "-c", 'cp "$1" "$2"', "light", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "light.txt" }

[stages.heavy]
command   = ["sh", "-c", 'sleep 0.5; cp "$1" "$2"', "heavy", "{inputs.text}", "{outputs.text}"]
inputs    = { text = "light.text" }
outputs   = { text = "heavy.txt" }
resources = { gpu = 1 }
"""


def test_one_thread_goes_job_by_job(project: Project) -> None:
    """A job is finished before the next one begins, by name of a stage, too."""
    project.write("pipeline.toml", CHAIN)
    for name in "abc":
        project.write(f"media/{name}.txt", f"{name}\n")
    expected = [f"{stage}:{job}" for job in "abc" for stage in "ABC"]
    assert project.run("C", "-n", "1").ran == expected
    assert project.run("--force", "-n", "1").ran == expected


def test_few_jobs_are_begun_before_the_slow_stage_takes_them(project: Project) -> None:
    """Three threads and one GPU: the light stage runs ahead by what can wait, not through all jobs."""
    project.write("pipeline.toml", WAITING)
    for number in range(20):
        project.write(f"media/{number:02}.txt", "x\n")
    process = project.start("-n", "3", events=project.root / "events")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("DONE    heavy"):
            break
    process.terminate()
    process.communicate(timeout=60)
    assert 1 <= sum(line.startswith("RUN     light") for line in lines) <= 12


def test_the_longest_job_begins_first(project: Project) -> None:
    """By what the manifests say of an earlier run: the slow recording starts at once, the quick ones fill in."""
    slow = CHAIN.replace("'cp ", """'grep -q slow "$1" && sleep 0.6; cp """)
    project.write("pipeline.toml", slow)
    for name in "abcd":
        project.write(f"media/{name}.txt", "slow\n" if name == "d" else "x\n")
    assert project.run("-n", "2").status == 0
    project.write("pipeline.toml", slow.replace("'grep", "'true; grep"))
    again = project.run("-n", "2")
    assert "A:d" in again.ran[:2]
    assert len(again.ran) == 4
