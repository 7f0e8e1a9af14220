"""Stages on real sound, one at a time: the stage's file is loaded and run as a worker would run it."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediabuild.stage import Context, Lookup, load_stage

ROOT = Path(__file__).parents[2]
Files = Path | dict[str, Path]


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., Context]:
    """``run_stage("demux", {"media": path}, clip_end_s=5.0)`` → the context; outputs are in `.out`."""
    runs = iter(range(1000))

    def run(name: str, inputs: dict[str, Files], *, job: str = "sample", device: str = "cpu", **params: Any) -> Context:
        declared = load_stage(ROOT / "stages" / f"{name}.py")
        values = msgspec.convert(params, declared.params)
        out = tmp_path / f"{name}.{next(runs)}"
        out.mkdir()
        lookup = Lookup(ROOT / "stages", ROOT, (Path(sysconfig.get_paths()["purelib"]),))
        messages: list[tuple[str, dict[str, Any]]] = []
        context = Context(
            stage=name,
            job=job,
            out=out,
            sources={k: v if isinstance(v, dict) else {v.name: v} for k, v in inputs.items()},
            outputs=declared.outputs,
            device=device,
            project_dir=ROOT,
            stage_dir=ROOT / "stages",
            models=declared.models(values, lookup) if declared.models else {},
            report=lambda kind, fields: messages.append((kind, fields)),
        )
        context.messages = messages  # type: ignore[attr-defined]
        assert declared.run is not None
        declared.run(context, values)
        return context

    return run


@pytest.fixture(scope="session")
def librivox() -> Path:
    """The folder with three short LibriVox readings (16 kHz), their words and their speech labels."""
    return Path(__file__).parents[1] / "speech"
