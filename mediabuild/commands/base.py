"""What all commands share: options before or after names, names checked, a user's mistake without a traceback.

doit imports it early, so nothing heavy is imported until a command runs.

Not here: the commands, a file each, and their help (`help`).
"""

from __future__ import annotations

import fnmatch
import getopt
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.cmd_base import DoitCmdBase
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile

from mediabuild.errors import Interrupted, MediabuildError
from mediabuild.machine.signals import INTERRUPTED, signals_interrupt
from mediabuild.machine.visible import visible
from mediabuild.reporting.console import give_up, typed
from mediabuild.schedule.state import is_remake, pipeline_task

if TYPE_CHECKING:
    from doit.task import Task as DoitTask

    from mediabuild.build import Build


class PipelineCommand(DoitCmdBase):  # type: ignore[misc]
    """What all commands share: options anywhere, names checked, a user's mistake without a traceback."""

    dep_manager: Any

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse and execute; options may stand behind names, and `--help` anywhere."""
        before = in_args[: in_args.index("--")] if "--" in in_args else in_args
        if "-h" in before or "--help" in before:
            print(self.help() if self.name in sys.argv else self.general_help())
            return 0
        try:
            return super().parse_execute(self._options_first(in_args))
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

    def _options_first(self, args: list[str]) -> list[str]:
        try:
            options, names = getopt.gnu_getopt(args, self.cmdparser.get_short(), self.cmdparser.get_long())
        except getopt.GetoptError as error:
            raise InvalidCommand(self._option_mistake(error)) from None
        if not names or "--" in args:
            return args
        flat = [part for pair in options for part in self._joined(*pair)]
        return [*flat, *names]

    def _option_mistake(self, error: getopt.GetoptError) -> str:
        """What is wrong with an option, with the nearest one that exists."""
        from mediabuild.pipeline.mistakes import nearest

        known = [f"--{option.long}" for option in self.cmdparser.options if option.long]
        dashed = f"--{error.opt}" if len(error.opt) > 1 else f"-{error.opt}"
        typed_name = "" if self.name == "run" else f" {self.name}"
        hint = f"\n  hint: doit{typed_name} --help"
        if "requires argument" in error.msg:
            return f"{dashed}: a value is missing{hint}"
        if "must not have" in error.msg:
            return f"{dashed}: takes no value{hint}"
        close = nearest(dashed, known) if len(error.opt) > 1 else ""
        return f"{dashed}: there is no such option{'; ' + close if close.startswith('did') else ''}{hint}"

    def _joined(self, name: str, value: str) -> list[str]:
        known, _ = self.cmdparser.get_option(name)
        if known is not None and known.type is bool:
            return [name]
        return [f"{name}={value}"] if name.startswith("--") else [name, value]

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
        from mediabuild.schedule.records import Records

        if self.dep_manager is None:
            db_class = self._backends.get(params["backend"])
            codec = self.get_codec_cls(params["codec_cls"])
            checker = self.get_checker_cls(params["check_file_uptodate"])
            self.dep_manager = Records(db_class, params["dep_file"], checker_cls=checker, codec_cls=codec)
        return super().execute(params, args)

    @property
    def build(self) -> Build:
        """The pipeline that the loader opened."""
        build: Build = self.loader.build
        return build

    def named_tasks(self, args: list[str]) -> list[DoitTask]:
        """doit's tasks that names, patterns and targets stand for, groups opened; all where none are given.

        Raises:
            InvalidCommand: a name that is none; with the nearest one.
        """
        tasks = {task.name: task for task in self.task_list}
        if not args:
            return [task for task in self.task_list if not (task.has_subtask or is_remake(task))]
        found: dict[str, DoitTask] = {}
        for name in expand_names(args, tasks, self.build.pipeline.root):
            group = tasks[name]
            members = (
                [tasks[n] for n in group.task_dep if tasks[n].subtask_of == name] if group.has_subtask else [group]
            )
            found |= {task.name: task for task in members}
        return list(found.values())

    def picked(self, args: list[str]) -> list[str]:
        """The pipeline's tasks that the names and the range select, with what they need unless it is a range."""
        selection, tasks = self.build.options.selection, self.build.tasks
        named = [task.name for task in self.named_tasks(args) if pipeline_task(task)]
        if not selection.is_range:
            named = self.build.closure(named)
        return selection.pick(self.build.pipeline, tasks, named, by_name=bool(args)) if tasks else []


def expand_names(args: list[str], tasks: dict[str, DoitTask], root: Path, commands: Iterable[str] = ()) -> list[str]:
    """Task names for names, patterns and targets (relative, absolute, `./`); a misspelt command is told too.

    Raises:
        InvalidCommand: with the nearest name for each that is none of these.
    """
    from mediabuild.pipeline.mistakes import nearest

    targets = {target: task.name for task in tasks.values() for target in task.targets}
    found: list[str] = []
    for arg in args:
        if arg in tasks:
            found.append(arg)
            continue
        matches = fnmatch.filter(tasks, arg) if any(c in arg for c in "*?[") else []
        matches = [name for name in matches if not is_remake(tasks[name])]
        path = os.path.relpath(os.path.abspath(arg), root)
        if matches:
            found += matches
        elif path in targets:
            found.append(targets[path])
        else:
            what = "matches no task" if any(c in arg for c in "*?[") else "is no task, command or target"
            raise InvalidCommand(f"{arg!r} {what}; {nearest(arg, [*tasks, *commands])}\n  hint: doit list --all")
    return list(dict.fromkeys(found))
