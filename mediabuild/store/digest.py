"""Content digests of files and directories, and the stat cache that saves hashing them again.

The cache is derived: it may be deleted, and a damaged one counts as empty. A record is made only of a file that has
been still for longer than the clock of its file system ticks, with equal stats before and after hashing: a change
within the same tick would otherwise hide behind the old stats ("racy clean", as git calls it). Where the file system
gives each change that follows a look a time of its own, there is nothing to wait for.

Not here: what digests are compared with (`rebuilder`) and where they are recorded (`manifest`).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

import blake3
import msgspec

from mediabuild.errors import Interrupted
from mediabuild.machine import regular
from mediabuild.machine.files import write_atomically
from mediabuild.machine.hardware.cores import cores
from mediabuild.machine.hashing import hash_bytes, hash_file
from mediabuild.machine.listing import counts, files_below, refuse_unprintable
from mediabuild.store.facts import EXECUTABLE, LINK, is_executable, link_text
from mediabuild.store.manifest import manifest_above
from mediabuild.store.stats import (
    COARSE_TICK_S,
    NEVER_STILL,
    Stats,
    fine_device,
    is_still,
    keeps_modes,
    stats_of,
    tick_s,
)

CACHE_VERSION = 1
SEAL_BYTES = 32


class Digests:
    """Digests of files, hashed when their stats are new and remembered when that is safe.

    Args:
        root: names in the cache are relative to it, so that a moved project keeps its cache.
        cache_file: where the cache is kept; None to keep none.
    """

    def __init__(self, root: Path, cache_file: Path | None = None) -> None:
        self.root = os.path.join(root, "")
        self.cache_file = cache_file
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Stats, dict[str, str]]] = _load_cache(cache_file) if cache_file else {}
        self._unsaved = False
        self._fine_device: int | None = None  # unknown

    def file(self, path: Path, algorithm: str = "blake3", *, may_be_mapped: bool = True) -> str:
        """The digest of a file.

        Args:
            may_be_mapped: a program may write to it through memory, which must show in its times from now on.

        Raises:
            OSError: it is missing, can't be read, or is no regular file.
        """
        key = self._key(path)
        before = stats_of(path)
        known = self._known.get(key)
        if known is not None and known[0] == before and algorithm in known[1]:
            return known[1][algorithm]
        for _ in range(3):
            still = before[2] != NEVER_STILL and (is_still(before) or self._ticks_finely(path))
            digest = hash_file(path, algorithm, write_out=still and may_be_mapped)
            after = stats_of(path)
            if after == before:
                break
            before = after
        else:
            return digest  # somebody keeps writing: the digest is as good as any, and never remembered
        if still:
            self._remember(key, before, algorithm, digest)
        return digest

    def forget(self) -> None:
        """Remember nothing: every file is read."""
        self._known = {}

    def output(self, path: Path, like: str, witness: Path | None = None) -> str:
        """The digest of a file that a stage made: its content, and whether it is an executable or a link.

        Args:
            like: a recorded digest, whose algorithm it has; or just an algorithm. Where modes say nothing, the recorded
                one tells whether the file is an executable.
            witness: the manifest that came here with the file; left out, the one above it. None is ever made an
                executable. If it is one, a file system without modes has made executables of all files on their way.

        Raises:
            OSError: as `file`.
        """
        algorithm = like.partition(":")[0]
        if path.is_symlink():
            text = urllib.parse.quote(os.fsencode(os.readlink(path)))
            if path.is_dir():
                return f"{self.whole(path, algorithm)}{LINK}{text}/"
            return f"{self._with_mode(path, algorithm, like, witness)}{LINK}{text}"
        return self._with_mode(path, algorithm, like, witness)

    def _with_mode(self, path: Path, algorithm: str, like: str, witness: Path | None) -> str:
        digest, stats = self.file(path, algorithm, may_be_mapped=False), path.stat()  # by a stage that has ended
        executable, recorded = bool(stats.st_mode & stat.S_IXUSR), is_executable(like)
        if executable != recorded:
            carried = executable and ":" in like and os.access(witness or manifest_above(path), os.X_OK)
            if carried or not keeps_modes(stats.st_dev):
                executable = recorded
        return digest + EXECUTABLE * executable

    def holds(self, path: Path, digest: str, *, modes: bool = True) -> bool:
        """Whether what a stage made is there, and has this digest.

        Args:
            modes: False where only what somebody may have written matters: content, and of a link where it leads.
        """
        try:
            if not modes and path.is_symlink():
                return os.readlink(path) == link_text(digest)
            now = self.output(path, digest)
        except OSError:
            return False
        return now == digest or (not modes and now.replace(EXECUTABLE, "") == digest.replace(EXECUTABLE, ""))

    def outputs(
        self, path: Path, label: str, algorithm: str, recorded: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Label → digest of what a stage made: of a file, or of all in a directory. A link is one thing there.

        Args:
            recorded: label → digest, as it was; see `output`.
        """
        refuse_unprintable(label)
        if path.is_symlink() or not path.is_dir():
            return {label: self.output(path, (recorded or {}).get(label, algorithm))}
        found: dict[str, str] = {}
        for entry in sorted((e for e in os.scandir(path) if counts(e.name)), key=lambda entry: entry.name):
            found |= self.outputs(Path(entry.path), f"{label}/{entry.name}", algorithm, recorded)
        return found or {label + "/": hash_bytes(b"", algorithm)}

    def tree(self, path: Path, label: str, algorithm: str = "blake3") -> dict[str, str]:
        """Label → digest of a file, or of every file of a directory below its label."""
        refuse_unprintable(label)
        if not path.is_dir():
            return {label: self.file(path, algorithm)}
        found = {
            f"{label}/{name}": hash_bytes(b"", algorithm) if name.endswith("/") else self.file(file, algorithm)
            for name, file in files_below(path)
        }
        return found or {label + "/": hash_bytes(b"", algorithm)}

    def whole(self, path: Path, algorithm: str = "blake3") -> str:
        """One digest for a file, or for a directory with all it holds: a model's."""
        files = self.tree(path, "model", algorithm)
        if list(files) == ["model"]:
            return files["model"]
        return hash_bytes("".join(f"{name} {digest}\n" for name, digest in files.items()).encode(), algorithm)

    def warm(self, paths: Iterable[Path]) -> None:
        """Hash files that aren't remembered, as many at once as there are cores; trouble shows when they are needed."""
        waiting = [path for path in paths if self._key(path) not in self._known]
        left = iter(waiting)

        def work() -> None:
            for path in left:
                with contextlib.suppress(OSError, Interrupted):
                    self.file(path)

        # daemons, so that nothing waits for a large file after Ctrl-C
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(len(waiting), cores()))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def known(self, path: Path) -> tuple[Stats, dict[str, str]] | None:
        """What is remembered of a file: its stats, and its digests (algorithm → digest) while it had them."""
        return self._known.get(self._key(path))

    def adopt(self, moved: Iterable[tuple[Path, Path]]) -> None:
        """Carry records over to files whose directories were renamed or exchanged: (was, is) pairs."""
        pairs = [(self._key(was), self._key(now)) for was, now in moved]
        with self._lock:
            records = [(now, self._known.pop(was, None)) for was, now in pairs]
            self._known.update((now, record) for now, record in records if record is not None)

    def settle(self, paths: Iterable[Path], *, looked_at: bool = True) -> None:
        """Wait, once, until these just-written files are still, so that their digests can be remembered.

        Args:
            looked_at: they won't be used before a look at each, which is enough where that makes a file system
                give later changes another time.
        """
        youngest, tick = 0.0, 0.0
        for path in paths:
            with contextlib.suppress(OSError):
                stats = stats_of(path)
                if stats[2] != NEVER_STILL and not (looked_at and self._ticks_finely(path)):
                    youngest, tick = max(youngest, stats[2] / 1e9), max(tick, tick_s(stats))
        wait_s = youngest + tick - time.time()
        if 0 < wait_s <= COARSE_TICK_S:
            time.sleep(wait_s + 0.0005)

    def save(self) -> None:
        """Write the cache, by rename; trouble is no failure, since the cache is derived."""
        if self.cache_file is None or not self._unsaved:
            return
        with self._lock:
            body = msgspec.msgpack.encode((CACHE_VERSION, self._known))
            self._unsaved = False
        with contextlib.suppress(OSError):
            write_atomically(self.cache_file, blake3.blake3(body).digest() + body)

    def _ticks_finely(self, path: Path) -> bool:
        if self.cache_file is None:
            return False
        with self._lock:
            if self._fine_device is None:
                self._fine_device = -1
                with contextlib.suppress(OSError):
                    self.cache_file.parent.mkdir(parents=True, exist_ok=True)
                    self._fine_device = fine_device(self.cache_file.parent) or -1
        return os.stat(path).st_dev == self._fine_device

    def _remember(self, key: str, stats: Stats, algorithm: str, digest: str) -> None:
        with self._lock:
            known = self._known.get(key)
            digests = dict(known[1]) if known is not None and known[0] == stats else {}
            digests[algorithm] = digest
            self._known[key] = (stats, digests)
            self._unsaved = True

    def _key(self, path: Path) -> str:
        return os.fspath(path).removeprefix(self.root)


def _load_cache(file: Path) -> dict[str, tuple[Stats, dict[str, str]]]:
    try:
        content = regular.read_bytes(file)
        seal, body = content[:SEAL_BYTES], content[SEAL_BYTES:]
        if blake3.blake3(body).digest() != seal:
            return {}
        version, known = msgspec.msgpack.decode(body, type=tuple[int, dict[str, tuple[Stats, dict[str, str]]]])
    except (OSError, msgspec.DecodeError):
        return {}
    return known if version == CACHE_VERSION else {}
