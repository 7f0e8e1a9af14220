"""Content digests of files and directories, and the stat cache that saves hashing them again.

A digest is `blake3:HEX` or `sha256:HEX`. The cache is derived: it may be deleted, and a damaged one
counts as empty. A record is made only of a file that has been still for longer than the clock of its
file system ticks, with equal stats before and after hashing: a change within the same tick would
otherwise hide behind the old stats ("racy clean", as git calls it). Where the file system gives each change
that follows a look a time of its own, there is nothing to wait for.

Not here: what digests are compared with (`rebuilder`) and where they are recorded (`manifest`).
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import mmap
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import blake3
import msgspec

READ_BYTES = 1 << 20  # by reads, never mapped: a file truncated while mapped kills the process
CACHE_VERSION = 1
CLOCK_REALTIME_COARSE = 5  # of Linux, what times of files are read from; Python has no name for it
CLOCK_TICK_S = time.clock_getres(CLOCK_REALTIME_COARSE) if sys.platform == "linux" else 0.01
TRIES = 5  # the process may be interrupted at the wrong moment
COARSE_TICK_S = 2.1  # FAT and some network file systems keep even seconds
SEAL_BYTES = 32
PART = ".part"
PART_AGE_S = 3600  # a run that was killed while it wrote leaves a part behind; none is written for this long

Stats = tuple[int, int, int, int]  # size in bytes, mtime_ns, ctime_ns, inode


def hash_bytes(content: bytes, algorithm: str) -> str:
    """The digest of bytes in memory."""
    digest = blake3.blake3(content) if algorithm == "blake3" else hashlib.sha256(content)
    return f"{algorithm}:{digest.hexdigest()}"


def hash_file(path: Path, algorithm: str) -> str:
    """The digest of a regular file, read once.

    Raises:
        OSError: it can't be read; also for a pipe, a socket or a device, which would never end.
    """
    digest = blake3.blake3() if algorithm == "blake3" else hashlib.sha256()
    # O_NONBLOCK: opening a pipe that nobody writes to would hang
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        stats = os.fstat(file.fileno())
        if not stat.S_ISREG(stats.st_mode):
            raise OSError(f"not a regular file: {path}")
        # whole pages of its own, for what is large: a buffer that begins off a cache line halves the speed
        buffer = memoryview(mmap.mmap(-1, READ_BYTES) if stats.st_size >= READ_BYTES else bytearray(stats.st_size + 1))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return f"{algorithm}:{digest.hexdigest()}"


def compute_inputs_checksum(inputs: Mapping[str, Mapping[str, str]]) -> str:
    """sha256 over the sorted lines of name and file digest, as the manifest's `inputs_checksum`.

    Args:
        inputs: input name → (path → digest).

    Each line is `NAME PATH DIGEST`, the path as a JSON string, so that no name can forge a line.
    """
    lines = sorted(
        f"{name} {msgspec.json.encode(path).decode()} {digest}\n"
        for name, files in inputs.items()
        for path, digest in files.items()
    )
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def stats_of(path: Path) -> Stats:
    """What the cache compares; follows links."""
    s = path.stat()
    return s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino


def tick_s(stats: Stats) -> float:
    """How long two changes of a file can share one ctime on its file system, in seconds."""
    return COARSE_TICK_S if stats[2] % 1_000_000_000 == 0 else 2 * CLOCK_TICK_S


def fine_device(folder: Path) -> int | None:
    """The device of a folder, if each change there that follows a look has a ctime of its own; tried out.

    So it is on Linux from 6.13 on with ext4, XFS, Btrfs and tmpfs ("multigrain timestamps"): three changes
    with a look after each have three times, in less time than the clock takes to tick.

    Raises:
        OSError: nothing can be written there.
    """
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(TRIES):
            started, times = time.monotonic(), set()
            for _ in range(3):
                file.write(b"x")
                times.add(os.fstat(file.fileno()).st_ctime_ns)
            if len(times) == 3 and time.monotonic() - started < CLOCK_TICK_S:
                return os.fstat(file.fileno()).st_dev
    return None


def is_still(stats: Stats, since: float | None = None) -> bool:
    """Whether a change from now on (or from a moment in the past, in seconds since 1970) must show in the ctime."""
    return (since or time.time()) - stats[2] / 1e9 > tick_s(stats)


def files_below(directory: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and path of every file below a directory, sorted; links are followed, loops cut."""

    def walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, Path]]:
        real = os.path.realpath(folder)
        if real in above:
            return
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                yield from walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            else:
                yield prefix + entry.name, Path(entry.path)
        if not entries and prefix:
            yield prefix, folder  # an empty directory is content too

    yield from walk(directory, "", frozenset())


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

    def file(self, path: Path, algorithm: str = "blake3") -> str:
        """The digest of a file.

        Raises:
            OSError: it is missing, can't be read, or is no regular file.
        """
        key = self._key(path)
        before = stats_of(path)
        known = self._known.get(key)
        if known is not None and known[0] == before and algorithm in known[1]:
            return known[1][algorithm]
        for _ in range(3):
            still = is_still(before) or self._ticks_finely(path)
            digest = hash_file(path, algorithm)
            after = stats_of(path)
            if after == before:
                break
            before = after
        else:
            return digest  # somebody keeps writing: the digest is as good as any, and never remembered
        if still:
            self._remember(key, before, algorithm, digest)
        return digest

    def holds(self, path: Path, digest: str) -> bool:
        """Whether a file is there and has this digest."""
        try:
            return self.file(path, digest.partition(":")[0]) == digest
        except OSError:
            return False

    def tree(self, path: Path, label: str, algorithm: str = "blake3") -> dict[str, str]:
        """Label → digest of a file, or of every file of a directory below its label."""
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
                with contextlib.suppress(OSError):
                    self.file(path)

        # daemons, so that nothing waits for a large file after Ctrl-C
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(len(waiting), os.cpu_count() or 1))]
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
                if not (looked_at and self._ticks_finely(path)):
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
        content = file.read_bytes()
        seal, body = content[:SEAL_BYTES], content[SEAL_BYTES:]
        if blake3.blake3(body).digest() != seal:
            return {}
        version, known = msgspec.msgpack.decode(body, type=tuple[int, dict[str, tuple[Stats, dict[str, str]]]])
    except (OSError, msgspec.DecodeError):
        return {}
    return known if version == CACHE_VERSION else {}


def write_atomically(path: Path, content: bytes, part: Path | None = None) -> None:
    """Write a file so that readers see the old content or the new, never a part.

    Args:
        part: the temporary file's path, up to its random ending; left out, a hidden one beside the file.

    Raises:
        OSError: it could not be written; the old content is still there, and nothing is left over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part or path.with_name(f".{path.name}")
    _sweep_parts(part)
    number, name = tempfile.mkstemp(prefix=f"{part.name}.", suffix=PART, dir=part.parent)
    temporary = Path(name)
    try:
        with open(number, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep_parts(part: Path) -> None:
    for leftover in part.parent.glob(f"{glob.escape(part.name)}.*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > PART_AGE_S:
                leftover.unlink()
