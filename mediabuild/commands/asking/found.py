"""What `doctor` finds, as it prints it: as JSON in this shape.

Not here: looking (`findings`), and how it is shown to people (`doctor`).
"""

from __future__ import annotations

import msgspec


class Interpreter(msgspec.Struct):
    """An interpreter, the stages that it runs, what they need of it (None: missing), and its accelerators."""

    python: str
    version: str
    stages: list[str]
    packages: dict[str, str | None]
    devices: list[str]


class StageModel(msgspec.Struct):
    """A model that a stage would load; `path` is None for one that a hub has and this machine hasn't."""

    stage: str
    name: str
    path: str | None = None
    size_bytes: int = 0
    digest: str = ""


class Missing(msgspec.Struct):
    """What is missing, and what to type."""

    what: str
    hint: str


class Findings(msgspec.Struct):
    """All that `doctor --json` prints: docs/doctor.schema.json.

    `device` is what `auto` stands for here: the best one that a stage of the pipeline can use. `project`: whether there
    is a `pipeline.toml`; without one, all else is of the pipeline that comes with mediabuild.
    """

    mediabuild: str
    project: bool = True
    device: str = "cpu"
    devices: dict[str, str] = {}
    interpreters: list[Interpreter] = []
    ffmpeg: str = ""
    ffmpeg_version: str = ""
    models: list[StageModel] = []
    apertium: str = ""
    apertium_pairs: list[str] = []
    font: str = ""
    free_disk_bytes: int = 0
    missing: list[Missing] = []
