"""What a task takes of the machine while it runs: what `pipeline.toml` says, else what follows from its stage.

Not here: what is free (`slots`).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from mediabuild.errors import MediabuildError
from mediabuild.freshness.observation import models_of
from mediabuild.machine.hardware.device import Devices
from mediabuild.pipeline.model import Pipeline, Resources, Task


class Needs:
    """The resources of tasks.

    Args:
        devices: so that a heavy stage takes a GPU where it runs on one.
    """

    def __init__(self, pipeline: Pipeline, devices: Devices) -> None:
        self.pipeline = pipeline
        self.devices = devices
        self._known: dict[str, Resources] = {}

    def of(self, task: Task) -> Resources:
        """The cores, GPUs and gigabytes of a task; asked often, so kept."""
        if task.name not in self._known:
            given = task.stage.resources
            gpu = self._gpus(task) if given.gpu is None else given.gpu
            memory_gb = self._memory_gb(task) if given.memory_gb is None else given.memory_gb
            self._known[task.name] = Resources(given.cpu, gpu, memory_gb)
        return self._known[task.name]

    def device_of(self, task: Task) -> str:
        """The device that it will run on; empty where it isn't there, which the task itself says."""
        with contextlib.suppress(MediabuildError):
            return self.devices.resolve(task.device, task.stage.devices, task.stage.python)
        return ""

    def _gpus(self, task: Task) -> int:
        """One for a heavy stage on cuda: one card isn't given to as many models at once as there are cores."""
        return int(task.stage.heavy and self.device_of(task).startswith("cuda"))

    def _memory_gb(self, task: Task) -> float:
        """What the stage declares, and its models' files: they are in memory while it runs."""
        declaration = task.stage.declaration
        if declaration is None:
            return 0.0
        models_bytes = 0
        with contextlib.suppress(Exception):  # a stage's own function may raise anything: the task itself says so
            models = models_of(self.pipeline, task.stage, task.params)
            models_bytes = sum(_bytes_of(model.path) for model in models.values() if model.path is not None)
        return declaration.memory_gb + models_bytes / 1e9


def _bytes_of(path: Path) -> int:
    """The size of a file, or of the files in a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
