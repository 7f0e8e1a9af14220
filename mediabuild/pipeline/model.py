"""Plain data: pipeline, stage, job, task, reason. (Not models that a stage loads.)

Not here: anything that touches a file. `config` reads the pipeline, `tasks` makes tasks of it,
`rebuilder` finds reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from mediabuild.machine.visible import one_line
from mediabuild.pipeline.command_stages.differing import differing
from mediabuild.pipeline.command_stages.running import Running
from mediabuild.pipeline.per_job.axis import Axis, Scalar
from mediabuild.pipeline.reserved import STATE_DIR
from mediabuild.stage import Stage

ReasonKind = Literal["never_run", "stage", "params", "device", "inputs", "model", "outputs", "forced"]


class Reason(msgspec.Struct, frozen=True):
    """One fact that makes a stage stale.

    Args:
        kind: one of the kinds of docs/DESIGN.md.
        name: the field or the file: `beam_size`, `terms: glossary/main.csv`; may be empty.
        was: the recorded value, as text; None where there was none.
        now: the present value, as text; None where there is none.
    """

    kind: ReasonKind
    name: str = ""
    was: str | None = None
    now: str | None = None

    def __str__(self) -> str:
        return one_line(self._said())  # whatever a param or a file's name holds

    def _said(self) -> str:
        if self.kind == "never_run":
            return self.now or "not built yet"
        subject = f"{self.kind}.{self.name}" if self.name else self.kind
        if self.was is not None and _is_digest(self.was):  # digests are for machines
            return f"{subject} {'changed' if self.now is not None and _is_digest(self.now) else self.now or 'removed'}"
        if self.was is None:
            said = "added" if self.now is not None and _is_digest(self.now) else self.now
            between = " " if said == "added" or self.kind in ("inputs", "outputs") or "/" in self.name else ": "
            return f"{subject}{between}{said}" if said is not None else subject
        return f"{subject}: " + " → ".join(differing(self.was, "(removed)" if self.now is None else self.now))


def _is_digest(text: str) -> bool:
    return text.startswith(("blake3:", "sha256:"))


@dataclass(frozen=True)
class Resources:
    """What a stage needs of the machine while it runs; a thread budget follows from `cpu`.

    What is None isn't said: it follows from the stage's declaration, its models and its device.
    """

    cpu: int = 1
    gpu: int | None = None
    memory_gb: float | None = None


@dataclass(frozen=True)
class StageSpec:
    """A stage of the pipeline: its table in `pipeline.toml` and its declaration, resolved.

    Args:
        name: its name in `pipeline.toml`.
        inputs: input name → reference (`source`, `demux.audio`, `?./glossary/*.csv`).
        outputs: output name → file name, `*` for any number of files; of a task, with the keys of its matrix filled in.
        params: effective params for every job, before the job's table and the command line.
        matrix: key → values; one task for each combination.
        when: the condition under which a job has the stage (`per_job.conditions`); empty for always.
        command: argv with placeholders, for a command stage; empty for a Python stage. running: how it runs.
        file: the stage's Python file; None for a command stage.
        own: the file lies in `stages/` beside the pipeline: judged by its digest, not its version.
        declaration: what the file declares; None for a command stage.
        python: the interpreter of its worker; None for mediabuild's own.
        deliver: where copies of the outputs go (`deliveries`): a prefix or folder below the project, or one for each
            output that is chosen; None for nowhere.
        timeout_s: seconds after which a run is stopped; None for never.
        optional: a value of its matrix that can't be made holds up nobody who reads all of them.
        collect: one task over all jobs, instead of one for each.
        temp: its outputs are deleted once all that read them are up to date.
    """

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    params: Mapping[str, Any]
    matrix: Mapping[str, Axis] = field(default_factory=dict)
    when: str = ""
    command: tuple[str, ...] = ()
    running: Running = field(default_factory=Running)
    file: Path | None = None
    own: bool = False
    declaration: Stage | None = None
    python: Path | None = None
    resources: Resources = Resources()
    deliver: str | Mapping[str, str] | None = None
    timeout_s: float | None = None
    optional: bool = False
    collect: bool = False
    temp: bool = False

    @property
    def devices(self) -> tuple[str, ...]:
        """The accelerators it can use; not empty means that its device is compared."""
        return self.declaration.devices if self.declaration else ()

    def may_be_absent(self, name: str) -> bool:
        """Whether it can do without an input."""
        declared = self.declaration is not None and name in self.declaration.optional
        return self.inputs[name].startswith("?") or (declared and not self.collect)

    @property
    def keeps_units(self) -> bool:
        """Whether it may keep pieces of its work."""
        return self.declaration is not None or bool(self.running.each)

    @property
    def heavy(self) -> bool:
        """Whether it wants a worker of its own kind."""
        return bool(self.declaration and self.declaration.heavy)


@dataclass(frozen=True)
class Pipeline:
    """`pipeline.toml`, checked, in the canonical order of its stages.

    Args:
        root: the folder of the file; paths in it are relative to here.
        sources: globs, `!` in front of an exclusion, `/` at the end of what matches folders.
        job_params: job → stage → params of that job alone.
        skip: job → the stages that it hasn't.
        said_of: job → where something is said of it alone. jobs_table: the file of `[pipeline] jobs`.
        cache_bytes: how much the kept generations may take.
        job: what a job is called, with `{path}` and `{suffix}`.
        frozen: sources that must not change: all, or those that globs match.
        alone: the built-in pipeline, for recordings in a folder that is no project.
        shared: a value of `[params]` → the stages' params that are this value: (stage, param).
    """

    root: Path
    file: Path
    sources: tuple[str, ...]
    jobs_dir: Path
    device: str
    checksum: str
    stages: Mapping[str, StageSpec]
    job_params: Mapping[str, Mapping[str, Mapping[str, Any]]]
    skip: Mapping[str, tuple[str, ...]]
    said_of: Mapping[str, str]
    jobs_table: Path | None
    resources: Mapping[str, float]
    cache_bytes: float
    job: str = "{path}"
    frozen: bool | tuple[str, ...] = False
    alone: bool = False
    shared: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def has_folders(self) -> bool:
        """Whether sources are folders: then `source/…` is a path in the job's folder."""
        return any(pattern.endswith("/") for pattern in self.sources if pattern[0] != "!")


