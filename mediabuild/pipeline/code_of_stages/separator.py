"""Which interpreter the stages that run demucs use: their own, the separator's venv, or the `demucs` command's.

A stage runs demucs when it names it among its declaration's `tools`. Its own interpreter comes first; then
the venv that `--auto-install-demucs` and `scripts/bootstrap.sh separator` fill; then the one behind a
`demucs` command on PATH. Only folders are looked at, so this costs nothing where demucs is at home.

Not here: installing it (`install`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from mediabuild.errors import PipelineError
from mediabuild.machine.here import quoted
from mediabuild.machine.install import DEFAULT_VENV
from mediabuild.machine.interpreter import lacking_for_separator, separator_command, venv_python
from mediabuild.pipeline.model import Pipeline, StageSpec

DEMUCS = "demucs"


def runs_demucs(spec: StageSpec) -> bool:
    """Whether a stage needs the separator."""
    return spec.declaration is not None and DEMUCS in spec.declaration.tools


def with_separator(pipeline: Pipeline, venv: Path) -> Pipeline:
    """The pipeline, its demucs stages on an interpreter that has demucs, where there is one.

    Args:
        venv: the separator's venv; it may be missing.
    """
    lacking = lacking_demucs(pipeline)
    found = _elsewhere(venv) if lacking else None
    if found is None:
        return pipeline
    moved = {name: replace(pipeline.stages[name], python=found) for name in lacking}
    return replace(pipeline, stages={**pipeline.stages, **moved})


def _elsewhere(venv: Path) -> Path | None:
    for python in (venv_python(venv), separator_command()):
        if python is not None and python.is_file() and not lacking_for_separator(python):
            return python
    return None


def lacking_demucs(pipeline: Pipeline) -> dict[str, list[str]]:
    """Stage → the packages that it misses, for the stages that run demucs and can't."""
    stages = [spec for spec in pipeline.stages.values() if runs_demucs(spec)]
    found = {spec.name: lacking_for_separator(spec.python) for spec in stages}
    return {name: lacking for name, lacking in found.items() if lacking}


def missing_demucs(spec: StageSpec, lacking: list[str]) -> PipelineError:
    """The refusal to run a stage without demucs; its hint is the command that installs it."""
    whose = str(spec.python or sys.executable)
    return PipelineError(f"{spec.name}: {whose} lacks {', '.join(lacking)}", install_hint(spec))


def install_hint(spec: StageSpec) -> str:
    """The command that makes a stage's demucs be there: in the venv that `python` names, if it does."""
    venv = spec.python.parent.parent if spec.python else None
    if venv is None or not (venv / "pyvenv.cfg").exists():
        return "doit --auto-install-demucs"
    return quoted(sys.executable, "-m", "mediabuild.machine.install", "separator", venv)


def separator_venv(root: Path, given: str | None) -> Path:
    """The separator's venv: as the command line says, else in the project."""
    return Path(os.path.expanduser(given)).absolute() if given else root / DEFAULT_VENV
