"""demucs' models: where they are, and how one is loaded, from a file, a folder or the hub.

Not here: what they do (the `separate` stage).
"""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mediabuild.errors import StageError


def repository(name: str) -> str:
    """The hub's repository of a demucs model, as `demucs.hf` names them: `htdemucs_ft` → `adefossez/HTDemucs-ft`."""
    owner, _, model = name.rpartition("/")
    if model == "htdemucs":
        repository = "HTDemucs"
    elif model.startswith("htdemucs_"):
        repository = "HTDemucs-" + model.removeprefix("htdemucs_")
    else:
        repository = "Demucs-" + model
    return f"{owner or 'adefossez'}/{repository}"


def pickles(path: Path) -> bool:
    """Whether a local model is one of demucs' old .th files."""
    return path.suffix == ".th" or (path.is_dir() and not any(path.glob("*.safetensors")))


def load(name: str, path: Path | None, stage: str = "separate") -> Any:
    """A model, from a file or folder, or from the hub.

    Args:
        stage: what the pipeline calls the stage, for hints.

    Raises:
        StageError: there is no such model, or not one alone.
    """
    path = path or _fetched(name, stage)
    if path.is_file():
        return _single(path)
    bags, weights = sorted(path.glob("*.yaml")), sorted([*path.glob("*.safetensors"), *path.glob("*.th")])
    if len(bags) == 1:
        return _bag(bags[0])
    if len(weights) == 1 and not bags:
        return _single(weights[0])
    raise StageError(
        f"separate: {path}: has {len(bags)} .yaml and {len(weights)} model files; one of either is needed",
        shlex.join(["ls", str(path)]),
    )


def _single(path: Path) -> Any:
    from demucs.hf import load_safetensors_model
    from demucs.states import load_model

    try:
        return load_safetensors_model(path) if path.suffix == ".safetensors" else load_model(path)
    except Exception as error:  # a broken or foreign file fails in many ways
        raise StageError(f"separate: {path} is no demucs model: {type(error).__name__}: {error}") from error


def _bag(listing: Path) -> Any:
    """Several models that are averaged, as their .yaml says."""
    from demucs.pretrained import get_model
    from demucs.repo import BagOnlyRepo

    folder = listing.parent
    if pickles(folder):
        return get_model(listing.stem, repo=folder)
    parts = SimpleNamespace(get_model=lambda signature: _single(folder / f"{signature}.safetensors"))
    return BagOnlyRepo(folder, parts).get_model(listing.stem)


def _fetched(name: str, stage: str) -> Path:
    """Download a model from the hub; only safetensors, never a pickle from demucs' older host."""
    from huggingface_hub import snapshot_download

    source = repository(name)
    try:
        return Path(snapshot_download(source, allow_patterns=["*.yaml", "*.safetensors"]))
    except Exception as error:  # no network, no such repository, a full disk
        raise StageError(
            f"separate: params.model {name!r}: {source} can't be fetched ({type(error).__name__})",
            f'model = "mini" under [stages.{stage}], or a local folder: model = "./models/htdemucs"',
        ) from error
