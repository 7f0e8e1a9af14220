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

from mediabuild.pipeline.mistakes import Mistakes, named
from mediabuild.pipeline.model import Given, Reference, StageSpec
from mediabuild.pipeline.paths import expand_braces, may_be_there
from mediabuild.pipeline.placeholders import NAME, check_names, names_in

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
    elif spec.when.startswith("!"):
        mistakes.add(where, f"{spec.when!r}: there is no negation", f'"{spec.when.lstrip("!")}" says where it is')
    elif _is_meant(spec):
        mistakes.add(where, f"{spec.when!r} is no name of an input", named(spec.when, spec.inputs))
    elif spec.when.startswith("?"):
        mistakes.add(where, f"{spec.when!r}: a condition has no ?", f'"{spec.when.lstrip("?")}"')
    elif "/" in spec.when:
        check_names(where, spec.when, {"job", *spec.matrix}, mistakes)
    elif names_in(spec.when):
        mistakes.add(where, f"{spec.when!r}: a source's name has no placeholder", named(spec.when, spec.inputs))
    elif WORD.fullmatch(spec.when):
        close = named(spec.when, spec.inputs)
        hint = close if close.startswith("did") else "; ".join(filter(None, (close, f'"*.{spec.when}" fits names')))
        mistakes.add(where, f"the stage has no input {spec.when!r}", hint)


def _is_meant(spec: StageSpec) -> bool:
    """Whether an input is meant that has another name: `inputs.slides`, `?./slides/{job}.pdf`, `cut.mp4`."""
    bare = spec.when.strip("{}?")
    known = {text.removeprefix("?") for text in spec.inputs.values()}
    return bare in known or (spec.when != bare and bare in spec.inputs) or bare.removeprefix("inputs.") in spec.inputs


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
