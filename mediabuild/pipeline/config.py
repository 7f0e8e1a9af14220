"""Reading `pipeline.toml`: every mistake at once, each with its table and key and the nearest name.

Not here: jobs and tasks (`sources`, `tasks`), and the tables' types (`tables`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import PipelineError
from mediabuild.machine.here import quoted
from mediabuild.pipeline.code_of_stages.declared import check_inputs, interpreter_of, params_beside
from mediabuild.pipeline.code_of_stages.loading import load_stage, misnamed_modules, stage_files
from mediabuild.pipeline.command_stages.checks import check_command, running_of
from mediabuild.pipeline.deliveries import check_deliver
from mediabuild.pipeline.document import check_values, document_alone, read_document
from mediabuild.pipeline.mistakes import Mistakes, closest, nearest
from mediabuild.pipeline.model import Pipeline, Resources, StageSpec
from mediabuild.pipeline.params import fill_shared, shared_uses, stage_params
from mediabuild.pipeline.paths import at_home, jobs_dir_of
from mediabuild.pipeline.per_job.conditions import check_when
from mediabuild.pipeline.per_job.jobs import jobs_of
from mediabuild.pipeline.per_job.matrix import axes_of
from mediabuild.pipeline.per_job.outputs import check_outputs
from mediabuild.pipeline.per_job.values import params_set
from mediabuild.pipeline.placeholders import check_names, check_variables, names_in
from mediabuild.pipeline.references import canonical_order, check_references
from mediabuild.pipeline.reserved import LONGEST_NAME
from mediabuild.pipeline.tables import TABLES, CacheTable, PipelineTable, ResourcesTable, StageTable, elsewhere

STAGE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def load_pipeline(file: Path, *, commands: tuple[str, ...] = (), alone: bool = False) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        file: the `pipeline.toml`.
        commands: words that no stage may be called, since they are commands.
        alone: there is no such file; recordings in its folder are built with the built-in pipeline and stages.

    Raises:
        PipelineError: with all mistakes, each *table.key: what*, and the nearest name that exists.
    """
    document = document_alone() if alone else read_document(file)
    mistakes = Mistakes(file.name)
    check_values(document, mistakes)
    mistakes.raise_if_any()  # nothing else is looked at: such values would come up anywhere
    _take_tables(document, mistakes)
    shared = shared_uses(document)
    fill_shared(document, mistakes)
    values = _pipeline_values(document.get("pipeline", {}), mistakes)
    sources, root = values.get("sources", ()), file.parent.absolute()
    stages = _stages(root, document.get("stages", {}), mistakes, commands, isolate=values.get("isolate", False))
    lost = document.get("stages", {}).keys() - stages.keys()
    check_references(stages, mistakes, folders=any(p.endswith("/") for p in sources if p[0] != "!"), lost=lost)
    table_file = root / at_home(values["jobs"]) if "jobs" in values else None
    said = jobs_of(document.get("jobs", {}), table_file, stages, mistakes)
    order = canonical_order(stages, mistakes)
    cache = mistakes.fields("cache", document.get("cache", {}), CacheTable, elsewhere(CacheTable))
    mistakes.raise_if_any()
    return Pipeline(
        root=root,
        file=file,
        sources=sources,
        jobs_dir=root / jobs_dir_of(values),
        device=values.get("device", "auto"),
        checksum=values.get("checksum", "blake3"),
        stages={name: stages[name] for name in order},
        job_params={job: one.params for job, one in said.items()},
        skip={job: one.skip for job, one in said.items() if one.skip},
        said_of={job: one.where for job, one in said.items()},
        jobs_table=table_file,
        resources=_amounts(values.get("resources")),
        cache_bytes=CacheTable(**cache).max_gb * 1e9,
        job=values.get("job", "{path}"),
        frozen=values.get("frozen", False),
        alone=alone,
        shared=shared,
    )


def _take_tables(document: dict[str, Any], mistakes: Mistakes) -> None:
    """Note unknown tables; what one most likely is, it is taken for."""
    for key in document.keys() - set(TABLES):
        is_table = isinstance(document[key], dict)
        meant = closest(key, TABLES) if is_table else ""
        hint = nearest(key, TABLES) if meant else elsewhere().get(key) or nearest(key, TABLES)
        mistakes.add(key, "unknown table" if is_table else "it stands in no table", hint)
        if meant and meant not in document:
            document[meant] = document.pop(key)


def _pipeline_values(table: Any, mistakes: Mistakes) -> dict[str, Any]:
    """The good values of `[pipeline]`; one glob of `sources` or `frozen` is a list of one."""
    values = mistakes.fields("pipeline", table, PipelineTable, elsewhere(PipelineTable))
    for key in ("sources", "frozen"):
        globs = values.get(key, True)
        if not isinstance(globs, bool):
            values[key] = tuple(map(at_home, (globs,) if isinstance(globs, str) else globs))
    if isinstance(table, dict) and "sources" not in values and not mistakes.says_of("pipeline.sources"):
        mistakes.add("pipeline.sources", "missing", 'sources = ["media/*.mp4"]')
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in str(values.get("jobs_dir", "")).split("/")):
        mistakes.add("pipeline.jobs_dir", f"too long a name: at most {LONGEST_NAME} bytes")
    check_names("pipeline.job", values.get("job", ""), ("path", "suffix"), mistakes)
    if "job" in values and "path" not in names_in(values["job"]):
        mistakes.add("pipeline.job", "without {path} all jobs have one name", 'job = "{path}{suffix}"')
    for path in values.get("sources", ()):
        check_variables("pipeline.sources", path, mistakes)
    check_variables("pipeline.jobs_dir", values.get("jobs_dir", ""), mistakes)
    return values


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _amounts(table: ResourcesTable | None) -> dict[str, float]:
    if table is None:
        return {}
    return {key: value for key, value in msgspec.structs.asdict(table).items() if value is not None}


