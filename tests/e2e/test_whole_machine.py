"""A run uses the whole machine by default: its cores, within the memory that stages take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediabuild.machine.hardware.device import Devices
from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.model import Given
from mediabuild.pipeline.tasks import make_tasks
from mediabuild.schedule.needs import Needs
from tests.e2e.conftest import CHAIN, Project

MEETING = """
[pipeline]
sources   = ["media/*.txt"]
resources = { cpu = %s }

[stages.meet]
command = ["sh", "-c", '''
here() { ls here.* | wc -l; }
touch here.$1
for i in $(seq TIMES); do [ $(here) -ge 3 ] && break; sleep 0.05; done
here > "$2"
touch seen.$1
while [ $(here) -ge 3 ] && [ $(ls seen.* | wc -l) -lt 3 ]; do sleep 0.05; done
rm here.$1''', "meet", "{job}", "{outputs.text}", "{inputs.text}"]
inputs  = { text = "source" }
outputs = { text = "text.txt" }
"""
TIMES = {"3": "1200", "1": "10"}  # how long one waits for the others: a minute where they are to come
HEAVY = '''
import os, time

from mediabuild.stage import Context, ModelRef, NoParams, stage


@stage(version=1, inputs={"text": ""}, outputs={"text": "text.txt"}, heavy=True, memory_gb=1.0,
       models=lambda params, lookup: {"m": ModelRef("m", lookup.local("./weights"))})
def NAME(ctx: Context, params: NoParams) -> None:
    """Note from when to when it ran, in which process, and whether the one that it reads of still lives."""
    began, before = time.monotonic(), ctx.input("text").read_text()
    time.sleep(0.2)
    earlier = before.split()[-1] if before.startswith("ran") else ""
    lives = bool(earlier) and os.path.exists(f"/proc/{earlier}")
    ctx.output("text").write_text(f"ran {began} {time.monotonic()} {lives} {os.getpid()}")
'''
SMALL = """
[pipeline]
sources   = ["media/*.txt"]
resources = { cpu = 4, memory_gb = 1 }
[stages.first]
inputs = { text = "source" }
[stages.second]
inputs = { text = "first.text" }
"""


@pytest.fixture
def small(project: Project) -> Project:
    """Two jobs of two heavy stages, which fit into memory one at a time."""
    project.write("pipeline.toml", SMALL)
    project.write("weights/a.bin", "1")
    for name in ("first", "second"):
        project.write(f"stages/{name}.py", HEAVY.replace("NAME", name))
    for job in "ab":
        project.write(f"media/{job}.txt", job)
    return project


@pytest.mark.parametrize(("cpu", "arguments", "met"), [(3, (), "3"), (3, ("-n", "1"), "1"), (1, (), "1")])
def test_as_many_tasks_as_cores(project: Project, cpu: int, arguments: tuple[str, ...], met: str) -> None:
    """Without `-n` three tasks meet on three cores; `-n 1` is one at a time, and so is one core."""
    project.write("pipeline.toml", MEETING.replace("TIMES", TIMES[met]) % cpu)
    for job in "abc":
        project.write(f"media/{job}.txt", job)
    assert project.run(*arguments).status == 0
    assert {project.read(f"jobs/{job}/meet/text.txt").strip() for job in "abc"} == {met}


def test_own_tasks_run_one_after_the_other_unless_asked(project: Project) -> None:
    """Tasks of `dodo.py` may need an order that nobody wrote down: `-n 3` is what lets them run together."""
    project.write("pipeline.toml", CHAIN.replace("[stages.A]", "resources = { cpu = 3 }\n[stages.A]"))
    project.write("media/a.txt", "a")
    meeting = MEETING.split("'''")[1].replace("here()", "here ()").replace("$1", "{0}").replace('"$2"', "met.{0}")
    script = "rm -f seen.{0}" + meeting.replace("here () {", "here () {{").replace("; }", "; }}")
    for arguments, met in (((), "1"), (("-n", "3"), "3")):
        project.write("dodo.py", f"SCRIPT = {script.replace('TIMES', TIMES[met])!r}\n" + OWN)
        assert project.run(*arguments).status == 0
        assert {project.read(f"met.{name}").strip() for name in "xyz"} == {met}


OWN = """
def task_own():
    for name in "xyz":
        yield {"name": name, "actions": [SCRIPT.format(name)]}
"""


def test_heavy_stages_wait_for_memory(small: Project) -> None:
    """A stage declares what it takes; where two don't fit, they run one after the other, whatever the cores."""
    assert small.run().status == 0
    times = sorted(tuple(map(float, small.read(f"jobs/{job}/first/text.txt").split()[1:3])) for job in "ab")
    assert times[0][1] <= times[1][0]


def test_idle_workers_end_where_memory_is_wanted(small: Project) -> None:
    """A worker keeps its model for the next job, but not while another stage needs its room."""
    (small.root / "media/b.txt").unlink()
    assert small.run().status == 0
    assert small.read("jobs/a/second/text.txt").split()[3] == "False"
    small.write("pipeline.toml", SMALL.replace("memory_gb = 1", "memory_gb = 8"))
    assert small.run("--force").status == 0
    assert small.read("jobs/a/second/text.txt").split()[3] == "True"


def test_a_models_files_count(small: Project, tmp_path: Path) -> None:
    """A larger model takes more; what `pipeline.toml` says of a stage wins."""
    with (small.root / "weights/b.bin").open("wb") as file:
        file.truncate(3_000_000_000)
    small.write("pipeline.toml", SMALL + "resources = { memory_gb = 2 }\n")
    pipeline = load_pipeline(small.root / "pipeline.toml")
    tasks = make_tasks(
        pipeline, {"a": Given("media/a.txt")}, overrides={}, device=None, job_dir=None, brought={"a"}
    ).tasks
    needs = Needs(pipeline, Devices(tmp_path / "devices.json"))
    assert needs.of(tasks["first:a"]).memory_gb == pytest.approx(4, abs=0.01)
    assert needs.of(tasks["second:a"]).memory_gb == 2


def test_the_order_changes_no_byte(small: Project) -> None:
    """Manifests and outputs of `-n 1` and of the default are the same, but for times."""
    small.write("pipeline.toml", MEETING % 3 + PLAIN)
    small.write("media/c.txt", "c")
    found = []
    for number, arguments in enumerate(((), ("-n", "1"))):
        assert small.run("double", *arguments).status == 0
        found.append([_plain(small.root / f"jobs/{job}/double/manifest.json") for job in "abc"])
        (small.root / "jobs").rename(small.root / f"jobs.{number}")
    assert found[0] == found[1]


PLAIN = """
[stages.double]
command = ["sh", "-c", 'cat "$1" "$1" > "$2"', "double", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "text.txt" }
"""


def _plain(manifest: Path) -> dict[str, object]:
    varying = ("timestamp", "last_checked_ts", "duration_s", "peak_memory_bytes")
    return {key: value for key, value in json.loads(manifest.read_text()).items() if key not in varying}
