"""doit's loader: the user's own tasks and the pipeline's; and the options that shape the pipeline.

doit imports it first, so nothing heavy is imported until tasks are wanted.

Not here: what the pipeline's tasks are for doit (`tasks`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from doit import doit_cmd
from doit.cmd_base import DodoTaskLoader
from doit.exceptions import InvalidCommand, InvalidDodoFile

from mediabuild.errors import MediabuildError
from mediabuild.machine.here import PIPELINE, meant
from mediabuild.reporting.console import open_missing
from mediabuild.schedule.dodo import blaming, checked_config, made_now, words_for_creators

if TYPE_CHECKING:
    from doit.task import Task as DoitTask

    from mediabuild.build import Build
    from mediabuild.pipeline.model import Pipeline
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


SEPARATOR = "\0"  # between several files of one --source: no argument that is typed can hold it
LOADER_OPTIONS = (
    option("from_stage", "from", "first stage of the range"),
    option("to_stage", "to", "last stage of the range, inclusive"),
    option("only_stages", "stages", "just these stages, a,b,c; wins over --from and --to"),
    option("only_job", "job", "only jobs that match this name or pattern"),
    option("want_device", "device", "auto, cpu, cuda, cuda:1 or mps"),
    option("only_source", "source", "this file instead of the pipeline's sources"),
    option("language", "language", "translate into these languages: es,fr; the same as language=es,fr"),
    option("one_job_dir", "job-dir", "the directory of the one job"),
    option("clip_start", "clip-start", "where the clip begins, in seconds or as 1:30; same as clip_start_s=SECONDS"),
    option("clip_end", "clip-end", "where it ends; same as clip_end_s=SECONDS"),
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
        self.root = Path.cwd()  # where the pipeline is
        self.any_target = False  # `--auto-delayed-regex`
        self.narrow = False  # `run` without anything that names or forces a task

    def setup(self, opt_values: dict[str, Any]) -> None:
        """Read the dodo file, if there is one, and go where its pipeline is.

        Raises:
            InvalidCommand: `-d` names no directory.
        """
        folder, here = opt_values["cwdPath"], Path.cwd()
        plain = opt_values["dodoFile"] == "dodo.py" and not opt_values["seek_file"]
        if plain and folder is not None and not Path("dodo.py").exists():  # a project elsewhere, as with `make -C`
            if not os.path.isdir(folder):
                raise InvalidCommand(f"-d: {folder} is no directory\n  hint: ls")
            os.chdir(folder)
            opt_values = {**opt_values, "cwdPath": None}
        alone = opt_values["only_source"] and not Path(PIPELINE).exists()  # whatever lies there is somebody else's
        if not plain or (Path("dodo.py").exists() and not alone):
            file = opt_values["dodoFile"]
            if os.path.exists(file) and (os.path.isdir(file) or not file.endswith(".py")):
                raise InvalidCommand(f"-f: {file} is no file of Python\n  hint: doit -f dodo.py")
            with blaming(file):
                super().setup(opt_values)
        dodo = Path(self.namespace.get("__file__") or here).parent
        places = [Path.cwd(), dodo, here]
        self.root = next((place for place in places if (place / "pipeline.toml").exists()), places[0])

    def read_options(self, opt_values: dict[str, Any]) -> None:
        """The options that shape the pipeline, wherever they stood on the command line."""
        from mediabuild.pipeline.options import Options, Selection
        from mediabuild.pipeline.overrides import in_seconds

        variables = dict(doit_cmd._CMDLINE_VARS or {})
        for one in LOADER_OPTIONS:  # of a variable that isn't set: it doesn't mean all
            if opt_values[one["name"]] == "" and one["name"] != "language":
                raise InvalidCommand(f"--{one['long']}: a value is missing\n  hint: doit --help")
        for name in ("clip_start", "clip_end"):
            if opt_values[name] is not None:
                variables[f"{name}_s"] = in_seconds(opt_values[name])
        if opt_values["language"] is not None:
            variables["language"] = opt_values["language"]
        sources = (opt_values["only_source"] or "").split(SEPARATOR)
        self.options = Options(
            selection=Selection(
                opt_values["from_stage"], opt_values["to_stage"], opt_values["only_stages"], opt_values["only_job"]
            ),
            device=_checked_device(opt_values["want_device"]),
            sources=tuple(meant(path) for path in sources if path),
            job_dir=opt_values["one_job_dir"] and meant(opt_values["one_job_dir"]),
            manifests_only=bool(opt_values.get("manifests_only")),
            read=bool(opt_values.get("read")),
            variables=variables,
            allow_unknown=self._reads_variables(),
            demucs_venv=opt_values.get("demucs_venv"),
            only_failed=bool(opt_values.get("only_failed")),
        )
        self.any_target = bool(opt_values.get("auto_delayed_regex"))

    def _reads_variables(self) -> bool:
        """Whether the dodo file may read NAME=VALUE by itself."""
        try:
            return "get_var" in Path(self.namespace["__file__"]).read_text(encoding="utf-8", errors="replace")
        except (KeyError, OSError):
            return False

    def load_doit_config(self) -> dict[str, Any]:
        """The dodo file's DOIT_CONFIG, checked."""
        config: dict[str, Any] = super().load_doit_config() if self.namespace else {}
        checked_config(config)
        self.narrow = self.narrow and "default_tasks" not in config
        return config

    @property
    def alone(self) -> bool:
        """Whether the dodo file, if there is one, says nothing at all."""
        return all(name.startswith("__") for name in self.namespace)

    def load_own(self, words: Sequence[str], *, later: bool) -> list[DoitTask]:
        """The user's own tasks.

        Args:
            words: of the command line; they may hold arguments of these tasks.
            later: what doit makes while a run goes on is left for then, if that can't be made now.
        """
        if not self.namespace:
            return []
        words = words_for_creators(self.namespace, words)
        with blaming(self.namespace["__file__"]):
            found = super().load_tasks(SimpleNamespace(execute_tasks=True), words)
        return found if later else made_now(found)

    def load_tasks(self, cmd: Any, pos_args: list[str], own: list[DoitTask] | None = None) -> list[DoitTask]:
        """The user's own tasks, then the pipeline's, in canonical order.

        Args:
            own: the user's own, if they are loaded already; else doit itself asks, for its `tabcompletion`.
        """
        from mediabuild.build import Build
        from mediabuild.pipeline.options import Options
        from mediabuild.schedule.tasks import make_doit_tasks

        own = self.load_own(pos_args, later=False) if own is None else own
        options = self.options or Options()
        narrow = self.narrow and not own and not pos_args and options.selection.is_empty
        try:
            options, commands = replace(options, narrow=narrow), tuple(self.cmd_names)
            targets = [target for task in own for target in task.targets]
            self.build = Build(self.root, options, commands=commands, before=_give_back, targets=targets)
        except MediabuildError as error:
            raise InvalidDodoFile(str(error)) from None
        clash = {task.name for task in own} & set(self.build.pipeline.stages)
        if clash:
            raise InvalidDodoFile(f"dodo.py: the task {sorted(clash)[0]!r} is also a stage of {PIPELINE}")
        return [*own, *make_doit_tasks(self.build, own)]


def _give_back(pipeline: Pipeline) -> None:
    """Put back what stages of dead runs had moved, and say so."""
    from mediabuild.store import inventory

    if inventory.handed_files(pipeline.jobs_dir):
        from mediabuild.execution.sweep import give_back

        sys.stderr.writelines(f"NOTE: {line}\n" for line in give_back(pipeline))


def _checked_device(device: str | None) -> str | None:
    from mediabuild.pipeline.tables import DEVICE

    if device is not None and not re.match(DEVICE, device):
        raise InvalidDodoFile(f"--device: {device!r} is none of auto, cpu, cuda, cuda:N, mps")
    return device
