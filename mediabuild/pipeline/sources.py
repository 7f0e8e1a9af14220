"""Sources: which files or folders the globs match, and the jobs that are named after them.

A glob with a `/` at its end matches folders: each is one source, with all that lies in it.

Not here: the tasks of a job (`tasks`), jobs whose source is gone (`freshness.orphans`).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from mediabuild.machine.here import quoted
from mediabuild.machine.listing import as_stored, counts, matches
from mediabuild.machine.natural import in_order
from mediabuild.machine.visible import same_text
from mediabuild.pipeline.deliveries import deliver_texts
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Pipeline
from mediabuild.pipeline.paths import WILDCARDS, any_case, check_brackets, closest_path, expand_braces, fixed_part
from mediabuild.pipeline.placeholders import fill
from mediabuild.pipeline.reserved import ALL_JOBS, STATE_DIR, encode_name

RESERVED_JOBS = (STATE_DIR, ALL_JOBS)
Match = tuple[str, bool]  # the folder that a source's name is relative to; whether it is a folder itself
SET_ASIDE = re.compile(r"\.edited(\.[0-9]+)?(?=\.[^./]*$|$)")  # what a copy's name has where a person's text is kept


def find_sources(
    pipeline: Pipeline,
    given: Iterable[str] = (),
    known: Mapping[str, Given] | None = None,
    copies: Callable[[], Collection[str]] = frozenset,
) -> dict[str, Given]:
    """Job name → its source, in natural order of names.

    Args:
        given: files named on the command line, instead of the pipeline's globs.
        known: jobs that are there though their sources may not be; none is missed then.
        copies: asked for what was delivered, relative to the pipeline, where a glob may match such a copy: none is a
            source, nor is an edited one that was set aside.

    Raises:
        PipelineError: nothing matches, two sources have one name, or a job would lie in another's stage.
    """
    mistakes = Mistakes(pipeline.file.name)
    found = _matches(pipeline, tuple(given), mistakes if known is None else Mistakes(""))
    found = found if tuple(given) else _without_copies(pipeline, found, copies)
    jobs: dict[str, Given] = {}
    for path, (base, is_folder) in sorted(found.items()):
        job = _job_name(path, base, pipeline.job, is_folder=is_folder)
        try:
            path.encode()
        except UnicodeEncodeError:
            mistakes.add("pipeline.sources", f"the name of {os.fsencode(path)!r} is not UTF-8", "rename it")
            continue
        label = os.path.relpath(path, base) if os.path.isabs(path) else path
        if job in jobs:
            other = jobs[job].pattern
            hint = _apart((path, base), (other, found[other][0]))
            mistakes.add("pipeline.sources", f"two sources are called {job!r}: {other} and {path}", hint)
        jobs[job] = Given(pattern=path, label=label, folder=path if is_folder else "")
    jobs = {**(known or {}), **jobs}
    _check_nesting(jobs, pipeline, mistakes)
    if not jobs and not mistakes.found:
        mistakes.add("pipeline.sources", f"no source matches {', '.join(pipeline.sources)}", _hint(pipeline))
    mistakes.raise_if_any()
    return {job: jobs[job] for job in in_order(jobs)}


def _apart(one: tuple[str, str], other: tuple[str, str]) -> str:
    """How to tell two sources apart, each a path and the folder that its name is relative to."""
    suffixes = {os.path.splitext(path)[1] for path, _ in (one, other)}
    if len(suffixes) > 1:
        return '[pipeline] job = "{path}{suffix}"'
    bases = sorted({base for _, base in (one, other)})
    if len(bases) > 1 and all(base and not os.path.isabs(base) for base in bases):
        return f'one glob for all folders names jobs after these, too: "{{{",".join(bases)}}}/*{suffixes.pop()}"'
    return "rename one"


def _without_copies(
    pipeline: Pipeline, found: dict[str, Match], copies: Callable[[], Collection[str]]
) -> dict[str, Match]:
    """Without what was delivered, and folders that hold it; a source that is named outright is one all the same."""
    texts = [text for spec in pipeline.stages.values() for text in deliver_texts(spec.deliver)]
    beginnings = tuple(text.partition("{")[0].removeprefix("./") for text in texts)

    def may_be_copies(path: str) -> bool:
        return path.startswith(beginnings) or any(text.startswith(path + "/") for text in beginnings)

    matched = [path for path in found if may_be_copies(path) and path not in pipeline.sources]
    delivered = copies() if matched and beginnings else ()
    folders = {str(folder) for copy in delivered for folder in Path(copy).parents}
    left_out = {p for p in matched if p in delivered or p in folders or SET_ASIDE.sub("", p) in delivered}
    return {path: base for path, base in found.items() if path not in left_out}


def _hint(pipeline: Pipeline) -> str:
    """What to do where nothing matches."""
    for pattern in pipeline.sources:
        if pattern[0] != "!" and any((pipeline.root / path).is_dir() for path in matching(pipeline, pattern)):
            return f'"{pattern}/" makes each folder a source'
    jobs_dir = os.path.normpath(pipeline.jobs_dir)
    whole = (os.path.normpath(pipeline.root / path) for p in pipeline.sources for path in matching(pipeline, p))
    if any(path == jobs_dir or path.startswith(os.path.join(jobs_dir, "")) for path in whole):
        return 'jobs_dir holds them, and what lies there is no source: jobs_dir = "jobs"'
    close = next(filter(None, (closest_path(p, pipeline.root) for p in pipeline.sources if p[0] != "!")), "")
    return f'did you mean "{close}"?' if close else _moving(pipeline) or "put one there"


def _moving(pipeline: Pipeline) -> str:
    """How a file beside the pipeline file that would be a source gets to where sources are; empty where none is."""
    for pattern in pipeline.sources:
        folder = fixed_part(pattern)
        if pattern[0] != "!" and folder and not pattern.endswith("/"):
            there = matching(pipeline, pattern.rpartition("/")[2])
            if files := [path for path in there if (pipeline.root / path).is_file()]:
                make = "" if (pipeline.root / folder).is_dir() else f"{quoted('mkdir', '-p', folder)} && "
                return make + quoted("mv", in_order(files)[0], f"{folder}/")
    return ""


def _named(pipeline: Pipeline, given: tuple[str, ...], mistakes: Mistakes) -> dict[str, Match]:
    """As `_matches`, of the sources that the command line names."""
    found: dict[str, Match] = {}
    takes_files = any(not pattern.endswith("/") for pattern in pipeline.sources if pattern[0] != "!")
    for path in given:
        whole = as_stored(str(Path(path).absolute()), pipeline.root)
        relative = os.path.relpath(whole, pipeline.root)
        path_here = whole if relative.startswith("../") else relative
        there = pipeline.root / path_here
        is_folder = pipeline.has_folders and there.is_dir()
        if not is_folder and not there.is_file():
            mistakes.add("--source", f"no such {'file' if takes_files else 'folder'}: {path}", "ls")
        elif not (is_folder or takes_files):
            mistakes.add("--source", f"{path} is a file, and the pipeline's sources are folders")
        found[path_here] = os.path.dirname(path_here), is_folder
    return found


def _matches(pipeline: Pipeline, given: tuple[str, ...], mistakes: Mistakes) -> dict[str, Match]:
    """Path of every source → the folder that its name is relative to, and whether it is a folder itself."""
    if given:
        return _named(pipeline, given, mistakes)
    found: dict[str, Match] = {}
    root = os.fspath(pipeline.root)  # text, since this is done for each source
    excluded = {
        same_text(os.path.normpath(pipeline.root / path))
        for pattern in pipeline.sources
        if pattern[0] == "!"
        for path in (pattern[1:], *matching(pipeline, pattern[1:]))
    } | {same_text(os.path.normpath(pipeline.jobs_dir))}

    def is_excluded(path: str) -> bool:
        """Whether a source, or a folder above it, is excluded, however it is spelt; what a run makes always is."""
        whole = same_text(os.path.normpath(os.path.join(root, path)))
        return whole in excluded or lies_in_excluded(os.path.dirname(whole))

    @functools.cache
    def lies_in_excluded(folder: str) -> bool:
        above = os.path.dirname(folder)
        return folder in excluded or (above != folder and lies_in_excluded(above))

    for pattern in (as_stored(p, pipeline.root) for p in pipeline.sources if not p.startswith("!")):
        is_folder = pattern.endswith("/")
        is_there = os.path.isdir if is_folder else os.path.isfile
        if not WILDCARDS.search(pattern) or is_there(pipeline.root / pattern):
            path = os.path.normpath(pattern)
            if not is_there(pipeline.root / path):
                what = f"no such {'folder' if is_folder else 'file'}: {pattern}"
                mistakes.add("pipeline.sources", what, _hint(pipeline))
            elif is_folder and _holds_jobs(pipeline, path):
                mistakes.add("pipeline.sources", f"the folder {pattern} holds the jobs directory", '"albums/*/"')
            elif not is_excluded(path):
                found[path] = os.path.dirname(path), is_folder
            continue
        check_brackets("pipeline.sources", expand_braces(pattern), pipeline.root, mistakes)
        base = os.path.normpath(fixed_part(pattern)) if fixed_part(pattern) else ""
        for path in map(os.path.normpath, matching(pipeline, pattern)):
            if not counts(os.path.basename(path)) or not is_there(os.path.join(root, path)) or is_excluded(path):
                continue
            if not (is_folder and (path in (base, ".") or _holds_jobs(pipeline, path))):
                found[path] = base, is_folder
    return found


def _holds_jobs(pipeline: Pipeline, folder: str) -> bool:
    """Whether the jobs directory, which every run changes, lies in a folder."""
    whole = os.path.join(os.path.normpath(pipeline.root / folder), "")
    return os.path.join(os.path.normpath(pipeline.jobs_dir), "").startswith(whole)


def matching(pipeline: Pipeline, pattern: str) -> list[str]:
    """All that a glob of `sources` matches now, as it stands there; suffixes in any case: `*.mp4` is also `A.MP4`."""
    return [path for choice in expand_braces(pattern) for path in matches(any_case(choice), pipeline.root)]


def _job_name(path: str, base: str, template: str, *, is_folder: bool) -> str:
    """A job's name; a folder has no suffix, though there is a dot in it."""
    inside = base and path.startswith(base + "/")  # as nearly always; `relpath` takes its time
    relative = path[len(base) + 1 :] if inside else os.path.relpath(path, base) if base else path
    stem, suffix = (relative, "") if is_folder else os.path.splitext(relative)
    while stem.startswith("../"):
        stem = stem.removeprefix("../")
    return encode_name(stem if template == "{path}" else fill(template, {"path": stem, "suffix": suffix}.get))


def _check_nesting(jobs: Mapping[str, Given], pipeline: Pipeline, mistakes: Mistakes) -> None:
    for job in jobs:
        parts = job.split("/")
        if any(part in RESERVED_JOBS for part in parts):
            mistakes.add(
                "pipeline.sources", f"the job {job!r} has a name that mediabuild keeps for itself", "rename it"
            )
        for count in range(1, len(parts)):
            parent, child = "/".join(parts[:count]), parts[count].removesuffix(".edited")
            if parent in jobs and child in pipeline.stages:
                mistakes.add(
                    "pipeline.sources", f"the job {job!r} would lie in the stage {child!r} of the job {parent!r}"
                )
