"""Finds what the pipeline says of files and what none of them is: patterns that fit nothing now, columns of no table,
variables that nothing fills in.

`validate` names them. They are no mistakes: what they are for may be there tomorrow, or the program fills it in.

Not here: files that no pattern fits (`freshness.unread`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.freshness.fixity import is_frozen_by
from mediabuild.machine.here import quoted
from mediabuild.machine.listing import as_stored
from mediabuild.pipeline.command_stages.pieces import columns_used, pieces_of
from mediabuild.pipeline.mistakes import nearest
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.paths import closest_path, fixed_part, paths_of
from mediabuild.pipeline.sources import matching

VARIABLE = re.compile(r"\$[A-Z_][A-Z0-9_]*\b|\$\{[A-Z_][A-Z0-9_]*\}")  # of the environment, as a shell knows it
SHOWN = 3  # sources, of those that a condition doesn't fit


def find_idle(pipeline: Pipeline, jobs: Mapping[str, Given], tasks: Mapping[str, Task]) -> list[str]:
    """What is said of each: where it stands, what is wrong, and what may be meant."""
    made = list(tasks.values())
    found = [*idle_exclusions(pipeline), *_frozen(pipeline, jobs, made), *_stages(pipeline, jobs, made)]
    return [*found, *_variables(pipeline), *_columns(pipeline.root, made)]


def idle_exclusions(pipeline: Pipeline) -> list[str]:
    """Exclusions of `sources`, with the nearest recording or folder."""
    excluded = [pattern[1:] for pattern in pipeline.sources if pattern[0] == "!"]
    places = {pattern: pipeline.root / as_stored(pattern, pipeline.root) for pattern in excluded}
    idle = [p for p, place in places.items() if not (os.path.lexists(place) or matching(pipeline, p))]
    if not idle:  # as nearly always: then the sources aren't looked for once more
        return []
    wanted = [path for pattern in pipeline.sources if pattern[0] != "!" for path in matching(pipeline, pattern)]
    known = {os.path.normpath(path) for path in wanted}
    known |= {folder for path in known for folder in map(str, Path(path).parents) if folder not in (".", "/")}
    close = {pattern: nearest(os.path.normpath(pattern), known) for pattern in idle}
    return [f"sources: !{p} fits nothing{'; ' + near if near.startswith('did') else ''}" for p, near in close.items()]


def _frozen(pipeline: Pipeline, jobs: Mapping[str, Given], tasks: Sequence[Task]) -> Iterator[str]:
    """Globs of `frozen`: what they were to guard isn't guarded."""
    if isinstance(pipeline.frozen, bool):
        return
    known = {given.pattern for given in jobs.values()}
    inputs = [reference for task in tasks for references in task.inputs.values() for reference in references]
    known |= {reference.pattern for reference in inputs if isinstance(reference, Given)}
    for pattern in pipeline.frozen:
        if not any(is_frozen_by(pattern, path) for path in known):
            close = closest_path(pattern, pipeline.root)
            whole = f"a glob of whole paths, such as {min(known, default='media/*.mp4')}"
            yield f"pipeline.frozen: {pattern!r} fits no source; {f'did you mean {close!r}?' if close else whole}"


def _stages(pipeline: Pipeline, jobs: Mapping[str, Given], tasks: Sequence[Task]) -> Iterator[str]:
    """Conditions that hold in no job, and matrices over files that no job has."""
    there = {task.stage.name for task in tasks}
    folder = next((given.folder for given in jobs.values()), "")
    names = sorted(given.pattern.rpartition("/")[2] for given in jobs.values())
    for spec in (spec for spec in pipeline.stages.values() if spec.name not in there):
        for key, axis in spec.matrix.items():
            if axis.files and axis.only is None:
                yield f"stages.{spec.name}.matrix.{key}: no job has {axis.files}{_meant(axis.files, pipeline, folder)}"
        if spec.when and spec.when not in spec.inputs:
            called = f"; sources are called {', '.join(names[:SHOWN])}{' …' * (len(names) > SHOWN)}" * bool(names)
            close = _meant(spec.when, pipeline, folder) if "/" in spec.when else called
            yield f"stages.{spec.name}.when: {spec.when!r} fits in no job{close}"


def _variables(pipeline: Pipeline) -> Iterator[str]:
    """Values of `env` that a shell would have filled in; a few programs do so themselves."""
    for spec in pipeline.stages.values():
        for name, text in spec.running.env.items():
            for variable in VARIABLE.findall(text):
                yield f'stages.{spec.name}.env.{name}: {variable} stays as it is (its value, or command = ["sh", …])'


def _meant(text: str, pipeline: Pipeline, folder: str) -> str:
    """The path or glob that may be meant by one, or where to look; `folder`: of one of the jobs."""
    first, _, rest = text.partition("/")
    if pipeline.has_folders and first != "source" and nearest(first, ["source"]).startswith("did"):
        return f'; did you mean "source/{rest}"?'
    close = closest_path(text, pipeline.root) if first != "source" else ""
    return (
        f'; did you mean "{close}"?'
        if close
        else f"; {quoted('ls', folder if first == 'source' else fixed_part(text) or '.')}"
    )


def _columns(root: Path, tasks: Sequence[Task]) -> Iterator[str]:
    """Tables of `each` that are there and lack a column, or whose rows can't be told apart."""
    for task in tasks:
        references = task.inputs.get(task.stage.running.each, ())
        given = [reference for reference in references if isinstance(reference, Given)]
        if not (given and columns_used(task.stage)) or len(given) < len(references):
            continue
        try:
            pieces_of(task, {path: root / path for one in given for path in paths_of(one, root)})
        except StageError as error:
            yield f"{task.name}: {error.message}{f' ({error.hint})' * bool(error.hint)}"
        except OSError:
            continue  # said by who reads it
