"""Which device a stage runs on: what is asked for, what the machine has, what the stage can use.

`auto` is cuda, then mps, then cpu. Whether a device works is asked of the stage's own interpreter,
once, in a process of its own, and only where a driver suggests that there could be one; the answer
is cached until that interpreter's torch or the driver changes.

`MEDIABUILD_DRIVER` stands for the driver where it is set: any text where one is there that isn't found
(a container that hides it), nothing (`MEDIABUILD_DRIVER=`) to leave accelerators alone without asking.

Not here: falling back while a stage runs; a stage does that and says so with `ctx.device_used`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import sys
from pathlib import Path

from mediabuild.errors import PipelineError
from mediabuild.machine import regular
from mediabuild.machine.files import write_atomically
from mediabuild.machine.hardware.driver import driver_facts

PROBE_TIMEOUT_S = 120

PROBE = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]  # not the working directory: it may hold a `json.py`
import json
found = []
try:
    import torch
    found += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
except ImportError:
    pass
try:
    import ctranslate2
    found += [f"cuda:{i}" for i in range(ctranslate2.get_cuda_device_count())]
except ImportError:
    pass
print(json.dumps(sorted(set(found))))
"""


class Devices:
    """The devices of this machine, as each interpreter sees them.

    Args:
        cache_file: where the probes' answers are kept; None to keep none.
    """

    def __init__(self, cache_file: Path | None) -> None:
        self.cache_file = cache_file

    def resolve(self, asked: str, usable: tuple[str, ...], python: Path | None = None) -> str:
        """The device for a stage.

        Args:
            asked: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
            usable: the accelerators that the stage can use, best first; empty means the CPU.
            python: the stage's interpreter.

        Raises:
            PipelineError: a device is asked for by name that isn't there; says what there is.
        """
        kind = asked.partition(":")[0]
        if not usable or kind == "cpu":
            return "cpu"
        there = self.available(python)
        if kind == "auto":
            return next((device for device in usable if device in {d.partition(":")[0] for d in there}), "cpu")
        if asked not in there and not (kind == asked and any(d.startswith(kind) for d in there)):
            has = ", ".join(["cpu", *there])
            raise PipelineError(f"device: {asked} is not there; this machine has: {has}", "doit --device auto")
        return asked if kind in usable else "cpu"

    def gpus(self, python: Path | None = None) -> int:
        """How many CUDA devices there are."""
        return sum(device.startswith("cuda") for device in self.available(python))

    def available(self, python: Path | None) -> tuple[str, ...]:
        """The accelerators that work in an interpreter: `cuda:0`, `mps`; the CPU isn't listed."""
        if not driver_facts():
            return ()
        return _probe(str(python or sys.executable), driver_facts(), str(self.cache_file or ""))


@functools.cache
def _probe(python: str, driver: str, cache_file: str) -> tuple[str, ...]:
    """Ask an interpreter, or the cache."""
    cache: dict[str, list[str]] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        cache = dict(json.loads(regular.read_bytes(cache_file)))
    key = f"{python}|{driver}|{_torch_stamp(Path(python))}"
    if key not in cache:
        try:
            done = subprocess.run(
                [python, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True
            )
            cache[key] = list(json.loads(done.stdout.splitlines()[-1]))
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            return ()
        with contextlib.suppress(OSError):
            if cache_file:
                write_atomically(Path(cache_file), json.dumps(cache, indent=1).encode())
    return tuple(cache[key])


def _torch_stamp(python: Path) -> str:
    """The versions of the interpreter's torch and ctranslate2, read off their folders' names."""
    folders = (python.parent.parent / "lib").glob("python3*/site-packages")
    found = [info.name for folder in folders for info in folder.glob("*.dist-info")]
    return ",".join(sorted(name for name in found if name.startswith(("torch-", "ctranslate2-"))))