@dataclass(frozen=True)
class Produced:
    """An input that another task makes: its task, the output's name (None: all of them), the task's job."""

    task: str
    output: str | None
    job: str
    key: str = ""  # the job and matrix value under which a fan-in hands it over; empty otherwise
    many: bool = False  # it stands for any number of files


@dataclass(frozen=True)
class Given:
    """An input that is there: a path or glob below `root`, or the job's source.

    Args:
        pattern: relative to the pipeline's folder, or absolute, as the user reads it.
        globs: the pattern with its brace sets expanded; empty when it is the path itself.
        optional: it may match nothing.
        label: what stands for a source in manifests when it lies outside the pipeline's folder.
        folder: the job's folder, where the globs are, and where files are called `source/…` in manifests: its name
            is no fact. Empty where it is none.
    """

    pattern: str
    globs: tuple[str, ...] = ()
    optional: bool = False
    label: str = ""
    folder: str = ""


Reference = Produced | Given


@dataclass(frozen=True, repr=False)
class Task:
    """One stage of one job, and of one matrix value.

    Args:
        name: `translate:ep01:es`, doit's name for it too.
        job: the job's name; `.all` for the task of a `collect` stage.
        directory: where its outputs and its manifest live.
        job_dir: the job's directory.
        inputs: input name → what it refers to.
        params: the effective params, plain values.
        overrides: the part of `params` that came from the command line.
        value: the matrix value(s), joined with `-`; empty without a matrix.
        device: the device that the pipeline or `--device` asks for: `auto`, `cpu`, `cuda:1` …
        needs: names of the tasks that make its inputs, as far as they are brought along.
        at: key of the matrix → value.
    """

    name: str
    stage: StageSpec
    job: str
    directory: Path
    job_dir: Path
    inputs: Mapping[str, tuple[Reference, ...]]
    params: Mapping[str, Any]
    overrides: Mapping[str, Any]
    value: str
    device: str
    needs: tuple[str, ...]
    at: Mapping[str, Scalar] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Task({self.name!r})"

    @property
    def key(self) -> str:
        """A file name for what belongs to this task under the job's `.mediabuild`."""
        return f"{self.stage.name}@{self.directory.name}" if self.value else self.stage.name

    @property
    def state_dir(self) -> Path:
        """The job's directory for everything that is no output."""
        return self.job_dir / STATE_DIR
