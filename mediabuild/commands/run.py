"""`doit run`: builds what is stale.

Not here: the run itself (`schedule.session`).
"""

from __future__ import annotations

import sys
from typing import Any

from doit import doit_cmd
from doit.cmd_run import Run as DoitRun
from doit.exceptions import InvalidCommand

from mediabuild.commands.base import PipelineCommand
from mediabuild.commands.noop import noop
from mediabuild.errors import MediabuildError
from mediabuild.machine.here import meant, quoted
from mediabuild.reporting.console import LEVELS
from mediabuild.schedule.dodo import ONLY_THREADS
from mediabuild.schedule.loader import option
from mediabuild.schedule.state import pipeline_task

# options of doit and ours that make no difference where nothing runs
INDIFFERENT = {
    "verbosity", "failure_verbosity", "force_verbosity", "continue", "num_process", "jobs", "no_wait", "fail_fast",
    "pdb", "backend", "dep_file", "codec_cls", "check_file_uptodate", "auto_install_demucs", "events_to",
}  # fmt: skip


REPORTERS = ("mediabuild", "console")  # the one that `[tool.doit]` names, and doit's default: both mean ours
NO_REPORTER = "a run has its own console lines, and events for programs\n  hint: doit --log-level error --events FILE"


class Run(PipelineCommand, DoitRun):  # type: ignore[misc]
    """Builds what is stale."""

    name = "run"
    doc_purpose = "build what is stale"
    doc_usage = "[TASK/TARGET/NAME=VALUE ...]"
    execute_tasks = True
    cmd_options = (
        *(known | {"default": "thread"} if known["name"] == "par_type" else known for known in DoitRun.cmd_options),
        option("jobs", "jobs", "how many tasks run at once; the same as -n", int) | {"short": "j"},
        option("force", "force", "run the selected stages whatever their manifests say", bool, False),
        option("dry_run", "dry-run", "say what would run and why; run nothing", bool, False),
        option("only_failed", "failed", "only what failed last time, and what depends on it", bool, False),
        option("fail_fast", "fail-fast", "stop at the first failure", bool, False),
        option("no_wait", "no-wait", "fail, exit 2, where another run is busy with a task", bool, False),
        option("events_to", "events", "also write events to FILE (- is stdout)"),
        option("auto_install_demucs", "auto-install-demucs", "install the separator where it is missing", bool, False),
        option("demucs_venv", "demucs-venv", "the venv that demucs is in, or goes to, if not venv/demucs"),
        option("log_level", "log-level", f"console lines: {', '.join(LEVELS)}", str, "info"),
    )

    def _execute(
        self,
        outfile: Any,
        verbosity: int | None = None,
        always: bool = False,
        reporter: Any = "console",
        num_process: int = 0,
        jobs: int | None = None,
        par_type: str = "thread",
        single: bool = False,
        auto_delayed_regex: bool = False,
        force_verbosity: bool = False,
        failure_verbosity: int = 0,
        force: bool = False,
        dry_run: bool = False,
        only_failed: bool = False,
        fail_fast: bool = False,
        no_wait: bool = False,
        events_to: str | None = None,
        log_level: str = "info",
        auto_install_demucs: bool = False,
    ) -> int:
        from mediabuild.schedule.order import Forecast, forecast, sizes
        from mediabuild.schedule.selected import control_of, failed_last_time
        from mediabuild.schedule.session import RunOptions, Session

        log_level = log_level.lower()
        num_process = num_process if jobs is None else jobs
        if log_level not in LEVELS:
            raise InvalidCommand(f"--log-level: {log_level!r} is none of {', '.join(LEVELS)}")
        if par_type != "thread":
            raise InvalidCommand(f"-P {par_type}: {ONLY_THREADS}")
        if reporter not in REPORTERS:
            raise InvalidCommand(f"-r {getattr(reporter, '__name__', reporter)}: {NO_REPORTER}")
        if not dry_run:
            self._refuse_lacking(whatever=force or always)
            self._provide_demucs(install=auto_install_demucs, whatever=force or always)
        names = self.select(single=single)
        self._checked(names, whatever=force or always)
        if only_failed:
            names = failed_last_time(self.build, {task.name for task in self.named_tasks(names or [])})
            if not names:
                self.outstream.write("nothing selected failed last time\n")
                return 0
        if force:
            self.build.freshness.force(self._forced(names))
        if dry_run:
            from mediabuild.commands.asking.status import print_plan

            if names is None:
                self.warn_of_unread()
            return print_plan(self.build, self.foreseen(names, always=always), sys.stdout)
        threads = num_process or max(1, int(self.build.capacity["cpu"]))
        expected = Forecast()
        if threads > 1:
            bytes_of = sizes(self.build.pipeline.root, self.build.jobs)
            expected = forecast(self.build.tasks, bytes_of)
        control = control_of(self.task_list, names, self.build, expected.left_s, auto_delayed_regex=auto_delayed_regex)
        options = RunOptions(
            output=meant(outfile) if isinstance(outfile, str) else None,
            threads=threads,
            own_at_once=num_process > 1,
            always=always,
            fail_fast=fail_fast,
            wait=not no_wait,
            log_level=log_level,
            events_to=_target(events_to),
            verbosity=verbosity,
            force_verbosity=force_verbosity,
            failure_verbosity=failure_verbosity,
        )
        ours = self._pipeline_tasks(names)
        limited = single or self.build.options.selection.is_range
        session = Session(
            self.build, options, dep_manager=self.dep_manager, reporter=self.reporters["mediabuild"], expected=expected
        )
        status = session.run(
            control.task_dispatcher(),
            ours,
            own=len(self.named_tasks(names or [])) - len(ours),
            only=ours if limited else None,
            whole=names is None,
            alone=self.loader.alone,
        )
        if self.build.pipeline.alone and events_to != "-" and LEVELS.index(log_level) < LEVELS.index("warning"):
            print("".join(f"        {copy}\n" for copy in sorted(self.build.delivered())), end="")
            if stayed := ", ".join(self._stayed()):
                print(f"        as before: {stayed}   (NAME= ends it)")
        return status

    def _stayed(self) -> list[str]:
        """The params of earlier runs that hold in this one, as they would be typed."""
        given = {(task.job, task.stage.name): task.overrides for task in self.build.tasks.values()}
        found = {
            f"{stage}.{name}={quoted(str(value))}"
            for job, stages in self.build.before.items()
            for stage, params in stages.items()
            for name, value in params.items()
            if given.get((job, stage), {}).get(name) == value
        }
        return sorted(found)

    def may_narrow(self, params: Any) -> bool:
        """Whether what is fresh may be left out."""
        return not any(params[name] for name in ("always", "force", "dry_run", "single", "only_failed"))

    def answered(self, params: Any, args: list[str]) -> bool:
        """Whether nothing special is asked for and nothing changed, which was said."""
        options = [option for option in self.get_options() if option.name not in {*INDIFFERENT, "reporter"}]
        special = any(params[option.name] != option.default for option in options)
        special = special or bool(args or doit_cmd._CMDLINE_VARS) or params["reporter"] not in REPORTERS
        return not special and noop(_target(params["events_to"]))

    def _refuse_lacking(self, *, whatever: bool) -> None:
        """Where a built-in stage would run and mediabuild was installed without what they need."""
        from mediabuild.machine.install import EXTRA, extra_hint, has_extra
        from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir

        builtin = builtin_stages_dir()
        stages = self.build.pipeline.stages.values()
        specs = {spec.name for spec in stages if spec.file and spec.file.parent == builtin and not spec.python}
        if not specs or has_extra():
            return
        names = [name for name in self.picked(list(self.sel_tasks or [])) if self.build.tasks[name].stage.name in specs]
        if whatever or any(v.state not in ("fresh", "ignored") for v in self.build.verdicts(names).values()):
            what = f"mediabuild was installed without what its media stages need ({EXTRA})"
            raise MediabuildError(what, extra_hint())

    def _provide_demucs(self, *, install: bool, whatever: bool) -> None:
        """Where a stage would run and lacks demucs: install it and load the pipeline anew, or refuse."""
        from mediabuild.machine.install import install_separator
        from mediabuild.pipeline.code_of_stages.separator import lacking_demucs, missing_demucs, separator_venv

        lacking = lacking_demucs(self.build.pipeline)
        if not lacking:
            return
        names = self.picked(list(self.sel_tasks or []))
        states = {} if whatever else self.build.verdicts(names)
        tasks = [self.build.tasks[name] for name in names if whatever or states[name].state not in ("fresh", "ignored")]
        spec = next((task.stage for task in tasks if task.stage.name in lacking), None)
        if spec is None:
            return
        if not install:
            raise missing_demucs(spec, lacking[spec.name])
        install_separator(separator_venv(self.build.pipeline.root, self.build.options.demucs_venv))
        self.task_list = self.loader.load_tasks(self, list(self.sel_tasks or []), self.own)

    def _checked(self, names: list[str] | None, *, whatever: bool) -> None:
        """Refuse a range that begins with outputs that are missing; warn of stale ones, and of idle exclusions."""
        from mediabuild.commands.asking.idle import idle_exclusions
        from mediabuild.freshness.ranges import check_missing
        from mediabuild.reporting.report import warn

        self.build.warnings = [] if self.build.options.one_job else idle_exclusions(self.build.pipeline)
        for line in self.build.warnings:
            warn(line)
        if self.build.options.selection.is_range:
            for message in check_missing(self.build.freshness, self.build.tasks, names or [], whatever=whatever):
                warn(message)

    def _forced(self, names: list[str] | None) -> list[str]:
        if self.build.options.selection.is_range or names is None:
            return names if names is not None else list(self.build.tasks)
        return [task.name for task in self.named_tasks(names)]

    def _pipeline_tasks(self, names: list[str] | None) -> list[str]:
        """The pipeline's tasks that these names stand for; None for all."""
        if names is None:
            return list(self.build.tasks)
        return [task.name for task in self.named_tasks(names) if pipeline_task(task)]


def _target(typed: str | None) -> str | None:
    """Where events go: `-` is stdout."""
    return typed if typed in (None, "-") else meant(typed)
