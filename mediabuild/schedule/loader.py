"""doit's loader: the user's own tasks and the pipeline's; and the options that shape the pipeline.

doit imports it first, so nothing heavy is imported until tasks are wanted.

Not here: what the pipeline's tasks are for doit (`tasks`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import doit_cmd
from doit.cmd_base import DodoTaskLoader
from doit.exceptions import InvalidDodoFile

from mediabuild.errors import MediabuildError
from mediabuild.reporting.console import open_missing

if TYPE_CHECKING:
    from doit.task import Task as DoitTask

    from mediabuild.build import Build
    from mediabuild.pipeline.options import Options


def option(name: str, long: str, text: str, kind: type = str, default: Any = None) -> dict[str, Any]:
    """A command line option as doit describes one."""
    return {
        "section": "mediabuild",
        "name": name,
        "short": "",
        "long": long,
        "type": kind,
        "default": default,
        "help": text,
    }


LOADER_OPTIONS = (
    option("from_stage", "from", "first stage of the range"),
    option("to_stage", "to", "last stage of the range, inclusive"),
    option("only_stages", "stages", "just these stages, a,b,c; wins over --from and --to"),
    option("only_job", "job", "only jobs that match this name or pattern"),
    option("want_device", "device", "auto, cpu, cuda, cuda:1 or mps"),
    option("only_source", "source", "this recording instead of the pipeline's sources"),
    option("one_job_dir", "job-dir", "the directory of the one job"),
    option("clip_start", "clip-start", "same as clip_start_s=SECONDS"),
    option("clip_end", "clip-end", "same as clip_end_s=SECONDS"),
)


class PipelineLoader(DodoTaskLoader):  # type: ignore[misc]
    """Loads the user's own tasks from `dodo.py`, if there is one, and adds the pipeline's."""

    cmd_options = (*DodoTaskLoader.cmd_options, *LOADER_OPTIONS)

    def __init__(self) -> None:
        super().__init__()
        open_missing()
        self.build: Build | None = None
        self.options: Options | None = None
        self.namespace: dict[str, Any] = {}
        self.demucs_venv: str | None = None  # an option of `run`, set before `setup`
        self.only_failed = False  # as well
        self.narrow = False  # `run` without anything that names or forces a task

    def setup(self, opt_values: dict[str, Any]) -> None:
        """Read the dodo file and the options that shape the pipeline."""
        from mediabuild.pipeline.options import Options, Selection

        dodo = opt_values["dodoFile"]
        if dodo == "dodo.py" and not Path(dodo).exists() and not opt_values["seek_file"] and not opt_values["cwdPath"]:
            self.namespace = {}
        else:
            super().setup(opt_values)
        variables = dict(doit_cmd._CMDLINE_VARS or {})
        for name in ("clip_start", "clip_end"):
            if opt_values[name] is not None:
                variables[f"{name}_s"] = opt_values[name]
        self.options = Options(
            selection=Selection(
                opt_values["from_stage"], opt_values["to_stage"], opt_values["only_stages"], opt_values["only_job"]
            ),
            device=_checked_device(opt_values["want_device"]),
            sources=(opt_values["only_source"],) if opt_values["only_source"] else (),
            job_dir=opt_values["one_job_dir"],
            manifests_only=bool(opt_values.get("manifests_only")),
            variables=variables,
            allow_unknown=any(value is doit_cmd.get_var for value in self.namespace.values()),
            demucs_venv=self.demucs_venv,
            only_failed=self.only_failed,
        )

    def load_doit_config(self) -> dict[str, Any]:
        """The dodo file's DOIT_CONFIG."""
        config: dict[str, Any] = super().load_doit_config() if self.namespace else {}
        self.narrow = self.narrow and "default_tasks" not in config
        return config

    @property
    def alone(self) -> bool:
        """Whether the dodo file, if there is one, says nothing at all."""
        return all(name.startswith("__") for name in self.namespace)

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[DoitTask]:
        """The user's own tasks, then the pipeline's, in canonical order."""
        from mediabuild.build import PIPELINE_NAME, Build
        from mediabuild.schedule.tasks import make_doit_tasks

        assert self.options is not None
        own = super().load_tasks(cmd, pos_args) if self.namespace else []
        narrow = self.narrow and not own and not pos_args and self.options.selection.is_empty
        try:
            self.build = Build(Path.cwd(), replace(self.options, narrow=narrow), commands=tuple(self.cmd_names))
        except MediabuildError as error:
            raise InvalidDodoFile(str(error)) from None
        clash = {task.name for task in own} & set(self.build.pipeline.stages)
        if clash:
            raise InvalidDodoFile(f"dodo.py: the task {sorted(clash)[0]!r} is also a stage of {PIPELINE_NAME}")
        return [*own, *make_doit_tasks(self.build)]


def _checked_device(device: str | None) -> str | None:
    from mediabuild.pipeline.tables import DEVICE

    if device is not None and not re.match(DEVICE, device):
        raise InvalidDodoFile(f"--device: {device!r} is none of auto, cpu, cuda, cuda:N, mps")
    return device
