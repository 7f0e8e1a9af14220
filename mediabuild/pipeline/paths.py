"""Paths and globs as a user writes them in `pipeline.toml`: braces, wildcards, what they match now.

Not here: which recordings are jobs (`sources`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mediabuild.machine.listing import as_stored, matches
from mediabuild.machine.natural import in_order
from mediabuild.pipeline.mistakes import Mistakes, closest
from mediabuild.pipeline.model import Given, Pipeline
from mediabuild.pipeline.placeholders import fill
from mediabuild.pipeline.reserved import own_name

SOURCE = "source"
WILDCARDS = re.compile(r"[*?\[{]")


def jobs_dir_of(table: Mapping[str, Any]) -> str:
    """Where the jobs are, of the table `[pipeline]`: relative to the pipeline's folder, or absolute; `~` is home."""
    return os.path.expanduser(str(table.get("jobs_dir", "jobs")))


def at_home(pattern: str) -> str:
    """A pattern of `sources`, which may exclude; `~` is home."""
    exclusion = pattern[:1] == "!"
    return "!" * exclusion + os.path.expanduser(pattern[exclusion:])


def expand_braces(pattern: str) -> list[str]:
    """`a.{mp4,mkv}` → `a.mp4`, `a.mkv`; several sets multiply, nothing nests, `{job}` is no set."""
    parts = re.split(r"(?<!\{)\{([^{}]*,[^{}]*)\}", pattern)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def any_case(pattern: str) -> str:
    """A glob whose suffix fits in any case: `media/*.mp4` → `media/*.[mM][pP]4`."""
    return any_suffix_case(pattern) if WILDCARDS.search(pattern.rpartition(".")[0]) else pattern


def any_suffix_case(pattern: str) -> str:
    """As `any_case`, whether the rest is a glob or not."""
    stem, dot, suffix = pattern.rpartition(".")
    if not (dot and suffix.isalnum()):
        return pattern
    return stem + dot + "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in suffix)


def fixed_part(pattern: str) -> str:
    """The leading folders of a glob that hold no wildcard: `media/**/*.mp4` → `media`."""
    folders = pattern.split("/")[:-1]
    fixed = itertools.takewhile(lambda folder: not WILDCARDS.search(folder), folders)
    return "/".join(fixed)


def in_source(text: str) -> bool:
    """Whether a reference is to the job's source, or to what lies in it."""
    return text == SOURCE or text.startswith(f"{SOURCE}/")


def given_for(text: str, names: Mapping[str, str], optional: bool, root: Path, folder: str = "") -> Given:
    """What a path or glob of an input stands for in a job; `~` is home.

    Args:
        names: placeholder → what stands for it.
        folder: the job's folder, for a path that begins with `source/`.
    """
    text = text.removeprefix(f"{SOURCE}/") if folder else os.path.expanduser(text)
    path = as_stored(os.path.normpath(os.path.join(folder, fill(text, names.get))), root)
    blank = fill(text, dict.fromkeys(names, "").get)
    if not WILDCARDS.search(blank) or os.path.exists(root / path):
        there = _with_its_suffix(path, root) if folder else path
        return Given(pattern=there, optional=optional, folder=folder)
    # braces before the names go in, which may hold braces of their own
    escaped = {name: glob.escape(value) for name, value in names.items()}
    inside = root / folder
    choices = [as_stored(os.path.normpath(fill(choice, escaped.get)), inside) for choice in expand_braces(text)]
    choices = list(map(any_case, choices)) if folder else choices
    return Given(pattern=path, globs=tuple(choices), optional=optional, folder=folder)


def _with_its_suffix(path: str, root: Path) -> str:
    """A path as the file there is called, if just the case of its suffix is another: `a.flac` may be `a.FLAC`."""
    if os.path.lexists(root / path):
        return path
    found = matches(any_suffix_case(glob.escape(path)), root)
    return found[0] if found else path


def label_of(given: Given, path: str) -> str:
    """What a path is called in manifests: in a job's folder, by the way from there."""
    return SOURCE + path.removeprefix(given.folder) if given.folder else given.label or path


def closest_path(path: str, root: Path) -> str:
    """A path or glob like another that begins as something that is there; empty where that begins so itself."""
    parts = path.split("/")
    for place, part in enumerate(parts):
        above = root / "/".join(parts[:place])
        if WILDCARDS.search(part) or not part or os.path.lexists(above / part):
            continue
        with contextlib.suppress(OSError):
            is_last = place == len(parts) - 1
            names = [e.name for e in os.scandir(above) if e.name[0] != "." and (is_last or e.is_dir())]
            close = closest(part, names)
            return "/".join([*parts[:place], close, *parts[place + 1 :]]) if close else ""
        return ""
    return ""


