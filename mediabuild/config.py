"""Reading `pipeline.toml`: every mistake at once, each with its table and key and the nearest name.

Not here: jobs and tasks (`graph`). The tables below are also where the editor's schema comes from.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mediabuild.errors import PipelineError
from mediabuild.model import Pipeline, Resources, StageSpec
from mediabuild.names import nearest
from mediabuild.stage import Stage, load_stage

STAGE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
DEVICE = r"^(auto|cpu|mps|cuda(:[0-9]+)?)$"
PLACEHOLDER = re.compile(r"\{(inputs\.|outputs\.|params\.)?([A-Za-z_][A-Za-z0-9_]*)\}")

TABLES = ("pipeline", "stages", "jobs", "cache")

Scalar = str | int | float | bool


def described(text: str, **bounds: Any) -> msgspec.Meta:
    """Bounds and a description, which the editor shows."""
    return msgspec.Meta(description=text, **bounds)


class ResourcesTable(msgspec.Struct, forbid_unknown_fields=True):
    """What a stage needs while it runs, or what the machine has."""

    cpu: Annotated[int | None, described("CPU cores, and so the stage's threads")] = None
    gpu: Annotated[int | None, described("GPUs")] = None
    memory_gb: Annotated[float | None, described("memory in GB")] = None


class PipelineTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[pipeline]`"""

    sources: Annotated[list[str] | str, described("Globs of recordings, one job each; `!` excludes")]
    jobs_dir: Annotated[str, described("Where jobs are kept", min_length=1)] = "jobs"
    device: Annotated[str, described("auto, cpu, cuda, mps, cuda:1", pattern=DEVICE)] = "auto"
    checksum: Annotated[Literal["blake3", "sha256"], described("Digest of each file")] = "blake3"
    resources: Annotated[ResourcesTable | None, described("What the machine has; found out if left out")] = None


class StageTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[stages.NAME]`"""

    uses: Annotated[str | None, described("The stage's file, stages/USES.py; its own name if left out")] = None
    command: Annotated[list[str] | None, described("An argv list with {inputs.NAME}, {outputs.NAME} …")] = None
    inputs: Annotated[dict[str, str], described("name → source, STAGE.OUTPUT, STAGE, or a path with a /")] = {}
    outputs: Annotated[dict[str, str], described("A command's outputs: name → file in the stage's directory")] = {}
    params: Annotated[dict[str, Any], described("Params of the stage")] = {}
    matrix: Annotated[dict[str, list[Scalar]], described("One task for each value: param → values")] = {}
    python: Annotated[str | None, described("The venv or interpreter of the stage's worker")] = None
    resources: Annotated[ResourcesTable | None, described("What it needs while it runs")] = None
    timeout_s: Annotated[
        Annotated[float, msgspec.Meta(gt=0)] | None, described("Seconds after which it is stopped")
    ] = None
    deliver: Annotated[Annotated[str, msgspec.Meta(min_length=1)] | None, described("Prefix for copies: out/{job}")] = (
        None
    )
    collect: Annotated[bool, described("One task over all jobs that succeeded, instead of one for each")] = False
    temp: Annotated[bool, described("Delete its outputs once all that read them are up to date")] = False


class CacheTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[cache]`"""

    max_gb: Annotated[float, described("How much earlier outputs may take, in GB; 0 keeps none", ge=0)] = 20.0


class JobTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[jobs."NAME"]`"""

    params: Annotated[dict[str, dict[str, Any]], described("stage → params of this job alone")] = {}


class Mistakes:
    """Collects what is wrong, so that all of it can be said at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[str] = []

    def add(self, where: str, what: str, hint: str = "") -> None:
        """Note a mistake: `where` is its table and key."""
        self.found.append(f"{where}: {what}" + (f" ({hint})" if hint else ""))

    def raise_if_any(self) -> None:
        """Raise them all as one PipelineError."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise PipelineError(f"{self.file}: {self.found[0]}")
        lines = "\n".join(f"  {line}" for line in self.found)
        raise PipelineError(f"{self.file}: {len(self.found)} mistakes\n{lines}")

    def fields(self, where: str, table: Any, kind: type[msgspec.Struct]) -> dict[str, Any]:
        """The table's good values, after noting its unknown keys and wrong values one by one."""
        if not isinstance(table, dict):
            self.add(where, f"expected a table, got {toml_type(table)}")
            return {}
        known = {f.encode_name: f for f in msgspec.structs.fields(kind)}
        good = {}
        for key, value in table.items():
            if key not in known:
                self.add(f"{where}.{key}", "unknown key", nearest(key, known))
                continue
            try:
                good[key] = msgspec.convert(value, known[key].type)
            except msgspec.ValidationError as error:
                self.add(f"{where}.{key}", sentence(error))
        return good


