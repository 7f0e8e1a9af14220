"""What a finished directory records, and how it takes the place of the earlier one, which is kept.

The manifest is the last file written into a temporary directory; then the whole is exchanged with what was there.

Not here: the exchange itself (`publish`), running stages (`executor`), bringing earlier outputs back (`restorer`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from mediabuild.errors import StageError
from mediabuild.execution.outcome import Ran
from mediabuild.freshness.observation import Observation
from mediabuild.freshness.rebuilder import Rebuilder
from mediabuild.pipeline.model import Task
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store import generations
from mediabuild.store.digest import compute_inputs_checksum, hash_bytes
from mediabuild.store.manifest import Manifest, find_manifest
from mediabuild.store.marks import forgotten_mark
from mediabuild.store.publish import check_inside, keep_edits, publish


class Recorder:
    """Records and publishes.

    Attributes:
        kept_some: whether something was kept of earlier results, so that the limit may be passed.
    """

    def __init__(self, rebuilder: Rebuilder) -> None:
        self.rebuilder = rebuilder
        self.digests = rebuilder.digests
        self.kept_some = False

    @contextlib.contextmanager
    def temporary(self, task: Task) -> Iterator[Path]:
        parent = task.state_dir / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        out = Path(tempfile.mkdtemp(prefix=f"{task.key}.", dir=parent))
        out.chmod(0o755)
        try:
            yield out
        finally:
            shutil.rmtree(out, ignore_errors=True)

    def digest_outputs(
        self, task: Task, out: Path, returned: Mapping[str, list[str]] | None
    ) -> dict[str, dict[str, str]]:
        """Output name → path → digest, of all that a stage left in its directory."""
        check_inside(out)
        declared = task.stage.outputs
        files = [path for path in _files(out) if path != MANIFEST_NAME]
        self.digests.settle(out / path for path in files)
        algorithm = self.rebuilder.pipeline.checksum
        digests = {label: d for path in files for label, d in self.digests.tree(out / path, path, algorithm).items()}
        outputs: dict[str, dict[str, str]] = {name: {} for name in declared}
        for path, digest in digests.items():
            name = _name_of(path, declared, returned)
            outputs.setdefault(name, {})[path] = digest
        missing = [p for n, p in declared.items() if "*" not in p and not outputs[n]]
        if missing:
            raise StageError(f"did not write {', '.join(missing)}")
        return outputs

    def manifest(
        self, task: Task, now: Observation, outputs: dict[str, dict[str, str]], ran: Ran, seconds: float
    ) -> Manifest:
        ts = round(time.time(), 6)
        if task.stage.declaration is not None:  # a hub's model may have arrived while the stage ran
            after = self.rebuilder.observe(task)
            now.model_digests = {n: d or after.model_digests.get(n, "") for n, d in now.model_digests.items()}
        return Manifest(
            stage=task.stage.name,
            task=task.name,
            inputs=now.inputs,
            inputs_checksum=compute_inputs_checksum(now.inputs),
            params=dict(task.params),
            overrides=dict(task.overrides),
            runner_version=_own_version(),
            outputs=outputs,
            timestamp=ts,
            last_checked_ts=ts,
            device=now.device,
            device_used=ran.device_used,
            code=now.code,
            models=now.model_digests,
            tools=ran.tools,
            duration_s=round(seconds + ran.units_spared_s, 3),
            peak_memory_bytes=ran.peak_memory_bytes,
        )

    def publish(self, task: Task, out: Path, outputs: Mapping[str, Mapping[str, str]]) -> list[Path]:
        coming = {path: digest for files in outputs.values() for path, digest in files.items()}
        kept = keep_edits(task.directory, coming, self.digests) if task.directory.exists() else []
        going = find_manifest(task.directory)
        earlier = publish(out, task.directory, self.swap(task))
        moved = [(out / path, task.directory / path) for path in coming]
        if earlier is not None and going is not None:
            moved += [(task.directory / path, earlier / path) for path in going.output_files()]
        self.digests.adopt(moved)
        forgotten_mark(task).unlink(missing_ok=True)
        if earlier is not None:
            generations.keep(task, earlier, self.digests)
            self.kept_some = True
        return kept

    def rehashed(self, task: Task, manifest: Manifest) -> Manifest:
        now, gone = self.rebuilder.observe(task), self.rebuilder.gone(task)
        algorithm = self.rebuilder.pipeline.checksum
        outputs = {
            name: {
                path: digest
                if path in gone
                else hash_bytes(b"", algorithm)
                if path.endswith("/")
                else self.digests.file(task.directory / path, algorithm)
                for path, digest in files.items()
            }
            for name, files in manifest.outputs.items()
        }
        return msgspec.structs.replace(
            manifest,
            inputs=now.inputs,
            inputs_checksum=compute_inputs_checksum(now.inputs),
            outputs=outputs,
            code=now.code,
            models=now.model_digests,
        )

    def part(self, task: Task) -> Path:
        part = task.state_dir / "tmp" / task.key
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def swap(self, task: Task) -> Path:
        return task.state_dir / "swap" / task.key


@functools.cache
def _own_version() -> str:
    """Asked once: Python parses the whole README for it."""
    return version("mediabuild")


def algorithm_of(manifest: Manifest) -> str:
    digests = [d for files in (*manifest.inputs.values(), *manifest.outputs.values()) for d in files.values()]
    return digests[0].partition(":")[0] if digests else ""


def _files(out: Path) -> list[str]:
    """Top-level entries that hold something: files, and directories as one."""
    return sorted(entry.name for entry in out.iterdir())


def _name_of(path: str, declared: Mapping[str, str], returned: Mapping[str, list[str]] | None) -> str:
    """The output that a file belongs to; `other` for one that nobody declared."""
    for name, paths in (returned or {}).items():
        if path in paths:
            return name
    for name, pattern in declared.items():
        if path == pattern or path.startswith(pattern + "/") or ("*" in pattern and fnmatch.fnmatchcase(path, pattern)):
            return name
    return "other"
