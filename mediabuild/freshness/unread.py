"""Finds what somebody laid down for the pipeline and nothing reads: files that no glob matches, names of no job.

A file in a folder of the sources that no glob matches; a file of an input with `{job}` (`corrections/{job}.srt`), or a
table `[jobs."…"]`, whose job doesn't exist: most likely it is misspelt.

Not here: jobs whose recording is gone (`orphans`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mediabuild.machine.listing import counts
from mediabuild.machine.natural import in_order
from mediabuild.machine.visible import same_text
from mediabuild.pipeline.mistakes import nearest
from mediabuild.pipeline.model import Given, Pipeline
from mediabuild.pipeline.paths import (
    WILDCARDS,
    expand_braces,
    fixed_part,
    given_for,
    in_source,
    path_texts,
    paths_of,
)
from mediabuild.pipeline.placeholders import fill
from mediabuild.pipeline.reserved import own_name
from mediabuild.pipeline.sources import matching

MOST_FILES = 100_000  # of a folder that is looked through


@dataclass(frozen=True)
class Unread:
    """Files, or a table, that nothing reads, and why."""

    names: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{', '.join(self.names)}: {self.why}"


def find_unread(pipeline: Pipeline, jobs: Mapping[str, Given]) -> list[Unread]:
    """All that lies there for nothing.

    Args:
        jobs: all jobs, and their sources.
    """
    names = {own_name(job) for job in jobs}
    known = {same_text(name) for name in names}
    said = {job: f"[{where}]" if where.startswith("jobs.") else where for job, where in pipeline.said_of.items()}
    found = [Unread((where,), _no_job(job, names)) for job, where in said.items() if job not in known]
    inputs = list(_inputs_by_job(pipeline))
    files = {folder: list(_files(pipeline, folder)) for folder in dict.fromkeys(folder for folder, _ in inputs)}
    matches = [match for folder, pattern in inputs for path in files[folder] if (match := pattern.fullmatch(path))]
    misnamed = [match for match in matches if same_text(match["job"]) not in known]
    others = [path for path in _unmatched(pipeline) if not any(pattern.fullmatch(path) for _, pattern in inputs)]
    read = _read(pipeline, jobs) if misnamed or others else set()
    for match in misnamed:
        if read.isdisjoint(_with_folders(match.string)):
            job, start, end = match["job"], *match.span("job")
            job = job if match.string[end:] else _folder_of_no_job(job, known)
            found.append(Unread((match.string[:start] + job + match.string[end:],), _no_job(job, names)))
    others = [path for path in others if read.isdisjoint(_with_folders(path))]
    if others:
        found.append(Unread(tuple(in_order(others)), "no pattern of [pipeline] sources matches"))
    return list(dict.fromkeys(found))


def _read(pipeline: Pipeline, jobs: Mapping[str, Given]) -> set[str]:
    """The files and folders of the project that are read: sources, and what inputs with a path stand for."""
    given = list(jobs.values())
    for text in path_texts(pipeline):
        for job in jobs if "{job}" in text else [""]:
            given.append(given_for(text, {"job": own_name(job)}, True, pipeline.root))
    found: set[str] = set()
    for one in given:
        with contextlib.suppress(OSError):
            found |= {_in_project(path, pipeline.root) for path in paths_of(one, pipeline.root)}
    return found


def _in_project(path: str, root: Path) -> str:
    """A path as it is seen from the project's folder."""
    return os.path.relpath(path, root) if os.path.isabs(path) else os.path.normpath(path)


def _with_folders(path: str) -> set[str]:
    """A path, and all folders above it."""
    parts = path.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}


def _folder_of_no_job(path: str, known: Collection[str]) -> str:
    """The topmost folder on a path in which no job lies: an input may be a folder, whose files nobody wants named."""
    above = {folder for job in known for folder in _with_folders(job)}
    return next(part for part in [*sorted(_with_folders(path)), path] if same_text(part) not in above or part == path)


def folders_of_inputs(pipeline: Pipeline) -> list[str]:
    """The folders below which inputs of single jobs may turn up."""
    return list(dict.fromkeys(folder for folder, _ in _inputs_by_job(pipeline)))


def _no_job(job: str, names: Collection[str]) -> str:
    stem = os.path.splitext(os.path.basename(job))[0]  # a whole path may have been written
    close = (nearest(text, names) for text in dict.fromkeys((job, stem)))
    return f"there is no job {job!r}" + next((f"; {text}" for text in close if text.startswith("did")), "")


def _inputs_by_job(pipeline: Pipeline) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Folder, and what a path below it is like, of each input with `{job}` in its name."""
    for spec in pipeline.stages.values():
        texts = (text.removeprefix("?") for text in spec.inputs.values())
        for text in (fill(text, dict.fromkeys(spec.matrix, "*").get) for text in texts if "/" in text):
            of_project = not (pipeline.has_folders and in_source(text))
            for choice in expand_braces(os.path.normpath(text)) if of_project and "{job}" in text else ():
                before, _, after = choice.partition("{job}")
                folder = fixed_part(before + "x")
                if folder and not WILDCARDS.search(before) and "{job}" not in after:
                    behind = fnmatch.translate(after).removesuffix(r"\Z")
                    yield folder, re.compile(f"{re.escape(before)}(?P<job>.+?){behind}", re.DOTALL)


def _unmatched(pipeline: Pipeline) -> list[str]:
    """The files in the folders of the sources that no pattern matches, and none excludes.

    What goes with a source (`talk.txt`, `talk.en.srt` beside `talk.mp4`) and a README want to be read by people.
    """
    patterns = [pattern for pattern in pipeline.sources if WILDCARDS.search(pattern)]
    texts = [text.removeprefix("!") for text in pipeline.sources]
    paths = [*texts, *(path for text in texts for path in matching(pipeline, text))]
    matched = {_in_project(path, pipeline.root) for path in paths}
    sources = {os.path.splitext(path)[0] for path in matched}
    found: dict[str, None] = {}
    for pattern in (pattern for pattern in patterns if pattern[0] != "!"):
        fixed = fixed_part(pattern)
        deep = pattern.count("/") > fixed.count("/") + 1
        folder = _in_project(fixed, pipeline.root)
        for path in _files(pipeline, folder) if fixed else ():
            if path in matched:
                continue
            beside, name = os.path.split(path)
            stems = {os.path.splitext(path)[0], os.path.join(beside, name.partition(".")[0])}
            if not sources.isdisjoint(stems) or name.upper().startswith("README"):
                continue
            if matched.isdisjoint(_with_folders(path)) and (deep or os.path.dirname(path) == folder):
                found[path] = None
    return list(found)


def _files(pipeline: Pipeline, folder: str) -> Iterator[str]:
    """The files below a folder, as paths below the project; hidden ones and what a run makes are none."""
    count = 0
    jobs_dir = os.path.normpath(pipeline.jobs_dir)
    for place, folders, files in os.walk(pipeline.root / folder):
        here = os.path.relpath(place, pipeline.root)
        folders[:] = [name for name in folders if name[0] != "." and os.path.join(place, name) != jobs_dir]
        for name in files:
            count += 1
            if name[0] != "." and counts(name):
                yield os.path.join(here, name)
        if count > MOST_FILES:
            return