def sentence(error: msgspec.ValidationError) -> str:
    """msgspec's message in the words of a TOML file."""
    text = str(error).replace(" - at `$`", "").replace("`object`", "a table").replace("`null`", "nothing")
    return re.sub(r" - at `\$\.?(.*)`", r" at \1", text)[:1].lower() + re.sub(r" - at `\$\.?(.*)`", r" at \1", text)[1:]


def toml_type(value: Any) -> str:
    """The TOML word for a value's type."""
    names = {dict: "a table", list: "a list", str: "a string", bool: "a boolean", int: "an integer", float: "a float"}
    return names.get(type(value), type(value).__name__)


def builtin_stages_dir() -> Path:
    """Where the built-in stages are: inside the wheel, or beside the package in a clone."""
    package = Path(__file__).parent
    inside = package / "stages"
    return inside if inside.is_dir() else package.parent / "stages"


def stage_files(root: Path) -> dict[str, Path]:
    """Name → file of every stage that a pipeline in `root` can use; the project's own win."""
    found: dict[str, Path] = {}
    for folder in (builtin_stages_dir(), root / "stages"):
        if folder.is_dir():
            found |= {file.stem: file for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")}
    return found


def load_pipeline(file: Path, *, commands: tuple[str, ...] = ()) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        file: the `pipeline.toml`.
        commands: words that no stage may be called, since they are commands.

    Raises:
        PipelineError: with all mistakes, each *table.key: what*, and the nearest name that exists.
    """
    document = _parse(file)
    mistakes = Mistakes(file.name)
    for key in document.keys() - set(TABLES):
        mistakes.add(key, "unknown table", nearest(key, TABLES))
    table = document.get("pipeline", {})
    values = mistakes.fields("pipeline", table, PipelineTable)
    if isinstance(table, dict) and "sources" not in table:
        mistakes.add("pipeline.sources", "missing", 'sources = ["media/*.mp4"]')
    root = file.parent.absolute()
    stages = _stages(root, document.get("stages", {}), mistakes, commands)
    _check_references(stages, mistakes)
    job_params = _job_params(document.get("jobs", {}), stages, mistakes)
    order = canonical_order(stages, mistakes)
    cache = mistakes.fields("cache", document.get("cache", {}), CacheTable)
    mistakes.raise_if_any()
    sources = values["sources"]
    return Pipeline(
        root=root,
        file=file,
        sources=tuple([sources] if isinstance(sources, str) else sources),
        jobs_dir=root / values.get("jobs_dir", "jobs"),
        device=values.get("device", "auto"),
        checksum=values.get("checksum", "blake3"),
        stages={name: stages[name] for name in order},
        job_params=job_params,
        resources=_amounts(values.get("resources")),
        cache_bytes=CacheTable(**cache).max_gb * 1e9,
    )


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{file.name}: not found in {file.parent.absolute()}", "mediabuild init") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise PipelineError(f"{file.name}: {error}") from None


def _amounts(table: ResourcesTable | None) -> dict[str, float]:
    if table is None:
        return {}
    return {key: value for key, value in msgspec.structs.asdict(table).items() if value is not None}


def _stages(root: Path, tables: Any, mistakes: Mistakes, commands: tuple[str, ...]) -> dict[str, StageSpec]:
    if not isinstance(tables, dict) or not tables:
        mistakes.add("stages", "no stage is declared", "[stages.demux]")
        return {}
    files, specs = stage_files(root), {}
    for name, table in tables.items():
        where = f"stages.{name}"
        if not STAGE_NAME.match(name):
            mistakes.add(where, "a stage's name is letters, digits, _ and -")
            continue
        if name in commands:
            mistakes.add(
                where, f"{name!r} is a command; name the stage otherwise", f'[stages.my_{name}] uses = "{name}"'
            )
            continue
        spec = _stage(root, name, mistakes.fields(where, table, StageTable), files, mistakes)
        if spec is not None:
            specs[name] = spec
    return specs


def _stage(
    root: Path, name: str, table: dict[str, Any], files: Mapping[str, Path], mistakes: Mistakes
) -> StageSpec | None:
    where = f"stages.{name}"
    command, uses = table.get("command"), table.get("uses") or name
    declaration, file = None, None
    if command is None:
        if uses not in files:
            mistakes.add(where, f"there is no stage {uses!r}", nearest(uses, files))
            return None
        file = files[uses]
        try:
            declaration = load_stage(file)
        except PipelineError as error:
            mistakes.add(where, str(error))
            return None
        if table.get("outputs"):
            mistakes.add(f"{where}.outputs", f"the stage {uses!r} declares its own outputs")
        _check_inputs(where, table.get("inputs", {}), declaration, mistakes)
    elif table.get("uses"):
        mistakes.add(f"{where}.uses", "a stage has either a command or a file")
    outputs = dict(declaration.outputs) if declaration else table.get("outputs", {})
    _check_outputs(where, outputs, mistakes)
    outputs = {name: os.path.normpath(path) for name, path in outputs.items()}
    matrix = _matrix(where, table.get("matrix", {}), mistakes)
    params = _stage_params(where, table.get("params", {}), matrix, declaration, mistakes)
    if table.get("temp") and table.get("deliver"):
        mistakes.add(f"{where}.temp", "what is delivered must stay", "remove temp or deliver")
    if command is not None:
        _check_command(where, command, table.get("inputs", {}), outputs, {**params, **matrix}, mistakes)
    return StageSpec(
        name=name,
        inputs=table.get("inputs", {}),
        outputs=outputs,
        params=params,
        matrix=matrix,
        command=tuple(command or ()),
        file=file,
        own=file is not None and file.parent == root / "stages",
        declaration=declaration,
        python=_interpreter(where, root, table.get("python"), declaration, mistakes),
        resources=_resources(where, table.get("resources"), mistakes),
        deliver=_deliver(where, table.get("deliver"), mistakes),
        timeout_s=table.get("timeout_s"),
        collect=table.get("collect", False),
        temp=table.get("temp", False),
    )


def _check_inputs(where: str, given: Mapping[str, str], declaration: Stage, mistakes: Mistakes) -> None:
    known = {**declaration.inputs, **declaration.optional}
    for name in given.keys() - known.keys():
        mistakes.add(f"{where}.inputs.{name}", "the stage has no such input", nearest(name, known))
    for name in declaration.inputs.keys() - given.keys():
        mistakes.add(f"{where}.inputs.{name}", f"missing: {declaration.inputs[name]}")


def _check_outputs(where: str, outputs: Mapping[str, str], mistakes: Mistakes) -> None:
    for name, path in outputs.items():
        parts = path.split("/")
        if path.startswith(("/", "~")) or ".." in parts or not path.strip("./") or "\x00" in path:
            mistakes.add(f"{where}.outputs.{name}", f"{path!r} leads outside the stage's directory")
        elif parts[0] == "manifest.json":
            mistakes.add(f"{where}.outputs.{name}", "manifest.json is the manifest's name")
    taken: dict[str, str] = {}
    for name, path in ((name, os.path.normpath(path)) for name, path in outputs.items()):
        clash = next(
            (n for n, p in taken.items() if (path + "/").startswith(p + "/") or (p + "/").startswith(path + "/")), None
        )
        if clash:
            mistakes.add(f"{where}.outputs.{name}", f"{path!r} overlaps the output {clash!r}")
        taken[name] = path


def _matrix(where: str, table: Mapping[str, list[Scalar]], mistakes: Mistakes) -> dict[str, tuple[str, ...]]:
    return {key: matrix_values(f"{where}.matrix.{key}", [str(v) for v in vs], mistakes) for key, vs in table.items()}


def matrix_values(where: str, values: list[str], mistakes: Mistakes) -> tuple[str, ...]:
    """The values of a matrix, checked; none at all leaves the stage without tasks."""
    if len(set(values)) != len(values):
        mistakes.add(where, "a value stands there twice")
    for value in values:
        if value in ("", ".", "..") or "/" in value or "\x00" in value:
            mistakes.add(where, f"{value!r} can't be the name of a directory")
    return tuple(values)


def _stage_params(
    where: str, table: Mapping[str, Any], matrix: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    for key in table.keys() & matrix.keys():
        mistakes.add(f"{where}.params.{key}", "it is a key of the matrix already")
    if declaration is None:
        return dict(table)
    known = {f.name for f in msgspec.structs.fields(declaration.params)}
    for key in matrix.keys() - known:
        mistakes.add(f"{where}.matrix.{key}", "the stage has no such param", nearest(key, known))
    good = mistakes.fields(f"{where}.params", dict(table), declaration.params)
    return effective_params(f"{where}.params", {}, good, declaration, mistakes)


def effective_params(
    where: str, base: Mapping[str, Any], changes: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    """`base` with `changes`, checked as a whole; plain values, in the order of the declaration."""
    merged = {**base, **changes}
    if declaration is None:
        return merged
    try:
        plain = msgspec.to_builtins(msgspec.convert(merged, declaration.params))
    except msgspec.ValidationError as error:
        mistakes.add(where, sentence(error))
        return dict(base)
    return dict(plain)


def _check_command(
    where: str,
    command: list[str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    params: Mapping[str, Any],
    mistakes: Mistakes,
) -> None:
    if not command or not command[0]:
        mistakes.add(f"{where}.command", "empty")
    groups: dict[str, Mapping[str, Any]] = {"inputs.": inputs, "outputs.": outputs, "params.": params}
    for item in command:
        for group, name in PLACEHOLDER.findall(item):
            if group and name not in groups[group]:
                mistakes.add(f"{where}.command", f"{{{group}{name}}} is not declared", nearest(name, groups[group]))
            if group == "outputs." and "*" in outputs.get(name, ""):
                mistakes.add(f"{where}.command", f"{{outputs.{name}}} stands for any number of files")


def _interpreter(
    where: str, root: Path, given: str | None, declaration: Stage | None, mistakes: Mistakes
) -> Path | None:
    if given is None:
        return None
    path = root / Path(given).expanduser()
    python = path / "bin" / "python" if path.is_dir() else path
    if not python.is_file():
        separates = declaration is not None and "demucs" in declaration.tools
        made_by = f"{sys.executable} -m mediabuild.install separator" if separates else "python3 -m venv"
        mistakes.add(f"{where}.python", f"no interpreter at {given}", f"{made_by} {given}")
    return python


def _resources(where: str, table: ResourcesTable | None, mistakes: Mistakes) -> Resources:
    amounts = _amounts(table)
    for key, value in amounts.items():
        if value < 0:
            mistakes.add(f"{where}.resources.{key}", "must not be negative")
    return Resources(**amounts)  # type: ignore[arg-type]


def _deliver(where: str, prefix: str | None, mistakes: Mistakes) -> str | None:
    if prefix is not None and (prefix.startswith(("/", "~")) or ".." in prefix.split("/")):
        mistakes.add(f"{where}.deliver", f"{prefix!r} leads outside the project")
    return prefix


def split_reference(text: str) -> tuple[str, str | None]:
    """`demux.audio` → (`demux`, `audio`); `demux` → (`demux`, None)."""
    stage, _, output = text.partition(".")
    return stage, output or None


def is_path(reference: str) -> bool:
    """Whether an input's reference is a path or glob; those have a `/`."""
    return "/" in reference


def needed_stages(spec: StageSpec) -> list[str]:
    """The stages whose outputs a stage reads, as its table names them."""
    references = [text.removeprefix("?") for text in spec.inputs.values()]
    return [split_reference(text)[0] for text in references if not is_path(text) and text != "source"]


def _check_references(stages: Mapping[str, StageSpec], mistakes: Mistakes) -> None:
    for spec in stages.values():
        if spec.collect:
            _check_collect(spec, mistakes)
        for name, reference in spec.inputs.items():
            text = reference.removeprefix("?")
            where = f"stages.{spec.name}.inputs.{name}"
            if text == "source" or is_path(text):
                continue
            producer, output = split_reference(text)
            if producer not in stages:
                hint = nearest(producer, [*stages, "source"])
                mistakes.add(where, f"no stage makes {text!r}", hint + "; a path needs a /, such as ./" + text)
            elif output is not None and output not in stages[producer].outputs:
                mistakes.add(where, f"{producer!r} has no output {output!r}", nearest(output, stages[producer].outputs))


def _check_collect(spec: StageSpec, mistakes: Mistakes) -> None:
    """What belongs to one job can't stand in a stage over all of them."""
    where = f"stages.{spec.name}"
    for name, reference in spec.inputs.items():
        if reference.removeprefix("?") == "source":
            mistakes.add(f"{where}.inputs.{name}", "a collect stage has no source of its own", "read STAGE.OUTPUT")
    texts = {f"inputs.{name}": text for name, text in spec.inputs.items()} | {"deliver": spec.deliver or ""}
    for key, text in {**texts, "command": " ".join(spec.command)}.items():
        if "{job}" in text:
            mistakes.add(f"{where}.{key}", "a collect stage is of no single job: {job} can't stand here")


def _job_params(
    tables: Any, stages: Mapping[str, StageSpec], mistakes: Mistakes
) -> dict[str, dict[str, dict[str, Any]]]:
    jobs: dict[str, dict[str, dict[str, Any]]] = {}
    for job, table in tables.items() if isinstance(tables, dict) else ():
        where = f'jobs."{job}"'
        jobs[job] = {}
        for stage, params in mistakes.fields(where, table, JobTable).get("params", {}).items():
            if stage not in stages:
                mistakes.add(f"{where}.params.{stage}", "there is no such stage", nearest(stage, stages))
                continue
            if stages[stage].collect:
                mistakes.add(f"{where}.params.{stage}", "a collect stage is of no single job", f"[stages.{stage}]")
                continue
            jobs[job][stage] = check_params(f"{where}.params.{stage}", params, stages[stage], mistakes)
    return jobs


def check_params(where: str, params: Mapping[str, Any], spec: StageSpec, mistakes: Mistakes) -> dict[str, Any]:
    """The good ones among a job's params for a stage; the others are noted as mistakes."""
    for key in params.keys() & spec.matrix.keys():
        mistakes.add(f"{where}.{key}", "it is a key of the matrix")
    if spec.declaration is not None:
        good = mistakes.fields(where, dict(params), spec.declaration.params)
        effective_params(where, spec.params, good, spec.declaration, mistakes)
        return good
    for key, value in params.items():
        if key not in spec.params:
            mistakes.add(f"{where}.{key}", "unknown param", nearest(key, spec.params))
        elif not _same_type(value, spec.params[key]):
            mistakes.add(f"{where}.{key}", f"expected {toml_type(spec.params[key])}, got {toml_type(value)}")
    return {key: value for key, value in params.items() if key in spec.params}


def _same_type(value: Any, example: Any) -> bool:
    if isinstance(value, bool) or isinstance(example, bool):
        return type(value) is type(example)
    numbers = (int, float)
    return type(value) is type(example) or (isinstance(value, numbers) and isinstance(example, numbers))


def canonical_order(stages: Mapping[str, StageSpec], mistakes: Mistakes) -> list[str]:
    """Topological, ties in the order of the file; a cycle is noted as a mistake."""
    waiting = {name: {n for n in needed_stages(spec) if n in stages} for name, spec in stages.items()}
    order: list[str] = []
    while waiting:
        ready = next((name for name, needs in waiting.items() if not needs - set(order)), None)
        if ready is None:
            mistakes.add("stages", f"a cycle: {_cycle(waiting, set(order))}")
            return [*order, *waiting]
        order.append(ready)
        del waiting[ready]
    return order


def _cycle(waiting: Mapping[str, set[str]], done: set[str]) -> str:
    path = [next(iter(waiting))]
    while len(set(path)) == len(path):
        path.append(sorted(waiting[path[-1]] - done)[0])
    return " → ".join(reversed(path[path.index(path[-1]) :]))


def installed(package: str) -> bool:
    """Whether a package is there for mediabuild's own interpreter; it is not imported."""
    return importlib.util.find_spec(package) is not None
