"""`when`: whether a stage has a task in a job, decided from what is there before the graph is made.

It is one of three things:

- An input's name: the stage is there where this input is.
- A path or glob with a `/`, as of an input: where something matches.
- A glob of names: where the name of the job's source matches.

Not here: `skip` (`jobs`), and what follows for stages that read such a stage (`inputs`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import Given, Reference, StageSpec
from mediabuild.pipeline.paths import expand_braces, may_be_there
from mediabuild.pipeline.placeholders import NAME, check_names

WORD = re.compile(NAME)


def check_when(where: str, spec: StageSpec, mistakes: Mistakes) -> None:
    """Note a `when` that says nothing."""
    if not spec.when:
        return
    where = f"{where}.when"
    if spec.collect:
        mistakes.add(where, "a collect stage is of no single job", "it has no task where no job has what it reads")
    elif spec.when in spec.inputs:
        if spec.inputs[spec.when] == "source":
            mistakes.add(where, f"the input {spec.when!r} is always there", 'when = "*.mp4" is for the source\'s name')
    elif "/" in spec.when:
        check_names(where, spec.when, {"job", *spec.matrix}, mistakes)
    elif spec.when.startswith(("?", "!")) or WORD.fullmatch(spec.when):
        hint = nearest(spec.when.lstrip("?!"), spec.inputs) + '; "*.mp4" is for the source\'s name'
        mistakes.add(where, f"the stage has no input {spec.when!r}", hint.removeprefix("; "))


def is_path_condition(spec: StageSpec) -> bool:
    """Whether a stage's `when` is a path or glob of its own."""
    return "/" in spec.when and spec.when not in spec.inputs


def holds(
    spec: StageSpec, source: Given, inputs: Mapping[str, Sequence[Reference]], path: Given | None, root: Path
) -> bool:
    """Whether a stage's `when` holds for one task.

    Args:
        inputs: of the task. path: what the condition stands for where it is a path of its own.
    """
    if not spec.when:
        return True
    if path is not None:
        return may_be_there(path, root)
    if spec.when in inputs:
        return any(not isinstance(r, Given) or may_be_there(r, root) for r in inputs[spec.when])
    name = source.pattern.rpartition("/")[2]
    return any(fnmatch.fnmatchcase(name, choice) for choice in expand_braces(spec.when))
