"""What a stage file imports: the declaration, and the context that its function is given.

Not here: loading such files (`pipeline.code_of_stages`), when a stage runs (`freshness`), how it is run and published
(`execution`), and what the files between the media stages look like (`media.formats`).

A stage file is one function with a decorator::

    class DemuxParams(msgspec.Struct, forbid_unknown_fields=True):
        clip_start_s: Annotated[float, msgspec.Meta(ge=0, description="…")] = 0.0

    @stage(version=1, inputs={"media": "the recording"}, outputs={"audio": "audio.wav"})
    def demux(ctx: Context, params: DemuxParams) -> None: ...

Importing such a file must cost milliseconds: heavy libraries are imported inside the function.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mediabuild.errors import StageError
from mediabuild.lanes import Lanes, one_by_one
from mediabuild.lookup import Lookup, ModelRef
from mediabuild.units import Units

__all__ = ["Context", "Lookup", "ModelRef", "NoParams", "Stage", "stage"]
T = TypeVar("T")


class NoParams(msgspec.Struct, forbid_unknown_fields=True):
    """The params of a stage that has none."""


@dataclass(frozen=True)
class Stage:
    """A stage's declaration, as `@stage` makes it.

    Args:
        name: the function's name, and the file's.
        version: raised by hand whenever the same inputs would give other outputs.
        inputs: required inputs, name → what it is.
        optional: inputs that `pipeline.toml` may leave out, name → what it is.
        outputs: name → file name in the stage's directory; a name with `*` stands for any number
            of files (none included), all others must be there when the stage ends.
        params: the msgspec struct of its params, every field with a default.
        devices: accelerators it can use (`cuda`, `mps`), best first; not empty means that the
            resolved device is recorded and compared.
        heavy: runs in a worker of its own kind (it imports torch or loads a large model);
            otherwise it shares the light worker.
        memory_gb: what a run takes at most besides its models' files, in gigabytes (10⁹ bytes), and each lane as
            well; so many run at once as fit into the machine's memory.
        lanes: it makes units in batches (`Context.units`, `Context.each_unit`): on the CPU several batches at once,
            with one library thread each.
        gpu_lanes: the same on cuda, at most so many, each of which takes a core, too; 1: one after the other.
        models: ``(params, lookup) -> {name: ModelRef}``: what it would load; cheap, no imports.
        tools: names of the Python packages whose versions are recorded in the manifest.
        imports: modules that take long to import, and follow from nothing that the stage does before: the worker of a
            heavy stage may import them before its turn comes.
        summary: the first line of its docstring, or the module's.
        run: the function itself.
    """

    name: str
    version: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    params: type[msgspec.Struct] = NoParams
    devices: tuple[str, ...] = ()
    heavy: bool = False
    memory_gb: float = 0.0
    lanes: bool = False
    gpu_lanes: int = 1
    models: Callable[[Any, Lookup], dict[str, ModelRef]] | None = None
    tools: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    summary: str = ""
    run: Callable[[Context, Any], Mapping[str, Any] | None] | None = None


def stage(
    *,
    version: int,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    optional: Mapping[str, str] | None = None,
    devices: tuple[str, ...] = (),
    heavy: bool = False,
    memory_gb: float = 0.0,
    lanes: bool = False,
    gpu_lanes: int = 1,
    models: Callable[[Any, Lookup], dict[str, ModelRef]] | None = None,
    tools: tuple[str, ...] = (),
    imports: tuple[str, ...] = (),
) -> Callable[[Callable[[Context, Any], Mapping[str, Any] | None]], Stage]:
    """Declare a stage; see `Stage` for the arguments. The params class is read from the annotation."""

    def declare(function: Callable[[Context, Any], Mapping[str, Any] | None]) -> Stage:
        params = typing.get_type_hints(function).get("params", NoParams)
        if not (isinstance(params, type) and issubclass(params, msgspec.Struct)):
            raise TypeError(f"the params of {function.__name__} are {params!r}: no msgspec.Struct; NoParams says none")
        doc = function.__doc__ or sys.modules[function.__module__].__doc__ or ""
        return Stage(
            name=function.__name__,
            version=version,
            inputs=dict(inputs),
            optional=dict(optional or {}),
            outputs=dict(outputs),
            params=params,
            devices=devices,
            heavy=heavy,
            memory_gb=memory_gb,
            lanes=lanes,
            gpu_lanes=gpu_lanes,
            models=models,
            tools=tools,
            imports=imports,
            summary=doc.strip().split("\n")[0],
            run=function,
        )

    return declare


@dataclass
class Context:
    """What a running stage is given.

    Args:
        stage: the stage's name in the pipeline; a hint that names a param says this one. job: the job's name.
        out: the temporary directory for outputs; what is in it when the function returns is published.
        sources: input name → (key → path). The key is a matrix value, or the file's relative path.
        outputs: the declaration's outputs. makers: input name → the stage that makes it, for hints.
        device: the resolved device: `cpu`, `mps`, `cuda`, `cuda:1`.
        project_dir: the folder of `pipeline.toml`.
        stage_dir: the folder of the stage's file.
        models: what the stage's `models` function found.
        threads: how many threads a library may use. lanes: how many units are made at once at most (`lanes.most`).
        cache: models kept between the jobs of one worker.
        may_keep: asked after a model was loaded: are its files still what they were when the job began?
        kept: the units of this task that were finished earlier.
        report: receives messages for the console and the events: ``(kind, fields)``.
    """

    stage: str
    job: str
    out: Path
    sources: dict[str, dict[str, Path]]
    outputs: Mapping[str, str]
    device: str = "cpu"
    project_dir: Path = Path()
    stage_dir: Path = Path()
    models: dict[str, ModelRef] = field(default_factory=dict)
    threads: int = 1
    lanes: Lanes = field(default_factory=Lanes)
    cache: dict[str, Any] = field(default_factory=dict)
    may_keep: Callable[[], bool] = lambda: True
    kept: Units = field(default_factory=Units)
    report: Callable[[str, dict[str, Any]], None] = lambda kind, fields: None
    makers: Mapping[str, str] = field(default_factory=dict)
    device_used: str | None = None

    def input(self, name: str) -> Path:
        """The one file (or directory) of an input.

        Raises:
            StageError: the input has no file, or several.
        """
        paths = self.inputs(name)
        if len(paths) != 1:
            raise StageError(f"{self.stage}: input {name!r} has {len(paths)} files, one is needed")
        return next(iter(paths.values()))

    def inputs(self, name: str) -> dict[str, Path]:
        """All files of an input, in a stable order: matrix value, job or relative path → path.

        Empty for an input that may be absent, and is, or that `pipeline.toml` leaves out.
        """
        return self.sources.get(name, {})

    def output(self, name: str) -> Path:
        """Where to write a declared output; for one with `*`, use `out` and a name that matches."""
        return self.out / self.outputs[name]

    def progress(self, done: float, total: float) -> None:
        """Say how far the work is, in any unit (seconds of sound, sentences); cheap to call often."""
        self.report("progress", {"done": done, "total": total})

    def warn(self, message: str, hint: str = "") -> None:
        """Tell the user something that is no failure, and what to do about it; kept in the log.

        The console says it once, though it is true of many jobs: name the job in it only where that matters.
        """
        self.report("warning", {"message": message, "hint": hint})

    def units(
        self, facts: Sequence[Any], make: Callable[[list[int]], Iterable[bytes]], batch: int | None = None
    ) -> Iterator[bytes]:
        """Work in pieces that are kept one by one: each result in order, made only if it isn't kept already.

        What was kept comes back after a kill, and in later runs that share some of the pieces. The stage's
        code, params, models and device count by themselves.

        Args:
            facts: of each piece, all that its result follows from besides (the digest of its sound, its
                sentence): plain values, as JSON can hold them. Two pieces with equal facts are the same piece.
            make: given the numbers of the pieces to make, yields their results in that order; each is kept as
                it comes, so a generator loses least when it is killed.
            batch: how many pieces `make` is given at most; it may then be called by several threads at once, at most
                `lanes.most`, where cores are free: it loads no model, and what it shares with itself (an open file)
                it locks. Each has one library thread. None: it is called once, with all.

        Raises:
            ValueError: a batch of none.
        """
        if batch is None:
            return one_by_one(self.kept, facts, make)
        if batch < 1:
            raise ValueError(f"units: a batch of {batch} pieces; at least one is needed")
        return self.lanes.each(self.kept, facts, make, batch)

    def each_unit(self, facts: Sequence[Any], make: Callable[[int], bytes]) -> Iterator[bytes]:
        """As `units` with a batch of one: `make` is given a number, and makes that piece."""
        return self.units(facts, lambda numbers: map(make, numbers), batch=1)

    def unit(self, facts: Any, make: Callable[[], bytes]) -> bytes:
        """One piece, where its facts follow from the results of those before it; otherwise as `units`."""
        return next(self.units([facts], lambda missing: (make() for _ in missing)))

    def model(self, key: str, load: Callable[[], T]) -> T:
        """A model, loaded once per worker: `key` names everything that `load` depends on."""
        if key in self.cache:
            return typing.cast(T, self.cache[key])
        self.report("model_loading", {"model": key})
        model = load()
        if self.may_keep():
            self.cache[key] = model
        return model
