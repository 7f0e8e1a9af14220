"""`mediabuild`: the same commands as `doit` in a clone, for any directory with a `pipeline.toml`.

No `dodo.py` is needed, and the `[tool.doit]` of a project is not read: the plugins are given here.
`mediabuild init` writes a first pipeline.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from doit.doit_cmd import DoitMain

from mediabuild import __version__
from mediabuild.commands.plugins import stable
from mediabuild.machine.here import enter_project
from mediabuild.machine.signals import leave_at_interrupt
from mediabuild.reporting.console import give_up, open_missing, show
from mediabuild.schedule.loader import PipelineLoader

PLUGINS: dict[str, dict[str, Any]] = {
    "GLOBAL": {"reporter": "mediabuild", "backend": "mediabuild", "dep_file": ".doit.json"},
    "REPORTER": {"mediabuild": "mediabuild.schedule.dodo:Reporter"},
    "BACKEND": {"mediabuild": "mediabuild.schedule.state:StateFile"},
    "COMMAND": {
        "help": "mediabuild.commands.help:Help",
        "run": "mediabuild.commands.run:Run",
        "status": "mediabuild.commands.asking.status:Status",
        "explain": "mediabuild.commands.asking.status:Explain",
        "check": "mediabuild.commands.asking.status:Check",
        "validate": "mediabuild.commands.inspection:Validate",
        "graph": "mediabuild.commands.inspection:Graph",
        "cache": "mediabuild.commands.inspection:Cache",
        "gc": "mediabuild.commands.inspection:Gc",
        "doctor": "mediabuild.commands.asking.doctor:Doctor",
        "list": "mediabuild.commands.listing:List",
        "info": "mediabuild.commands.listing:Info",
        "clean": "mediabuild.commands.clean:Clean",
        "forget": "mediabuild.commands.marking:Forget",
        "ignore": "mediabuild.commands.marking:Ignore",
        "reset-dep": "mediabuild.commands.marking:ResetDep",
        "dumpdb": "mediabuild.commands.listing:DumpDB",
        "strace": "mediabuild.commands.listing:Strace",
        "tabcompletion": "mediabuild.commands.completion:TabCompletion",
    },
}

LOADER = {"mediabuild": "mediabuild.schedule.loader:PipelineLoader"}
HOW_DOIT = "# so that `doit` means the same as `mediabuild` in this folder; may be deleted"
SCHEMA_LINE = "#:schema ./docs/pipeline.schema.json"
EXAMPLE_FILES = (".toml", ".md", ".py", ".sh")
SCHEMA_HERE = "#:schema ./pipeline.schema.json\n"
INIT_USAGE = """write a first pipeline.toml, its schema, glossary/, media/ and a .gitignore; what is there stays

usage: mediabuild init [--example NAME]

  --example NAME  a copy of one of the examples in docs/EXAMPLES.md instead: hls, podcast, music …"""
APERTIUM = "sudo apt-get install apertium apertium-eng-spa"
GITIGNORE = "/jobs*/\n/out/\n/venv/\n/.doit.json\n"


class MediabuildMain(DoitMain):  # type: ignore[misc]
    """doit's main program under our name, with our plugins and no configuration files."""

    BIN_NAME = "mediabuild"

    def __init__(self) -> None:
        super().__init__(PipelineLoader(), config_filenames=(), extra_config=PLUGINS)

    def run(self, all_args: list[str]) -> Any:
        """Run a command; refuse an empty word, as of an unset variable of a shell: `clean ""` would clean all.

        Behind `--language` it says that no language is wanted.
        """
        words: list[str] = []
        for before, word in zip(["", *all_args], all_args, strict=False):
            if not word and before == "--language":
                words[-1] += "="
            elif not word:
                print("ERROR: an empty word ('') names nothing; is a variable of the shell not set?", file=sys.stderr)
                return 3
            else:
                words.append(word)
        return super().run(words)


