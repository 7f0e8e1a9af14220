"""What the inputs of a task stand for: the job's source, paths, and the tasks that make them in this job or in all.

Not here: what is there of it now (`pipeline.paths`, `freshness.inputs`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import Given, Pipeline, Produced, Reference, StageSpec
from mediabuild.pipeline.paths import (
    check_apart,
    check_brackets,
    closest_path,
    given_for,
    in_source,
    may_be_there,
    meets,
)
from mediabuild.pipeline.per_job.values import At, combinations, place, value_of
from mediabuild.pipeline.placeholders import names_in, text_of
from mediabuild.pipeline.references import is_path, split_reference
from mediabuild.pipeline.reserved import ALL_JOBS, encode_name, own_name


class NotThere(Exception):
    """A stage that is needed has no task in this job."""


def task_name(stage: str, job: str, value: str = "") -> str:
    """`translate:ep01:es`"""
    return f"{stage}:{job}:{value}" if value else f"{stage}:{job}"


class Resolver:
    """Resolves references, of one stage and job after the other, those that are read first.

    Attributes:
        made: (stage, job) → the combinations that have a task.
        targets: what the user's own tasks make; it needn't be there yet.
        without: (stage, job) → those that have none, since the job has no such stage; an empty one stands for all.
    """

    def __init__(self, pipeline: Pipeline, jobs: Mapping[str, Given], mistakes: Mistakes) -> None:
        self.pipeline = pipeline
        self.jobs = jobs
        self.mistakes = mistakes
        self.targets: Collection[str] = ()
        self.made: dict[tuple[str, str], list[At]] = {}
        self.without: dict[tuple[str, str], list[At]] = {}

    def inputs(self, spec: StageSpec, job: str, source: Given, at: At) -> dict[str, tuple[Reference, ...]]:
        """Input → what it stands for in a task.

        Raises:
            NotThere: it needs a stage that has no task in the job.
        """
        return {name: tuple(self._references(spec, name, job, source, at)) for name in spec.inputs}

    def given(self, text: str, job: str, source: Given, at: At, *, optional: bool = False) -> Given:
        """What a path or glob stands for in a task; in a job's folder where it begins with `source/`."""
        names = {"job": own_name(job), **{key: text_of(value) for key, value in at.items()}}
        folder = source.pattern if self.pipeline.has_folders and in_source(text) else ""
        return given_for(text, names, optional, self.pipeline.root, folder)

    def _references(self, spec: StageSpec, name: str, job: str, source: Given, at: At) -> Iterator[Reference]:
        text, where = spec.inputs[name], f"stages.{spec.name}.inputs.{name}"
        optional, text = text.startswith("?"), text.removeprefix("?")
        if text == "source":
            yield source
        elif is_path(text):
            given = self.given(text, job, source, at, optional=optional)
            if not given.folder:
                of_all = not names_in(text)  # what one job lacks is that job's trouble
                comes = any(meets(given, self.pipeline.root, f"{target}/") for target in self.targets)
                if of_all and not (optional or comes or may_be_there(given, self.pipeline.root)):
                    self.mistakes.add(where, f"nothing is at {given.pattern}", self._not_there(text))
                check_brackets(where, given.globs, self.pipeline.root, self.mistakes)
                check_apart(where, given, self.pipeline, self.mistakes)
            yield given
        else:
            yield from self._produced(spec, where, text, job, at, spec.may_be_absent(name))

    def _not_there(self, text: str) -> str:
        """What to do about a path or glob that nothing is at."""
        inside = re.sub(r"\A(\./)?source?s?/", "source/", text, flags=re.IGNORECASE)
        if self.pipeline.has_folders and in_source(inside):
            return f'"{inside}" is in the job\'s folder'
        hint = ', or sources = ["media/*/"] to make folders jobs' if in_source(text) else ""
        close = closest_path(text, self.pipeline.root)
        return f'did you mean "{close}"?' if close else f'"?{text}" if it may be absent{hint}'

    def _produced(
        self, spec: StageSpec, where: str, text: str, job: str, at: At, optional: bool
    ) -> Iterator[Reference]:
        stage, output, value = split_reference(text)
        producer = self.pipeline.stages[stage]
        over_all = spec.collect and not producer.collect
        fan_in = not value and any(key not in at for key in producer.matrix)
        many = output is None or "*" in producer.outputs.get(output, "")
        found, lacking = 0, False
        for of_job in self.jobs if over_all else [ALL_JOBS if producer.collect else job]:
            tasks = _fitting(self.made.get((stage, of_job), ()), at, value)
            lacking = lacking or bool(not tasks and _fitting(self.without.get((stage, of_job), ()), at, value))
            for one in sorted(tasks, key=place) if fan_in else tasks:
                named = value_of(one)
                keys = [of_job] * over_all + [named] * fan_in
                yield Produced(task_name(stage, of_job, named), output, of_job, ":".join(keys), many)
            found += len(tasks)
        if not found and lacking and not optional:
            raise NotThere
        missing = [] if found or lacking else self._missing(spec, where, producer, job, at, value)
        yield from [] if optional or over_all else missing
        if optional and not (found or over_all or fan_in or many):
            yield Given(task_name(stage, job, value), optional=True)  # one file, which isn't there

    def _missing(
        self, spec: StageSpec, where: str, producer: StageSpec, job: str, at: At, value: str
    ) -> list[Reference]:
        """What there is no task for: a mistake, or, where files are the values, this job's trouble."""
        shared = {key: at[key] for key in producer.matrix if key in at}
        files = [axis.files for axis in producer.matrix.values() if axis.files]
        if files:  # a name that no file has
            return [Given(task_name(producer.name, job, value or value_of(shared)) if value or shared else files[0])]
        for key in shared:
            if text_of(at[key]) not in map(text_of, producer.matrix[key].values):
                what = f"{producer.name} has no {text_of(at[key])!r}, which {spec.name} would read"
                hint = f"matrix.{key} of stages.{producer.name}"
                self.mistakes.add(f"stages.{spec.name}.matrix.{key}", what, hint)
        if value:
            values = map(value_of, combinations(producer.matrix))
            self.mistakes.add(where, f"{producer.name} has no {value!r}", nearest(value, values))
        return []


def _fitting(among: Iterable[At], at: At, value: str) -> list[At]:
    """The combinations that a task reads: its own where it has the same key, else all of them, or the named one."""
    found = []
    for one in among:
        same = all(text_of(at[key]) == text_of(one[key]) for key in one if key in at)
        if same and (not value or not one or value_of(one) in (value, encode_name(value))):
            found.append(one)
    return found
