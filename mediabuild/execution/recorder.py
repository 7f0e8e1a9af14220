"""Records a finished directory in its manifest, and has it put in the place of the earlier one, which is kept.

The manifest is the last file written into a temporary directory; then the whole is exchanged with what was there.

Not here: the exchange itself (`publish`), running stages (`executor`), bringing earlier outputs back (`restorer`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from mediabuild import __version__
from mediabuild.errors import StageError
from mediabuild.execution.outcome import Ran
from mediabuild.machine.files import remove_tree
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store import generations, marks, places
from mediabuild.store.digest import Digests
from mediabuild.store.facts import Facts, by, compute_inputs_checksum
from mediabuild.store.manifest import Manifest, find_manifest
from mediabuild.store.publish import check_inside, keep_edits, publish


class Recorder:
    """Records and publishes.

    Attributes:
        kept_some: whether something was kept of earlier results, so that the limit may be passed.
    """

    def __init__(self, pipeline: Pipeline, digests: Digests) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.kept_some = False

    @contextlib.contextmanager
    def temporary(self, task: Task) -> Iterator[Path]:
        """A directory for the outputs of a run; it goes unless it was published."""
        out = places.make_temporary(task)
        try:
            yield out
        finally:
            with contextlib.suppress(OSError):
                remove_tree(out)

    def digest_outputs(
        self, task: Task, out: Path, returned: Mapping[str, list[str]] | None, like: Manifest | None = None
    ) -> dict[str, dict[str, str]]:
        """Output name → path → digest, of all that a stage left in its directory.

        Args:
            like: what was recorded of this directory; it counts where modes say nothing.

        Raises:
            StageError: a declared output is missing, or a link leads out of the directory.
        """
        check_inside(out)
        declared = task.stage.outputs
        files = [path for path in _files(out) if path != MANIFEST_NAME]
        self.digests.settle(out / path for path in files)
        algorithm = self.pipeline.checksum
        recorded = {path: by(algorithm, digest) for path, digest in like.output_files().items()} if like else None
        digests: dict[str, str] = {}
        for path in files:
            digests |= self.digests.outputs(out / path, path, algorithm, recorded)
        outputs: dict[str, dict[str, str]] = {name: {} for name in declared}
        said = {path: name for name, paths in (returned or {}).items() for path in paths}
        for path, digest in digests.items():
            name = _name_of(path, declared, said)
            outputs.setdefault(name, {})[path] = digest
        missing = [p for n, p in declared.items() if "*" not in p and not outputs[n]]
        if missing:
            raise StageError(f"did not write {', '.join(missing)}")
        return outputs

    def manifest(
        self, task: Task, facts: Facts, outputs: dict[str, dict[str, str]], ran: Ran, seconds: float
    ) -> Manifest:
        """What is recorded of a run: the facts that it followed from, and what became of them."""
        ts = round(time.time(), 6)
        return Manifest(
            **facts.facts(),
            task=task.name,
            inputs_checksum=compute_inputs_checksum(facts.inputs),
            overrides=dict(task.overrides),
            runner_version=__version__,
            outputs=outputs,
            timestamp=ts,
            last_checked_ts=ts,
            device_used=ran.device_used,
            tools=ran.tools,
            duration_s=round(seconds + ran.units_spared_s, 3),
            peak_memory_bytes=ran.peak_memory_bytes,
        )

    def publish(self, task: Task, out: Path, outputs: Mapping[str, Mapping[str, str]]) -> dict[Path, Path]:
        """Put a finished directory in the place of the earlier one, which is kept.

        Returns:
            Where files are now that a person had edited → where they were.
        """
        coming = {path: digest for files in outputs.values() for path, digest in files.items()}
        kept = keep_edits(task.directory, coming, places.edited(task), self.digests)
        going = find_manifest(task.directory)
        earlier = publish(out, task.directory, places.swap(task))
        moved = [(out / path, task.directory / path) for path in coming]
        if earlier is not None and going is not None:
            moved += [(task.directory / path, earlier / path) for path in going.output_files()]
        self.digests.adopt(moved)
        marks.clear(task, "forgotten")
        if earlier is not None:
            generations.keep(task, earlier, self.digests)
            self.kept_some = True
        return kept


def _files(out: Path) -> list[str]:
    """Top-level entries that hold something: files, and directories as one."""
    return sorted(entry.name for entry in out.iterdir())


def _name_of(path: str, declared: Mapping[str, str], returned: Mapping[str, str]) -> str:
    """The output that a file belongs to; `other` for one that nobody declared.

    Args:
        returned: file or directory → name, as the stage says.
    """
    above = path
    while above:
        if above in returned:
            return returned[above]
        above = above.rpartition("/")[0]
    for name, pattern in declared.items():
        if path == pattern or path.startswith(pattern + "/") or ("*" in pattern and fnmatch.fnmatchcase(path, pattern)):
            return name
    return "other"