def init(folder: Path, example: str = "") -> int:
    """Write a first pipeline, its folders and a `.gitignore`, or a copy of an example; what is there stays."""
    from mediabuild.pipeline.document import shipped  # only where a project is begun: every run imports this module
    from mediabuild.pipeline.mistakes import nearest

    if example and example not in example_names():
        hint = nearest(example, example_names())
        print(f"ERROR: init: there is no example {example!r}\n  hint: {hint}", file=sys.stderr)
        return 3
    files = {"pipeline.schema.json": shipped("docs/pipeline.schema.json"), ".gitignore": GITIGNORE}
    if example:
        for path in sorted(p for p in (examples() / example).rglob("*") if p.suffix in EXAMPLE_FILES):
            files[path.relative_to(examples() / example).as_posix()] = path.read_text(encoding="utf-8")
        files["pipeline.toml"] = SCHEMA_HERE + files["pipeline.toml"]
    else:
        files |= {"pipeline.toml": first_pipeline(), "glossary/hotwords.txt": ""}
        (folder / "media").mkdir(exist_ok=True)
    files["doit.cfg"] = wiring()
    for name, content in files.items():
        path = folder / name
        if path.exists():
            print(f"kept    {name}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(f"wrote   {name}")
    first = f"{_inputs_script()} (or bring your own files)" if example else "put recordings into media/"
    print(f"next:   {first}, then: mediabuild")
    return 0


def _inputs_script() -> str:
    """How an example's inputs are made, where no ffmpeg is installed with the one that comes along."""
    from mediabuild.media.ffmpeg import ffmpeg_path  # only here: every command imports this module

    script = "sh make_inputs.sh"
    return script if shutil.which("ffmpeg") else f"FFMPEG={shlex.quote(ffmpeg_path())} {script}"


def wiring() -> str:
    """What doit reads in a project's folder, so that `doit` is the same program as `mediabuild` there."""
    sections = {"GLOBAL": {"loader": "mediabuild", **PLUGINS["GLOBAL"]}}
    kinds = {"LOADER": LOADER, **{name: table for name, table in PLUGINS.items() if name != "GLOBAL"}}
    sections |= {kind: stable(kind, table) for kind, table in kinds.items()}
    lines = [HOW_DOIT]
    for name, table in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in table.items()), ""]
    return "\n".join(lines)


def example_names() -> list[str]:
    """What `init --example` takes."""
    return [path.parent.name for path in sorted(examples().glob("*/pipeline.toml"))]


def examples() -> Path:
    """The folder of the examples: inside the wheel, or in the clone."""
    package = Path(__file__).parents[1]
    inside = package / "examples"
    return inside if inside.is_dir() else package.parent / "examples"


def _init(arguments: list[str]) -> int:
    """`init`, which needs no pipeline."""
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--example=") else [word])]
    words = ["--example", *words] if len(words) == 1 and words[0] in example_names() else words  # as people type it
    if not words or (len(words) == 2 and words[0] == "--example"):
        try:
            return init(Path.cwd(), *words[1:])
        except OSError as error:
            print(f"ERROR: init: {error.filename}: {error.strerror}", file=sys.stderr)
            return 2
    asked = arguments in (["-h"], ["--help"])
    wrong = f"ERROR: init: takes only --example NAME, not {shlex.join(arguments)!r}; NAME is one of "
    text = INIT_USAGE if asked else f"{wrong}{', '.join(example_names())}\n{INIT_USAGE}"
    print(text, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 3


def first_pipeline() -> str:
    """The pipeline that `init` writes: what this machine lacks is commented out, with what to type for it."""
    from mediabuild.machine.interpreter import has_module, site_packages
    from mediabuild.pipeline.document import shipped

    text = shipped("pipeline.toml").replace(SCHEMA_LINE, SCHEMA_HERE.rstrip())
    if not has_module("demucs", site_packages(None)):
        start = text.index("[stages.separate]")
        end = text.index("\n\n", start)
        table = "".join(f"# {line}\n" for line in text[start:end].splitlines())
        how = "# remove the # from these, then: mediabuild --auto-install-demucs"
        text = f"{text[:start]}{how}\n{table.rstrip()}{text[end:]}"
    if not shutil.which("apertium"):
        languages = 'matrix = { language = ["es"] }'
        text = text.replace(languages, f'matrix = {{ language = [] }} # ["es"] needs: {APERTIUM}')
    return text


def main() -> int:
    """The console script. Exit status: 0 done, 1 failed, 2 an error while running, 3 a mistake, 130 interrupted."""
    open_missing()
    leave_at_interrupt()
    try:
        return _answer(sys.argv[1:])
    except BrokenPipeError as error:  # `mediabuild list | head`
        give_up(sys.stdout, error)
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):  # else Python does it, and ends with 120 where it can't
            try:
                stream.flush()
            except (OSError, ValueError) as error:
                give_up(stream, error)


def _answer(arguments: list[str]) -> int:
    if arguments[:1] == ["init"]:
        return _init(arguments[1:])
    if arguments[:1] in (["--help"], ["-h"]):
        from mediabuild.commands.help import general

        show(general())
        return 0
    if arguments[:1] == ["--version"]:
        show(f"mediabuild {__version__}")
        return 0
    if not enter_project(arguments):
        from mediabuild.commands.recordings import without_project

        return without_project(arguments, program, PLUGINS["COMMAND"])
    return program(arguments)


def program(arguments: list[str]) -> int:
    """doit's program with these arguments, in the present folder."""
    return int(MediabuildMain().run(arguments) or 0)


if __name__ == "__main__":
    raise SystemExit(main())
