"""More ready tasks than threads."""

from __future__ import annotations

import itertools

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


GPU = """
[pipeline]
sources = ["media/*.txt"]
[pipeline.resources]
cpu = 8

[stages.heavy]
command   = ["sh", "-c", 'sleep 0.15; cp "$1" "$2"', "heavy", "{inputs.media}", "{outputs.text}"]
inputs    = { media = "source" }
outputs   = { text = "heavy.txt" }
resources = { gpu = 1 }

[stages.light]
command = ["sh", "-c", 'sleep 0.15; cp "$1" "$2"', "light", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "light.txt" }
"""


def test_one_gpu_is_used_by_one_task_at_a_time(project: Project) -> None:
    """`-n 4`: heavy tasks never overlap, and light ones run meanwhile (from the events)."""
    project.write("pipeline.toml", GPU)
    for number in range(4):
        project.write(f"media/{number}.txt", f"{number}\n")
    run = project.run("-n", "4")
    assert run.status == 0
    spans: dict[str, list[float]] = {}
    for event in run.events:
        if event["event"] in ("stage_running", "stage_completed"):
            spans.setdefault(event["task"], []).append(event["ts"])
    heavy = sorted(span for task, span in spans.items() if task.startswith("heavy"))
    light = [span for task, span in spans.items() if task.startswith("light")]
    assert len(heavy) == len(light) == 4
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(heavy))
    assert any(one[0] < other[1] and other[0] < one[1] for one in heavy for other in light)


@pytest.mark.parametrize("reference", ["./", "./jobs", "./jobs/a/A/a.txt", "./jobs/*/A/a.txt"])
def test_an_input_that_overlaps_the_jobs_is_refused(project: Project, reference: str) -> None:
    """Every run would change it, or read another stage's output behind the scheduler's back."""
    project.write(
        "pipeline.toml", CHAIN.replace('{ text = "B.text" }', f'{{ text = "B.text", more = "?{reference}" }}')
    )
    project.write("media/a.txt", "a")
    run = project.run()
    assert run.status == 3
    assert "stages.C.inputs.more" in run.err and "overlap" in run.err
