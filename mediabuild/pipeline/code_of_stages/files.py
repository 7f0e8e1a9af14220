"""Finds the files that a stage's code consists of, without running any of it.

Of a stage's file: the modules beside it whose names begin with `_`, and those of mediabuild, as its `import` lines name
them, wherever they stand. Of a command: the files of the project that it names, and what Python programs import from
beside them. What is imported in ways that no line shows, a worker reports (`loading`).

Not here: digests of these files (`freshness.code`).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from mediabuild.pipeline.placeholders import pieces
from mediabuild.pipeline.reserved import STATE_DIR

PACKAGE = Path(__file__).parents[2]
API_MODULES = (  # what they do for a stage shows in no output
    "mediabuild.stage",
    "mediabuild.lookup",
    "mediabuild.errors",
    "mediabuild.units",
)
IMPORT = re.compile(
    rb"(?:^|[;:])[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]*)|import[ \t]+([^\n#;]+))",
    re.MULTILINE,
)
NAME = re.compile(rb"[\w.]+")
WORD = re.compile(r"[^\s;|&<>()'\"`$={}]+")  # of an argument that may be a line for a shell
WRITTEN = re.compile(r">+\s*[^\s;|&]*")  # what a shell is to write to
LONGEST_PART, LONGEST_PATH = 255, 1000  # bytes
Word = Literal["argument", "word", "module"]
SCRIPTS = re.compile(r"\.(awk|bash|jl|jq|js|lua|mjs|php|pl|ps1|py|r|rb|sed|sh|ts|zsh)", re.IGNORECASE)


def stage_code(file: Path, root: Path) -> dict[str, Path]:
    """The modules that a stage's file imports, they themselves, and so on: name → file; its own file left out.

    Args:
        root: the project's folder: modules in it are called by their paths, those of mediabuild by their names.
    """
    found: dict[str, Path] = {}
    _follow(file, _Place(root, file.parent, only_underscored=True), found)
    return found


def command_code(command: tuple[str, ...], root: Path) -> dict[str, Path]:
    """The files of the project that a command names, and the modules that these import: path → file.

    An argument of its own may be any file; a word in a line for a shell is a program.
    """
    found: dict[str, Path] = {}
    for word, kind in _words(command):
        file = root / word
        if not is_program(file, root, named=kind == "argument"):
            continue
        found[name_of(file, root)] = file
        if file.suffix == ".py":
            _follow(file, _Place(root, root if kind == "module" else file.parent, only_underscored=False), found)
    return found


def command_places(command: tuple[str, ...], root: Path) -> list[Path]:
    """Where programs of the project may lie that a command names."""
    return [root / word for word, _ in _words(command)]


def name_of(file: Path, root: Path) -> str:
    """What stands for a file of the project among the facts: its path, which always has a `/`."""
    path = os.path.relpath(file, root)
    return path if "/" in path else f"./{path}"


class _Place:
    """Where a file's imports are looked for.

    Args:
        root: the project. folder: where top-level modules lie. only_underscored: just those that begin with `_`.
    """

    def __init__(self, root: Path, folder: Path, *, only_underscored: bool) -> None:
        self.root = root
        self.folder = folder
        self.only_underscored = only_underscored

    def modules(self, name: str, importer: Path) -> Iterator[tuple[str, Path]]:
        """The files of a dotted name, packages included: (name among the facts, file)."""
        base, first, label = self.folder, name.partition(".")[0], ""
        if name.startswith("."):
            base = importer.parents[len(name) - len(name.lstrip(".")) - 1]
            label = _label(base) if base.is_relative_to(PACKAGE) else ""
        elif first == "mediabuild":
            base, label = PACKAGE.parent, ""
        elif self.only_underscored and not first.startswith("_"):
            return
        for part in filter(None, name.split(".")):
            label = f"{label}.{part}".lstrip(".")
            for file in (base / f"{part}.py", base / part / "__init__.py"):
                if file.is_file():
                    yield (label if file.is_relative_to(PACKAGE) else name_of(file, self.root)), file
            base /= part


def _label(folder: Path) -> str:
    """A package of mediabuild, by its name."""
    return ".".join(folder.relative_to(PACKAGE.parent).parts)


def _follow(file: Path, place: _Place, found: dict[str, Path]) -> None:
    """Add all that a file imports, and what that imports."""
    for imported in _imports(file):
        for name, module in place.modules(imported, file):
            if name not in found and name != "mediabuild" and name not in API_MODULES and module != file:
                found[name] = module
                _follow(module, place, found)


def _imports(file: Path) -> tuple[str, ...]:
    """The dotted names that a file imports, as far as its lines say so; none where it can't be read."""
    try:
        stats = file.stat()
        return _parsed(os.fspath(file), (stats.st_size, stats.st_mtime_ns, stats.st_ctime_ns, stats.st_ino))
    except OSError:
        return ()


@functools.lru_cache(maxsize=4096)
def _parsed(file: str, stats: tuple[int, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for origin, names, plain in IMPORT.findall(Path(file).read_bytes()):
        if origin:
            found[origin.decode()] = None
            dot = b"" if origin.endswith(b".") else b"."
            found |= dict.fromkeys(
                f"{(origin + dot).decode()}{n.decode()}" for n in NAME.findall(names) if b"." not in n
            )
        found |= dict.fromkeys(name.decode() for name in NAME.findall(plain))
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def _words(command: tuple[str, ...]) -> tuple[tuple[str, Word], ...]:
    """What may be a file's name in a command: an argument, a word in one, a module (Python looks in the folder)."""
    found: dict[tuple[str, Word], None] = {}
    for number, (before, item) in enumerate(zip(("", *command), command, strict=False)):
        if before == "-m":
            found[item.replace(".", "/") + ".py", "module"] = None
            found[item.replace(".", "/") + "/__main__.py", "module"] = None
        parts = list(pieces(item))
        text = " ".join(part for part, is_name in parts if not is_name)
        if number and text == item and WORD.fullmatch(item) and not item.startswith("-"):
            found[item, "argument"] = None
            continue
        for word in WORD.findall(WRITTEN.sub(" ", text)):
            if ("/" in word or "." in word) and not word.startswith("-"):
                found[word, "word"] = None
    return tuple((word, kind) for word, kind in found if _can_be_a_name(word))


def _can_be_a_name(word: str) -> bool:
    """Whether a file can be called so: file systems have limits, which asking for it would meet as errors."""
    encoded = os.fsencode(word)
    return len(encoded) <= LONGEST_PATH and all(len(part) <= LONGEST_PART for part in encoded.split(b"/"))


def is_program(file: Path, root: Path, *, named: bool = False) -> bool:
    """Whether a file of the project is there that can be run, or whose name says that it is a script; `named`: any."""
    if not file.is_relative_to(root) or STATE_DIR in file.parts or ".." in file.parts:
        return False
    try:
        return file.is_file() and (named or bool(SCRIPTS.fullmatch(file.suffix)) or os.access(file, os.X_OK))
    except (OSError, ValueError):
        return False
