"""Finds what somebody laid down for the pipeline and nothing reads: files that no glob matches, names of no job.

A file in a folder of the sources that no glob matches; a file of an input with `{job}` (`corrections/{job}.srt`), or a
table `[jobs."…"]`, whose job doesn't exist: most likely it is misspelt. And a job's file beside those of such an input
whose suffix is another (`corrections/ep01.ass`).

Not here: jobs whose recording is gone (`orphans`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
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
MOST_NAMED, FIRST = 10, 3  # rows of no job that are named one by one; of more, how many
SUFFIX = re.compile(r"(\.\w+)+")


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
    found = _said_of_no_job(pipeline, names, known)
    inputs = list(_inputs_by_job(pipeline))
    files = {one.folder: list(_files(pipeline, one.folder)) for one in inputs}
    matches = [match for one in inputs for path in files[one.folder] if (match := one.pattern.fullmatch(path))]
    misnamed = [match for match in matches if same_text(match["job"]) not in known]
    others = [path for path in _unmatched(pipeline) if not any(one.pattern.fullmatch(path) for one in inputs)]
    suffixed = {path: job for path, job in _of_other_suffixes(pipeline, inputs, files) if same_text(job) in known}
    read = _read(pipeline, jobs) if misnamed or others or suffixed else set()
    for match in misnamed:
        if read.isdisjoint(_with_folders(match.string)):
            job, start, end = match["job"], *match.span("job")
            job = job if match.string[end:] else _folder_of_no_job(job, known)
            found.append(Unread((match.string[:start] + job + match.string[end:],), _no_job(job, names)))
    for path, job in ((path, suffixed[path]) for path in in_order(suffixed)):
        if read.isdisjoint(_with_folders(path)):
            is_read = [f"{one.before}{job}{one.after}" for one in inputs if path.startswith(one.before + job)]
            found.append(Unread((path,), f"for the job {job!r} only this is read: {', '.join(dict.fromkeys(is_read))}"))
    others = [path for path in others if read.isdisjoint(_with_folders(path))]
    if others:
        found.append(Unread(tuple(in_order(others)), "no pattern of [pipeline] sources matches"))
    return list(dict.fromkeys(found))


def _said_of_no_job(pipeline: Pipeline, names: Collection[str], known: Collection[str]) -> list[Unread]:
    """Tables and rows of a job that there isn't; of many, as where a table is larger than what lies here, one word."""
    said = [(job, where) for job, where in pipeline.said_of.items() if job not in known]
    said = [(job, f"[{where}]" if where.startswith('jobs."') else where) for job, where in said]
    first, others = (said[:FIRST], said[FIRST:]) if len(said) > MOST_NAMED else (said, [])
    found = [Unread((where,), _no_job(job, names)) for job, where in first]
    return [*found, Unread((f"{others[0][1]} and {len(others) - 1} more",), "no such jobs")] if others else found


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
    return list(dict.fromkeys(one.folder for one in _inputs_by_job(pipeline)))


def _no_job(job: str, names: Collection[str]) -> str:
    stem = os.path.splitext(os.path.basename(job))[0]  # a whole path may have been written
    close = (nearest(text, names) for text in dict.fromkeys((job, stem)))
    return f"there is no job {job!r}" + next((f"; {text}" for text in close if text.startswith("did")), "")


@dataclass(frozen=True)
class _ByJob:
    """An input with `{job}` in its path: its folder, what stands before and after the job, what such a path is like."""

    folder: str
    before: str
    after: str

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        behind = fnmatch.translate(self.after).removesuffix(r"\Z")
        return re.compile(f"{re.escape(self.before)}(?P<job>.+?){behind}", re.DOTALL)


def _of_other_suffixes(
    pipeline: Pipeline, inputs: list[_ByJob], files: Mapping[str, list[str]]
) -> Iterator[tuple[str, str]]:
    """Paths, and maybe jobs, that are like an input's but for their suffix, `a.ass` or `a.en.ass` beside `{job}.srt`.

    Not in the sources' folders, where notes lie beside recordings; and no `a.srt.bak`.
    """
    sources = {os.path.normpath(fixed_part(text.removeprefix("!"))) for text in pipeline.sources}
    patterns = [one.pattern for one in inputs]
    for one in inputs:
        if SUFFIX.fullmatch(one.after) and sources.isdisjoint(_with_folders(one.folder)):
            for path in files[one.folder]:
                stem, suffix = os.path.splitext(path)
                if SUFFIX.fullmatch(suffix) and not any(
                    pattern.fullmatch(text) for pattern in patterns for text in (path, stem)
                ):
                    for text in (stem, os.path.splitext(stem)[0]):
                        if text.startswith(one.before):
                            yield path, text.removeprefix(one.before)


def _inputs_by_job(pipeline: Pipeline) -> Iterator[_ByJob]:
    """Each input with `{job}` in its name; one with braces is several."""
    for spec in pipeline.stages.values():
        texts = (text.removeprefix("?") for text in spec.inputs.values())
        for text in (fill(text, dict.fromkeys(spec.matrix, "*").get) for text in texts if "/" in text):
            of_project = not (pipeline.has_folders and in_source(text))
            for choice in expand_braces(os.path.normpath(text)) if of_project and "{job}" in text else ():
                before, _, after = choice.partition("{job}")
                folder = fixed_part(before + "x")
                if folder and not WILDCARDS.search(before) and "{job}" not in after:
                    yield _ByJob(folder, before, after)


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
