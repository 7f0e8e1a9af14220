"""The tables of `pipeline.toml`, typed and bounded; the editor's schema is made of them.

Not here: checks that need more than one value (`config`, `references`, `params`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from mediabuild.pipeline.per_job.axis import Scalar
from mediabuild.pipeline.typed import examples_in, toml_text

DEVICE = r"^(auto|cpu|mps|cuda(:[0-9]+)?)$"
TABLES = ("pipeline", "stages", "jobs", "cache", "params")
YEAR_S = 366 * 24 * 3600
Text = Annotated[str, msgspec.Meta(min_length=1)]


def described(text: str, *examples: Any, **bounds: Any) -> msgspec.Meta:
    """Bounds, a description and examples, which the editor shows; a wrong value is answered with an example."""
    return msgspec.Meta(description=text, examples=list(examples) or None, **bounds)


class ResourcesTable(msgspec.Struct, forbid_unknown_fields=True):
    """What a stage needs while it runs, or what the machine has."""

    cpu: Annotated[Annotated[int, msgspec.Meta(ge=0, le=4096)] | None, described("CPU cores, and so threads", 2)] = None
    gpu: Annotated[Annotated[int, msgspec.Meta(ge=0, le=1024)] | None, described("GPUs", 1)] = None
    memory_gb: Annotated[Annotated[float, msgspec.Meta(ge=0, le=65536)] | None, described("memory in GB", 8)] = None


class PipelineTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[pipeline]`"""

    sources: Annotated[
        Annotated[list[Text], msgspec.Meta(min_length=1)] | Text,
        described(
            "Globs of sources, or of folders with a / at the end, one job each; `!` excludes",
            ["media/*.mp4"],
            ["albums/*/"],
        ),
    ]
    jobs_dir: Annotated[str, described("Where jobs are kept", "jobs", min_length=1)] = "jobs"
    job: Annotated[
        str, described("A job's name: {path} below the fixed part of the glob, {suffix}", "{path}{suffix}")
    ] = "{path}"
    jobs: Annotated[Text | None, described("A table of jobs, .csv or .toml: job, STAGE.PARAM", "jobs.csv")] = None
    device: Annotated[str, described("auto, cpu, cuda, mps, cuda:1", "auto", "cuda:1", pattern=DEVICE)] = "auto"
    checksum: Annotated[Literal["blake3", "sha256"], described("Digest of each file", "blake3")] = "blake3"
    resources: Annotated[
        ResourcesTable | None, described("What the machine has; found out if left out", {"cpu": 8})
    ] = None
    frozen: Annotated[
        bool | Text | Annotated[list[Text], msgspec.Meta(min_length=1)],
        described(
            "Sources that must not change: true, or globs; one that does is a failure until reset-dep",
            True,
            ["masters/*.mov"],
        ),
    ] = False
    isolate: Annotated[bool, described("What holds for the commands whose tables don't say `isolate`", True)] = False


class StageTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[stages.NAME]`"""

    uses: Annotated[str | None, described("The stage's file, stages/USES.py; its own name if left out", "demux")] = None
    command: Annotated[
        list[str] | None,
        described("An argv list with {inputs.NAME}, {outputs.NAME} …", ["cp", "{inputs.media}", "{outputs.mp4}"]),
    ] = None
    inputs: Annotated[
        dict[str, str],
        described(
            "name → source, STAGE.OUTPUT, STAGE, or a path with a /", {"media": "source", "audio": "demux.audio"}
        ),
    ] = {}
    stdout: Annotated[Text | None, described("A command's output that gets what it prints", "json")] = None
    stderr: Annotated[Text | None, described("A command's output that gets what it prints as errors", "log")] = None
    env: Annotated[dict[str, str] | None, described("Variables of a command's environment", {"TZ": "UTC"})] = None
    each: Annotated[Text | None, described("A command runs once for each file, or row, of this input", "clips")] = None
    isolate: Annotated[
        bool, described("A command starts in an empty folder, with links named after its inputs", True)
    ] = False
    progress: Annotated[Literal["ffmpeg"] | None, described("The command is ffmpeg; show how far it is", "ffmpeg")] = (
        None
    )
    outputs: Annotated[
        dict[str, str],
        described(
            "A command's outputs: name → file in the stage's directory",
            {"mp4": "video.mp4", "frames": "*.png", "hls": "hls/"},
        ),
    ] = {}
    params: Annotated[dict[str, Any], described("Params of the stage", {"lufs": -16})] = {}
    matrix: Annotated[
        dict[str, list[Scalar] | Text | dict[str, dict[str, Any]]],
        described(
            "One task for each value: key → values, value → its params, or a glob of files (source/*.flac)",
            {"language": ["es", "fr"]},
            {"track": "source/*.flac"},
            {"rung": {"240p": {"height": 240}}},
        ),
    ] = {}
    when: Annotated[
        Text | None,
        described("Only in jobs where this input is there, or whose source has such a name", "slides", "*.{mp4,mkv}"),
    ] = None
    python: Annotated[str | None, described("The venv or interpreter of the stage's worker", "venv/demucs")] = None
    resources: Annotated[ResourcesTable | None, described("What it needs while it runs", {"cpu": 2})] = None
    timeout_s: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=YEAR_S)] | None, described("Seconds after which it is stopped", 3600)
    ] = None
    deliver: Annotated[
        Text | Annotated[dict[str, Text], msgspec.Meta(min_length=1)] | None,
        described(
            "Where copies go: a folder (site/{job}/), a prefix (out/{job}), or output → folder/ or name",
            "site/{job}/",
            {"mp4": "site/{job}.mp4"},
        ),
    ] = None
    optional: Annotated[
        bool,
        described("With a matrix: a value that can't be made is left out by the stages that read all of them", True),
    ] = False
    collect: Annotated[bool, described("One task over all jobs that succeeded, instead of one for each", True)] = False
    temp: Annotated[bool, described("Delete its outputs once all that read them are up to date", True)] = False


class CacheTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[cache]`"""

    max_gb: Annotated[float, described("How much earlier outputs may take, in GB; 0 keeps none", 20, ge=0)] = 20.0


class JobTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[jobs."NAME"]`"""

    params: Annotated[
        dict[str, dict[str, Any]], described("stage → params of this job alone", {"STAGE": {"PARAM": 1}})
    ] = {}
    skip: Annotated[list[str], described("Stages that this job hasn't", ["thumbs"])] = []


PLACES: dict[str, type[msgspec.Struct]] = {
    "[pipeline]": PipelineTable,
    "[stages.NAME]": StageTable,
    '[jobs."JOB"]': JobTable,
    "[cache]": CacheTable,
}


@functools.cache  # asked for each stage and each job
def elsewhere(but: type[msgspec.Struct] | None = None) -> Mapping[str, str]:
    """The keys of all tables but one → where they belong, as it is written there."""
    found: dict[str, str] = {}
    for place, kind in PLACES.items():
        for field in msgspec.structs.fields(kind) if kind is not but else ():
            found.setdefault(field.encode_name, f"it belongs in {place}: {field.encode_name} = {example_of(field)}")
    own = {field.encode_name for field in msgspec.structs.fields(but)} if but else set()
    return {key: hint for key, hint in found.items() if key not in own}


def example_of(field: msgspec.structs.FieldInfo) -> str:
    """How a key's value is written, for example."""
    return next((toml_text(shown[0]) for shown in examples_in(field.type)), "…")