def _stages(
    root: Path, tables: Any, mistakes: Mistakes, commands: tuple[str, ...], *, isolate: bool
) -> dict[str, StageSpec]:
    if not isinstance(tables, dict) or not tables:
        mistakes.add("stages", "no stage is declared", "[stages.demux]")
        return {}
    keys = StageTable.__struct_fields__
    astray = [key for key in tables if key in keys and tables[key] and not {*_table(tables[key])} & {*keys}]
    if astray:  # the line above them is [stages]
        mistakes.add("stages", f"{', '.join(astray)}: keys of a stage, which has no name", "[stages.NAME]")
        tables = {name: table for name, table in tables.items() if name not in astray}
    files, specs = stage_files(root), {}
    for file in misnamed_modules(root):
        taken, free = file.relative_to(root), file.with_stem(f"_own{file.stem}").relative_to(root)
        mistakes.add(str(taken), "Python has a module of this name itself", quoted("mv", taken, free))
    for name, table in tables.items():
        where = f"stages.{name}"
        if not STAGE_NAME.match(name):
            mistakes.add(where, "a stage's name is letters, digits, _ and -")
            continue
        if len(name) > LONGEST_NAME:
            mistakes.add(f"stages.{name[:20]}…", f"too long a name: at most {LONGEST_NAME} characters")
            continue
        if name in commands:
            mistakes.add(
                where, f"{name!r} is a command; name the stage otherwise", f'[stages.my_{name}] uses = "{name}"'
            )
            continue
        good = mistakes.fields(
            where, table, StageTable, {**elsewhere(StageTable), **params_beside(name, table, files, root)}
        )
        uses = good.get("uses") or name
        if "command" not in good and uses not in files:
            if not mistakes.says_of(f"{where}.command"):
                mistakes.add(where, f"there is no stage {uses!r}", nearest(uses, {*files, *tables} - {name}))
            continue
        spec = _stage(root, name, good, files, mistakes, isolate=isolate)
        if spec is not None:
            specs[name] = spec
    return specs


def _stage(
    root: Path, name: str, table: dict[str, Any], files: Mapping[str, Path], mistakes: Mistakes, *, isolate: bool
) -> StageSpec | None:
    where = f"stages.{name}"
    command, uses = table.get("command"), table.get("uses") or name
    declaration, file = None, None
    if command is None:
        file = files[uses]
        try:
            declaration = load_stage(file, root)
        except PipelineError as error:
            mistakes.add(where, str(error))
            return None
        if table.get("outputs"):
            mistakes.add(f"{where}.outputs", f"the stage {uses!r} declares its own outputs", "remove them")
        check_inputs(where, table.get("inputs", {}), declaration, mistakes)
    elif table.get("uses"):
        mistakes.add(f"{where}.uses", "a stage has either a command or a file")
    outputs = dict(declaration.outputs) if declaration else table.get("outputs", {})
    check_outputs(where, outputs, table.get("matrix", {}), mistakes)
    running = running_of(where, table, mistakes, isolate=isolate)
    outputs = {name: os.path.normpath(path) for name, path in outputs.items()}
    matrix = axes_of(where, table.get("matrix", {}), table.get("params", {}), declaration, mistakes)
    params = stage_params(where, table.get("params", {}), matrix, declaration, mistakes)
    if table.get("optional") and not matrix:
        mistakes.add(f"{where}.optional", "only values of a matrix can be left out", 'matrix = { language = ["es"] }')
    if table.get("temp") and table.get("deliver"):
        mistakes.add(f"{where}.temp", "what is delivered must stay", "remove temp or deliver")
    if command is not None:
        known = {**params, **params_set(matrix)}
        check_command(where, command, running, table.get("inputs", {}), outputs, known, mistakes)
    spec = StageSpec(
        name=name,
        inputs=table.get("inputs", {}),
        outputs=outputs,
        params=params,
        matrix=matrix,
        command=tuple(command or ()),
        running=running,
        file=file,
        own=file is not None and file.parent == root / "stages",
        declaration=declaration,
        python=interpreter_of(where, root, table.get("python"), declaration, mistakes),
        resources=_resources(where, table.get("resources"), mistakes),
        deliver=check_deliver(where, table.get("deliver"), outputs, matrix, mistakes),
        timeout_s=table.get("timeout_s"),
        optional=table.get("optional", False),
        collect=table.get("collect", False),
        temp=table.get("temp", False),
        when=table.get("when", ""),
    )
    check_when(where, spec, mistakes)
    return spec


def _resources(where: str, table: ResourcesTable | None, mistakes: Mistakes) -> Resources:
    return Resources(**_amounts(table))  # type: ignore[arg-type]
