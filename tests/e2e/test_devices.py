"""Which device a stage gets: the real probe on this machine, and cuda and mps with a stand-in interpreter.

The stand-in is an executable that answers the probe's question as a machine with such a device would, and
is the real Python for everything else. `MEDIABUILD_DRIVER` says that there is a driver worth asking for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mediabuild.machine.hardware.device import PROBE, Devices
from tests.e2e.conftest import Project, Ran

STAGE = '''
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={{"media": "anything"}}, outputs={{"device": "device.txt"}}, devices={devices!r})
def {name}(ctx: Context, params: NoParams) -> None:
    """Write down the device."""
    ctx.output("device").write_text(ctx.device)
'''
PIPELINE = """
[pipeline]
sources = ["media/*.txt"]

[stages.heavy]
inputs = { media = "source" }
python = "other"

[stages.light]
inputs = { media = "source" }
python = "other"
"""
Machine = Callable[..., Project]


@pytest.fixture
def machine(project: Project) -> Machine:
    """Makes a project on a machine with these accelerators: a device-sensitive stage and one that isn't."""

    def make(*accelerators: str) -> Project:
        project.write("pipeline.toml", PIPELINE)
        project.write("stages/heavy.py", STAGE.format(name="heavy", devices=("cuda", "mps")))
        project.write("stages/light.py", STAGE.format(name="light", devices=()))
        project.write("media/one.txt", "hello\n")
        stand_in(project, *accelerators)
        project.env["MEDIABUILD_DRIVER"] = "driver 1"
        return project

    return make


def stand_in(project: Project, *accelerators: str) -> None:
    """An interpreter whose torch finds these, and counts how often it was asked."""
    script = project.write(
        "other/bin/python",
        f"#!{sys.executable}\n"
        "import os, sys\n"
        f"if sys.argv[1:] == ['-c', {PROBE!r}]:\n"
        f"    open({str(project.root / 'asked')!r}, 'a').write('x')\n"
        f"    print({json.dumps(list(accelerators))!r})\n"
        "else:\n"
        f"    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n",
    )
    script.chmod(0o755)


def asked(project: Project) -> int:
    """How often the stand-in was asked."""
    file = project.root / "asked"
    return len(file.read_text()) if file.exists() else 0


def given(project: Project, run: Ran) -> tuple[str, str]:
    """The devices that the two stages were given; the manifests say the same."""
    assert run.status == 0, run.out + run.err
    for stage in ("heavy", "light"):
        manifest = json.loads(project.read(f"jobs/one/{stage}/manifest.json"))
        assert manifest["device"] == project.read(f"jobs/one/{stage}/device.txt")
    return project.read("jobs/one/heavy/device.txt"), project.read("jobs/one/light/device.txt")


@pytest.mark.parametrize(
    ("there", "device"),
    [((), "cpu"), (("mps",), "mps"), (("cuda:0",), "cuda"), (("cuda:0", "cuda:1", "mps"), "cuda")],
)
def test_auto_is_cuda_then_mps_then_cpu(machine: Machine, there: tuple[str, ...], device: str) -> None:
    """The best of what the stage's own interpreter has, for the stage that can use it; the CPU for the other."""
    project = machine(*there)
    assert given(project, project.run()) == (device, "cpu")


def test_a_device_by_name(machine: Machine) -> None:
    """`--device cuda:1` is what the stage gets, also as the pipeline's own choice."""
    project = machine("cuda:0", "cuda:1")
    assert given(project, project.run("--device=cuda:1")) == ("cuda:1", "cpu")
    project.write("pipeline.toml", PIPELINE.replace("[pipeline]", '[pipeline]\ndevice = "cuda:1"'))
    assert project.run().skipped == ["heavy:one", "light:one"]


@pytest.mark.parametrize(("there", "asked_for"), [((), "cuda"), (("mps",), "cuda"), (("cuda:0",), "cuda:1")])
def test_a_device_that_is_not_there(machine: Machine, there: tuple[str, ...], asked_for: str) -> None:
    """Exit 3 before anything runs, with what there is."""
    run = machine(*there).run(f"--device={asked_for}")
    assert (run.status, run.ran) == (3, [])
    assert f"{asked_for} is not there; this machine has: {', '.join(['cpu', *there])}" in run.err


def test_one_worker_keeps_a_model_on_the_gpu(machine: Machine) -> None:
    """Where there is memory for one, the worker of the first job is the second one's too: it has the model."""
    project = machine("cuda:0")
    project.write("pipeline.toml", PIPELINE.replace("[pipeline]", "[pipeline]\nresources = { cpu = 2, memory_gb = 1 }"))
    heavy = STAGE.format(name="heavy", devices=("cuda",)).replace("devices=", "heavy=True, memory_gb=1.0, devices=")
    project.write("stages/heavy.py", f"import os\n{heavy}".replace("(ctx.device)", '(f"{ctx.device} {os.getpid()}")'))
    project.write("media/two.txt", "hello again\n")
    assert project.run("heavy").status == 0
    one, two = (project.read(f"jobs/{job}/heavy/device.txt") for job in ("one", "two"))
    assert one.split()[0] == "cuda:0"
    assert one == two


