"""The models that a stage would load, and where its `models` function may look for their files.

Not here: their digests (`store`), and loading them, which `Context.model` keeps for the next job (`stage`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.errors import StageError


@dataclass(frozen=True)
class ModelRef:
    """One model that a stage would load.

    Args:
        name: what the user calls it (`mini`, `htdemucs`, a folder).
        path: the file or folder that holds its bytes; None while a hub model has not been
            downloaded yet, in which case only the name is compared.
    """

    name: str
    path: Path | None


@dataclass(frozen=True)
class Lookup:
    """Where a stage's `models` function may look for files, without importing anything heavy.

    Args:
        stage_dir: the folder of the stage's own file (embedded models lie in `models/` there).
        project_dir: the folder of `pipeline.toml`; a model given as a relative path is below it.
        site_packages: the package folders of the stage's interpreter.
        looked_at: where it was looked, whether something was there or not; for the no-op, which looks there again.
    """

    stage_dir: Path
    project_dir: Path
    site_packages: tuple[Path, ...] = ()
    looked_at: list[Path] = field(default_factory=list, compare=False)

    def package(self, name: str) -> Path | None:
        """The folder of an installed package in the stage's interpreter, or None."""
        for folder in self.site_packages:
            self.looked_at.append(folder / name)
            if (folder / name).is_dir():
                return folder / name
        return None

    def hub(self, repository: str) -> Path | None:
        """The snapshot of a Hugging Face repository that the local cache holds, or None; fetches nothing.

        Args:
            repository: `owner/name`; where the cache lies is in huggingface_hub's "Environment variables".
        """
        home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
        cache = Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE", Path(os.environ.get("HF_HOME", home)) / "hub")))
        folder = cache / ("models--" + repository.replace("/", "--"))
        self.looked_at.append(folder / "refs" / "main")
        try:
            snapshot = folder / "snapshots" / (folder / "refs" / "main").read_text().strip()
        except OSError:
            return None
        self.looked_at.append(snapshot)
        return snapshot if snapshot.is_dir() else None

    def local(self, model: str) -> Path | None:
        """The file or folder that `model` names, or None when it is no path that exists.

        A value counts as a path when it holds a separator; relative to the project's folder.

        Raises:
            StageError: it looks like a path, and nothing is there.
        """
        if "/" not in model:
            return None
        path = self.project_dir / os.path.expanduser(model)
        self.looked_at.append(path)
        if path.exists():
            return path
        if model.startswith((".", "/", "~")):
            raise StageError(f"model: no file or folder {model}", "ls " + model)
        return None  # "owner/name" is a hub's name