def in_brackets(pattern: str, root: Path) -> str:
    """How a glob is written that means a folder or file whose name has brackets: `[[]2024]`; empty where none is so."""
    parts = pattern.split("/")
    escaped = parts.copy()
    for place, part in enumerate(parts):
        if not os.path.lexists(os.path.join(root, "/".join(parts[: place + 1]) or "/")):
            break
        if "[" in part:
            escaped[place] = glob.escape(part)
    return "/".join(escaped) if escaped != parts else ""


def check_brackets(where: str, globs: Iterable[str], root: Path, mistakes: Mistakes) -> None:
    """A glob that matches nothing, where a folder is called just as it is written, means that folder."""
    for pattern in globs:
        meant = in_brackets(pattern, root) if "[" in pattern else ""
        if meant and not matches(pattern, root):
            mistakes.add(where, f"{pattern}: [ ] stand for one letter out of several", f'"{meant}"')


def check_apart(where: str, given: Given, pipeline: Pipeline, mistakes: Mistakes) -> None:
    """A path may neither hold the jobs directory, which every run changes, nor lie in it."""
    path, jobs = (os.path.normpath(p) for p in (pipeline.root / given.pattern, pipeline.jobs_dir))
    if given.globs:
        path = os.path.normpath(pipeline.root / fixed_part(given.pattern))
        holds = False
    else:
        holds = (jobs + "/").startswith(path.rstrip("/") + "/")
    if holds or (path + "/").startswith(jobs + "/"):
        mistakes.add(where, f"{given.pattern} and the jobs directory overlap", "read a stage's output as STAGE.OUTPUT")


def path_texts(pipeline: Pipeline) -> set[str]:
    """The paths and globs of the project that stages read, as they are written; a key of a matrix may be anything."""
    return {
        fill(text.removeprefix("?"), dict.fromkeys(spec.matrix, "*").get)
        for spec in pipeline.stages.values()
        for text in spec.inputs.values()
        if "/" in text and not (pipeline.has_folders and in_source(text.removeprefix("?")))
    }


def reads(pipeline: Pipeline, job: str, path: str) -> bool:
    """Whether the pipeline would read a path in a job: as a recording, by its path or a glob, or in a folder.

    Args:
        path: absolute; nothing needs to be there.
    """
    given = [given_for(text, {"job": own_name(job)}, True, pipeline.root) for text in path_texts(pipeline)]
    globs = {choice for one in given for choice in (one.globs or [glob.escape(one.pattern)])}
    globs |= {choice.rstrip("/") for text in pipeline.sources if text[0] != "!" for choice in expand_braces(text)}
    parts = os.path.normpath(path).split("/")
    return any(_meets(os.path.normpath(pipeline.root / choice).split("/"), parts, False) for choice in globs)


def meets(given: Given, root: Path, path: str) -> bool:
    """Whether an input has a path, now or later: matches it, holds it, or, if it ends with a slash, lies in it."""
    parts = os.path.normpath(root / path).split("/")
    choices = [os.path.join(given.folder, choice) for choice in given.globs] or [glob.escape(given.pattern)]
    return any(_meets(os.path.normpath(root / choice).split("/"), parts, path.endswith("/")) for choice in choices)


def _meets(pattern: list[str], path: list[str], is_folder: bool) -> bool:
    """The same in parts; what may lie in a folder for all that `**` says isn't counted."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_meets(pattern[1:], path[count:], False) for count in range(len(path) + 1))
    if not path:
        return is_folder
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _meets(pattern[1:], path[1:], is_folder)


def may_be_there(given: Given, root: Path) -> bool:
    """Whether something matches, or may: what can't be looked at is reported when its stage is."""
    try:
        return bool(paths_of(given, root))
    except OSError:
        return True


def paths_of(given: Given, root: Path) -> list[str]:
    """What a path or glob matches now, in natural order; relative to `root` unless it is absolute.

    Raises:
        OSError: the glob's folder can't be listed, which isn't the same as empty.
    """
    if not given.globs:
        return [given.pattern] if os.path.lexists(root / given.pattern) else []
    base = root / given.folder
    found = {path for choice in given.globs for path in matches(choice, base)}
    for choice in given.globs if not found else ():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.listdir(base / fixed_part(choice))
    return in_order({os.path.normpath(os.path.join(given.folder, path)) for path in found})


def fitting_names(names: Iterable[str], pattern: str) -> list[str]:
    """The names that a pattern fits; its brackets stand for themselves if that fits any, since names may hold some."""
    known = list(names)
    for choice in (pattern.replace("[", "[[]"), pattern):
        if found := [name for name in known if fnmatch.fnmatchcase(name, choice)]:
            return found
    return []