def test_only_a_device_sensitive_stage_runs_again(machine: Machine) -> None:
    """Another device: its result is another one, with the reason; the other stage is as fresh as before."""
    project = machine("cuda:0")
    project.run("--device=cpu")
    run = project.run("--device=cuda")
    assert run.ran == ["heavy:one"]
    assert run.reasons("heavy:one") == ["device"]
    assert run.skipped == ["light:one"]
    assert "cpu → cuda" in run.out


def test_each_device_keeps_its_results_in_a_job_directory_of_its_own(machine: Machine) -> None:
    """`--job-dir jobs/one-DEVICE`: each device runs what depends on it, and going back and forth runs nothing twice."""
    project = machine("cuda:0")
    first, second = (project.run(f"--device={device}", f"--job-dir=jobs/one-{device}") for device in ("cpu", "cuda"))
    assert sorted(first.ran) == ["heavy:one", "light:one"]
    assert (second.ran, second.tasks("stage_restored")) == (["heavy:one"], ["light:one"])
    for device in ("cpu", "cuda"):
        assert project.run(f"--device={device}", f"--job-dir=jobs/one-{device}").ran == []


def test_it_is_asked_once_until_torch_or_the_driver_changes(machine: Machine) -> None:
    """The answer is kept between runs; a new driver or a new torch in that interpreter asks again."""
    project = machine("mps")
    project.run()
    project.run("--force")
    assert asked(project) == 1
    project.env["MEDIABUILD_DRIVER"] = "driver 2"
    project.run()
    assert asked(project) == 2
    (project.root / "other/lib/python3.11/site-packages/torch-9.9.9.dist-info").mkdir(parents=True)
    stand_in(project, "cuda:0")
    assert given(project, project.run()) == ("cuda", "cpu")
    assert asked(project) == 3


def test_without_a_driver_nobody_is_asked(machine: Machine) -> None:
    """No driver: the CPU, and not even a process is started to find out."""
    project = machine("cuda:0")
    project.env["MEDIABUILD_DRIVER"] = ""
    assert given(project, project.run()) == ("cpu", "cpu")
    assert asked(project) == 0


def test_a_broken_torch_is_no_accelerator(machine: Machine) -> None:
    """An interpreter that dies when asked: auto is the CPU, and the run goes on."""
    project = machine()
    script = project.root / "other/bin/python"
    script.write_text(script.read_text().replace("print(", "sys.exit(139) or print("))
    assert given(project, project.run()) == ("cpu", "cpu")


def test_the_real_probe_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch and CTranslate2 themselves are asked, and name only what torch then really can use."""
    import torch

    monkeypatch.setenv("MEDIABUILD_DRIVER", "ask, whatever is there")
    cache = tmp_path / "devices.json"
    found = Devices(cache).available(Path(sys.executable))
    assert len(json.loads(cache.read_text())) == 1, "the interpreter was asked, and its answer kept"
    for device in found:
        assert torch.ones(1, device=device).item() == 1
    if torch.cuda.is_available():
        assert "cuda:0" in found
    if not os.path.exists("/dev/nvidiactl") and sys.platform == "linux":
        assert found == ()
    best = Devices(cache).resolve("auto", ("cuda", "mps"), Path(sys.executable))
    assert best == (found[0].partition(":")[0] if found else "cpu")


@pytest.mark.parametrize(("there", "told"), [((), "4 1"), (("cuda:0",), "2 1"), (("mps",), "1 3")])
def test_how_many_lanes_a_device_has(machine: Machine, there: tuple[str, ...], told: str) -> None:
    """On the CPU as many as cores, on cuda as the stage declares, whatever cores are its own; on another GPU one."""
    project = machine(*there)
    cores = "resources = { cpu = 4 }\n[stages.heavy]\nresources = { cpu = 3 }"
    project.write("pipeline.toml", PIPELINE.replace("[stages.heavy]", cores))
    lanes = STAGE.format(name="heavy", devices=("cuda", "mps")).replace("devices=", "lanes=True, gpu_lanes=2, devices=")
    project.write("stages/heavy.py", lanes.replace("ctx.device)", 'f"{ctx.lanes.most} {ctx.threads}")'))
    assert project.run().status == 0
    assert project.read("jobs/one/heavy/device.txt") == told
