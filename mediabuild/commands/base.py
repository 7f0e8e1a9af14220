"""What all commands share: options before or after names, names checked, a user's mistake without a traceback.

doit imports it early, so nothing heavy is imported until a command runs.

Not here: the commands, a file each, and their help (`help`).
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from doit.action import CmdAction
from doit.cmd_base import DoitCmdBase
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile
from doit.globals import Globals

from mediabuild.commands.options import check_dashes, leading_options
from mediabuild.commands.words import arrange, expand_names
from mediabuild.errors import Interrupted, MediabuildError
from mediabuild.machine.here import quoted
from mediabuild.machine.signals import INTERRUPTED, signals_interrupt
from mediabuild.machine.visible import one_line, visible
from mediabuild.reporting.console import give_up, show, typed
from mediabuild.schedule.dodo import may_make, take_arguments
from mediabuild.schedule.state import is_remake, pipeline_task

if TYPE_CHECKING:
    from doit.task import Task as DoitTask

    from mediabuild.build import Build
    from mediabuild.freshness.verdicts import Verdict


# doit's options that say where the dodo file and its records are: they are needed before names are read
FIRST = {"dodoFile", "cwdPath", "seek_file", "dep_file", "backend", "codec_cls", "check_file_uptodate"}


class PipelineCommand(DoitCmdBase):  # type: ignore[misc]
    """What all commands share: options anywhere, names checked, a user's mistake without a traceback."""

    dep_manager: Any
    own: list[DoitTask]  # the user's own tasks

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse and execute; options may stand behind names, and `--help` anywhere."""
        before = in_args[: in_args.index("--")] if "--" in in_args else in_args
        if "-h" in before or "--help" in before:
            show(self.help() if self.name in sys.argv else self.general_help())
            return 0
        try:
            words = sys.argv[1:]  # of these, doit itself reads those that say where the dodo file is
            check_dashes(self.cmdparser, words[self.name in words[:1] :], self._behind)
            self._leading_options(in_args)
            return super().parse_execute(in_args)
        except (InvalidCommand, InvalidDodoFile, CmdParseError) as error:
            raise InvalidCommand(visible(typed(str(error)))) from None

    def help(self) -> str:
        """What it is for, how it is typed, its options."""
        from mediabuild.commands.help import of_command

        return of_command(self)

    def general_help(self) -> str:
        """The help of the program: no command was named."""
        from mediabuild.commands.help import general

        return general()

    def _leading_options(self, words: list[str]) -> tuple[list[str], list[str]]:
        return leading_options(self.cmdparser, words, self._behind)

    @property
    def _behind(self) -> str:
        """How the command is typed behind the program's name."""
        return "" if self.name == "run" else f" {self.name}"

    def execute(self, params: Any, args: list[str]) -> Any:
        """Load the pipeline and run the command, unless it can be answered without."""
        self.loader.narrow = self.may_narrow(params)
        try:
            with signals_interrupt():
                status = 0 if self.answered(params, args) else self._execute_loaded(params, args)
                sys.stdout.flush()
                return status
        except BrokenPipeError as error:  # `doit list | head`
            give_up(sys.stdout, error)
            return 0
        except Interrupted:
            sys.stderr.write("interrupted\n")
            return INTERRUPTED
        except MediabuildError as error:
            raise InvalidCommand(str(error)) from None
        except OSError as error:  # a full or read-only disk, no open files left
            where = f"{error.filename}: " if error.filename else ""
            give_up(sys.stdout, BrokenPipeError())  # it may be what is full, and would fail once more at the end
            sys.stderr.write(f"ERROR: {where}{error.strerror or error}\n")
            return 2

    def answered(self, params: Any, args: list[str]) -> bool:
        """Whether the command did all it had to before anything is loaded."""
        return False

    def may_narrow(self, params: Any) -> bool:
        """Whether the tasks of jobs that are all fresh may be left out, where no task is named."""
        return False

    def _execute_loaded(self, params: Any, args: list[str]) -> Any:
        """What doit's command does, with options wherever they stand, and records after the dodo file was read."""
        self.loader.setup(params)
        params.update_defaults(self.loader.load_doit_config())
        self.check_minversion(params.get("minversion"))
        CmdAction.STRING_FORMAT = params.get("action_string_formatting", "old")
        self._open_records(params)
        args = self._read_words(params, args)
        self.loader.read_options(params)
        self.task_list = self.loader.load_tasks(self, args, self.own)
        self.sel_default_tasks = not args
        self.sel_tasks = take_arguments(args or params.get("default_tasks") or [], self.task_list) or None
        params["pos_args"] = args
        params["continue_"] = params.get("continue")
        params["force_verbosity"] = "verbosity" in params._non_default_keys
        return self._execute(**{name: params[name] for name in inspect.signature(self._execute).parameters})

    def _open_records(self, params: Any) -> None:
        """doit's state, for the user's own tasks."""
        from mediabuild.schedule.records import Records

        if self.dep_manager is None:
            db_class = self._backends.get(params["backend"])
            if db_class is None:
                known = ", ".join(sorted(self._backends))
                raise InvalidCommand(f"backend: {params['backend']!r} is none of {known}")
            codec = self.get_codec_cls(params["codec_cls"])
            checker = self.get_checker_cls(params["check_file_uptodate"])
            self.dep_manager = Records(db_class, params["dep_file"], checker_cls=checker, codec_cls=codec)
        Globals.dep_manager = self.dep_manager

    def _read_words(self, params: Any, words: list[str]) -> list[str]:
        """Load the user's own tasks; the names, with what is theirs behind them; options go to `params`.

        Raises:
            InvalidCommand: an option that doesn't exist, or that is needed before names are read.
        """
        runs = self.execute_tasks
        self.own = self.loader.load_own(words, later=runs)
        names, options = arrange(words, self.own if runs else [], self._leading_options)
        given, _ = self.cmdparser.parse_only(options)
        for name, value in given.items():
            if name in FIRST:
                option = next(o for o in self.cmdparser.options if o.name == name)
                typed_option = f"--{option.long}" if option.long else f"-{option.short}"
                raise InvalidCommand(
                    f"{typed_option}: stands before names\n  hint: doit {typed_option} VALUE {quoted(names[0])}"
                )
            params[name] = value
        if runs and params.get("dry_run"):  # what would be made later is shown as well
            self.own = self.loader.load_own(words, later=False)
        return names

    @property
    def build(self) -> Build:
        """The pipeline that the loader opened."""
        build: Build = self.loader.build
        return build

    def named_tasks(self, args: list[str]) -> list[DoitTask]:
        """doit's tasks that names, patterns and targets stand for, groups opened; all where none are given.

        A range or `--job` leaves those that are out of it out, the user's own tasks too.

        Raises:
            InvalidCommand: a name that is none; with the nearest one. PipelineError: nothing is left.
        """
        tasks = {task.name: task for task in self.task_list}
        names = self._expanded(args, tasks) if args else list(tasks)
        found: dict[str, DoitTask] = {}
        for name in names:
            group = tasks.get(name)
            if group is None or is_remake(group):  # made while the run goes on
                continue
            inside = [tasks[n] for n in group.task_dep if tasks[n].subtask_of == name]
            found |= {task.name: task for task in (inside if group.has_subtask else [group])}
        selection = self.build.options.selection
        if selection.is_empty:
            return list(found.values())
        ours = [name for name, task in found.items() if pipeline_task(task)]
        picked = selection.pick(self.build.pipeline, self.build.tasks, ours, by_name=bool(args))
        return [tasks[name] for name in picked]

    def select(self, *, single: bool = False) -> list[str] | None:
        """The tasks and groups that a run would begin with; None for all. What is out of a range is brought by nobody.

        Args:
            single: the names bring no others (`doit -s`).

        Raises:
            InvalidCommand, PipelineError: names or a range that stand for nothing.
        """
        from mediabuild.schedule import selected

        selection, tasks = self.build.options.selection, {task.name: task for task in self.task_list}
        if self.sel_default_tasks and not selection.is_empty:
            self.sel_tasks = None  # a range says itself what is wanted
        names = self._expanded(self.sel_tasks, tasks, *self.loader.cmd_names) if self.sel_tasks else None
        if single and names is not None:
            selected.alone(names, tasks)
        if selection.is_empty:
            return names
        picked = [task.name for task in self.named_tasks(names or [])]
        if selection.is_range:
            selected.within(picked, tasks)
        return picked

    def _expanded(self, words: list[str], tasks: dict[str, DoitTask], *commands: str) -> list[str]:
        of_file = self.build.tasks_of_file
        return expand_names(words, tasks, commands, asked=self.name, later=self._later, of_file=of_file)

    def _later(self, name: str) -> bool:
        """Whether a task or target of this name may be made while the run goes on."""
        tasks = {task.name: task for task in self.task_list}
        return self.execute_tasks and may_make(name, tasks, any_target=self.loader.any_target)

    def warn_of_unread(self) -> None:
        """Name what nothing reads, which is most likely misspelt, each time."""
        from mediabuild.reporting.report import listed, warn

        for unread in self.build.unread():
            warn(one_line(f"{listed(list(unread.names))}: {unread.why}"))

    def foreseen(self, names: list[str] | None, *, always: bool = False) -> dict[str, Verdict]:
        """What a run of these tasks, or of all, would do."""
        from mediabuild.schedule.foresight import foresee

        if names is None:
            names = [task.name for task in self.task_list if not is_remake(task)]
        found = foresee(self.build, self.task_list, self.dep_manager, names, always=always)
        self.build.digests.save()
        return found

    def picked(self, args: list[str]) -> list[str]:
        """The pipeline's tasks that the names and the range select, with what they need unless it is a range."""
        if not self.build.tasks:
            return []
        named = [task.name for task in self.named_tasks(args) if pipeline_task(task)]
        return named if self.build.options.selection.is_range else self.build.closure(named)
