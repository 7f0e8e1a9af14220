"""Help: what a command is for, how it is typed, its options with ours first, examples.

doit's options come behind ours; those that have no effect here are left out.

Not here: what is wrong with a command line (`base`).
"""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_help import Help as DoitHelp
from doit.exceptions import InvalidCommand, InvalidDodoFile

from mediabuild.errors import MediabuildError
from mediabuild.reporting.console import program, show, typed

WIDTH = 100
OURS = "mediabuild"  # the section of our options
WITHOUT_EFFECT = {
    "dep_file", "backend", "codec_cls", "check_file_uptodate", "reporter", "par_type", "minversion", "seek_file",
}  # fmt: skip
EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("", "build what is stale"),
        ("-n 1", "one task at a time, instead of one on each core"),
        ("--job ep01", "one job only"),
        ("subtitles", "one stage, and what it needs"),
        ("--from translate --to mux", "a range of stages, and nothing else"),
        ("beam_size=1 --dry-run", "what another param would run"),
    ),
    "status": (("status", "a table of jobs and stages"), ("status --json", "the same, for programs")),
    "explain": (("explain transcribe:ep01", "every reason why it would run"),),
    "check": (("check", "for CI: exit 1 if anything would run"),),
    "clean": (
        ("clean subtitles", "what that stage made"),
        ("clean --orphans", "jobs whose sources are gone"),
    ),
    "forget": (("forget transcribe:ep01", "run it again next time"),),
    "list": (("list --all", "all tasks"), ("list -s", "and whether they are up to date")),
    "doctor": (("doctor", "what is missing on this machine, and what to type"),),
    "gc": (("gc --all", "delete all earlier outputs"),),
}
GENERAL = "mediabuild is make for media: it builds what pipeline.toml declares, and only what really changed."


class Help(DoitHelp):  # type: ignore[misc]
    """`help`: of all commands, of one, or of a stage."""

    name = "help"
    doc_purpose = "show this help, a command's, or a stage's with its params"
    doc_usage = "[COMMAND | STAGE]"

    def execute(self, params: Any, args: list[str]) -> Any:
        """Print it; of one of the user's own tasks as doit does.

        Raises:
            InvalidCommand: a stage is asked for, and `pipeline.toml` has mistakes; or nothing is called so.
        """
        if not args:
            show(general())
            return 0
        if args[0] in self.cmds:
            show(of_command(self.cmds[args[0]](cmds=self._cmds, **self.init_kwargs)))
            return 0
        from mediabuild.commands.asking.stage_help import of_stage, stage_here

        try:
            spec = stage_here(args[0], Path(params["cwdPath"] or "."))
        except MediabuildError as error:
            raise InvalidCommand(str(error)) from None
        if spec is not None:
            show(of_stage(spec))
            return 0
        try:
            found = DoitCmdBase.execute(self, params, args)  # doit's own help would answer with all of it
        except InvalidDodoFile:
            found = False
        if not found:
            from mediabuild.pipeline.mistakes import nearest

            what = f"help: {args[0]!r} is no command, stage or task of dodo.py; {nearest(args[0], self.cmds)}"
            raise InvalidCommand(typed(f"{what}\n  hint: doit help"))
        return 0


def general() -> str:
    """The help of the program."""
    from mediabuild.commands.main import PLUGINS

    name = program()
    lines = [GENERAL, "", f"usage: {name} [OPTIONS] [TASK | FILE | PARAM=VALUE …]     build what is stale"]
    lines += [f"       {name} COMMAND [OPTIONS] [TASK …]", "", "commands:"]
    purposes = {"init": "write a first pipeline.toml", **{n: _purpose(c) for n, c in PLUGINS["COMMAND"].items()}}
    order = ["init", "run", "status", "explain", "check", "validate", "doctor"]
    rest = sorted(purposes.keys() - set(order) - {"dumpdb"})
    lines += [f"  {n:<10} {purposes[n]}" for n in [*order, *rest] if n in purposes]
    lines += ["", "examples:", *_examples("run")]
    lines += [
        "",
        f"options of a build: {name} run --help     of another command: {name} COMMAND --help",
        f"params of a stage: {name} help STAGE     such as: {name} help transcribe",
        "without a project, a recording's languages, params and clip stay for the next call; NAME= ends one",
    ]
    return "\n".join(lines)


def of_command(command: Any) -> str:
    """The help of one command."""
    name = command.get_name()
    typed = program() if name == "run" else f"{program()} {name}"
    usage = f"usage: {typed} [OPTIONS] {command.doc_usage}".rstrip()
    lines = [*textwrap.wrap(f"{command.doc_purpose}", WIDTH), "", usage]
    known = [option for option in command.cmdparser.options if option.name not in WITHOUT_EFFECT]
    shown = [option for option in known if option.short or option.long]
    ours = [option for option in shown if option.section == OURS]
    theirs = [option for option in shown if option.section != OURS]
    for title, options in (("options", ours), ("options of doit", theirs)):
        if options:
            lines += ["", f"{title}:", *_listed(options)]
    examples = _examples(name)
    if examples:
        lines += ["", "examples:", *examples]
    return "\n".join(lines)


def _purpose(location: str) -> str:
    """The purpose of a command, `module:Class`."""
    module, _, name = location.partition(":")
    return str(getattr(importlib.import_module(module), name).doc_purpose)


def _examples(name: str) -> list[str]:
    rows = EXAMPLES.get(name, ())
    return [f"  {f'{program()} {typed}'.rstrip():<44} {text}" for typed, text in rows]


def _listed(options: Iterable[Any]) -> list[str]:
    lines = []
    for option in options:
        value = "" if option.type is bool else " " + (option.metavar if hasattr(option, "metavar") else "VALUE")
        forms = ([f"-{option.short}"] if option.short else []) + ([f"--{option.long}"] if option.long else [])
        text = " ".join(str(option.help).split()).replace("[default: %(default)s]", "").replace("%(default)s", "")
        wrapped = textwrap.wrap(text, WIDTH - 28) or [""]
        lines.append(f"  {', '.join(forms) + value:<25} {wrapped[0]}")
        lines += [" " * 28 + line for line in wrapped[1:]]
    return lines
