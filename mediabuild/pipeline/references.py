"""References between stages: `STAGE.OUTPUT`, `STAGE`, `source`, a path; and the order that follows from them.

Not here: the tasks that a reference stands for (`tasks`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from mediabuild.pipeline.deliveries import deliver_texts
from mediabuild.pipeline.mistakes import Mistakes, closest, nearest
from mediabuild.pipeline.model import Pipeline, Produced, StageSpec, Task
from mediabuild.pipeline.paths import in_source
from mediabuild.pipeline.placeholders import check_names, names_in

MANY = re.compile(r"[*?\[]")


def split_reference(text: str) -> tuple[str, str | None, str]:
    """`demux.audio` → (`demux`, `audio`, ``); `demux` → (`demux`, None, ``); `web.jpg:320` → (`web`, `jpg`, `320`)."""
    name, _, value = text.partition(":")
    stage, _, output = name.partition(".")
    return stage, output or None, value


def is_path(reference: str) -> bool:
    """Whether an input's reference is a path or glob; those have a `/`."""
    return "/" in reference


def needed_stages(spec: StageSpec) -> list[str]:
    """The stages whose outputs a stage reads, as its table names them."""
    references = [text.removeprefix("?") for text in spec.inputs.values()]
    return [split_reference(text)[0] for text in references if not is_path(text) and text != "source"]


def single_inputs(task: Task) -> set[str]:
    """The inputs that are one file or directory, if they are there; which suffix it has may be open (`x.*`)."""
    return {name for name, references in task.inputs.items() if len(references) == 1 and _is_one(task, name)}


def _is_one(task: Task, name: str) -> bool:
    reference = task.inputs[name][0]
    if isinstance(reference, Produced):
        return not (reference.key or reference.many)
    return not reference.globs or not MANY.search(task.stage.inputs[name].removeprefix("?").removesuffix(".*"))


def reads_collected(pipeline: Pipeline) -> bool:
    """Whether stages of each job read what a stage over all jobs makes: then all jobs depend on each."""
    collecting = {spec.name for spec in pipeline.stages.values() if spec.collect}
    return any(collecting & set(needed_stages(spec)) for spec in pipeline.stages.values() if not spec.collect)


def check_references(
    stages: Mapping[str, StageSpec], mistakes: Mistakes, *, folders: bool, lost: Collection[str] = ()
) -> None:
    """Note references to what no stage makes: one that is written in several places is said once, with the places.

    Args:
        folders: sources are folders, so that `source/…` is a path in one.
        lost: stages whose own mistakes are noted: that nothing makes what is theirs only follows.
    """
    wrong: dict[tuple[str, str], list[str]] = {}  # what, hint → where
    for spec in stages.values():
        _check_source_paths(spec, mistakes, folders=folders)
        if spec.collect:
            _check_collect(spec, mistakes)
        for name, reference in spec.inputs.items():
            text = reference.removeprefix("?")
            where = f"stages.{spec.name}.inputs.{name}"
            if is_path(text):
                check_names(where, text, {"job", *spec.matrix}, mistakes)
            if text == "source" or is_path(text):
                continue
            producer, output, value = split_reference(text)
            if producer == "source":
                mistakes.add(where, f"{text!r}: a source has no outputs", '"source", or "source/…" in a folder')
            elif producer not in stages and any(closest(name, [producer]) for name in lost):
                continue
            elif producer not in stages:
                hint = nearest(producer, [*stages, "source"])
                hint += "; a path needs a /, such as ./" + text
                wrong.setdefault((f"no stage makes {text!r}", hint), []).append(where)
            elif output is not None and output not in stages[producer].outputs:
                hint = nearest(output, stages[producer].outputs)
                wrong.setdefault((f"{producer!r} has no output {output!r}", hint), []).append(where)
            elif text.endswith(":") or names_in(value):
                hint = "all values; a stage with the same key in its matrix gets its own"
                mistakes.add(where, f"{text!r} names no value", f'"{text.partition(":")[0]}" is {hint}')
            elif value and not stages[producer].matrix:
                mistakes.add(where, f"{producer!r} has no matrix, so no value {value!r}", text.partition(":")[0])
    for (what, hint), places in wrong.items():
        mistakes.add(", ".join(places), what, hint)


def _check_source_paths(spec: StageSpec, mistakes: Mistakes, *, folders: bool) -> None:
    """What lies in the job's folder: `source/…` in inputs, in the matrix, in `when`."""
    where = f"stages.{spec.name}"
    texts = {f"inputs.{name}": text.removeprefix("?") for name, text in spec.inputs.items()}
    texts |= {f"matrix.{key}": axis.files for key, axis in spec.matrix.items()} | {"when": spec.when}
    for key, text in texts.items():
        if not text.startswith("source/"):
            continue
        if ".." in text.split("/"):
            mistakes.add(f"{where}.{key}", f"{text!r} leads outside the job's folder", "./ is the pipeline's folder")
        elif not folders and not key.startswith("inputs"):
            mistakes.add(f"{where}.{key}", "the sources are no folders", 'sources = ["media/*/"] makes each folder one')
    for key, axis in spec.matrix.items():
        if axis.files:
            check_names(f"{where}.matrix.{key}", axis.files, {"job"}, mistakes)


def _check_collect(spec: StageSpec, mistakes: Mistakes) -> None:
    """What belongs to one job can't stand in a stage over all of them."""
    where = f"stages.{spec.name}"
    for name, reference in spec.inputs.items():
        if reference.removeprefix("?") == "source" or reference.removeprefix("?").startswith("source/"):
            mistakes.add(f"{where}.inputs.{name}", "a collect stage has no source of its own", "read STAGE.OUTPUT")
    texts = {f"inputs.{name}": text for name, text in spec.inputs.items()}
    texts |= {"deliver": " ".join(deliver_texts(spec.deliver)), "command": " ".join(spec.command)}
    texts |= {f"env.{name}": text for name, text in spec.running.env.items()}
    for key, axis in spec.matrix.items():
        if in_source(axis.files) or "job" in names_in(axis.files):
            mistakes.add(
                f"{where}.matrix.{key}",
                "a collect stage is of no single job: its values can't be a job's files",
                "a list",
            )
    for key, text in texts.items():
        if "job" in names_in(text):
            mistakes.add(f"{where}.{key}", "a collect stage is of no single job", "without {job}")


def canonical_order(stages: Mapping[str, StageSpec], mistakes: Mistakes) -> list[str]:
    """Topological, ties in the order of the file; a cycle is noted as a mistake."""
    waiting = {name: {n for n in needed_stages(spec) if n in stages} for name, spec in stages.items()}
    order: list[str] = []
    while waiting:
        ready = next((name for name, needs in waiting.items() if not needs - set(order)), None)
        if ready is None:
            cycle = _cycle(waiting, set(order))
            mistakes.add("stages", f"a cycle: {cycle}", "one of them has to read something else")
            return [*order, *waiting]
        order.append(ready)
        del waiting[ready]
    return order


def _cycle(waiting: Mapping[str, set[str]], done: set[str]) -> str:
    path = [next(iter(waiting))]
    while len(set(path)) == len(path):
        path.append(sorted(waiting[path[-1]] - done)[0])
    return " → ".join(reversed(path[path.index(path[-1]) :]))
