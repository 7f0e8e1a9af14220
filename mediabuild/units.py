"""Units: pieces of one stage's work (a sentence, a stretch of sound), each kept when finished, so that work resumes.

A stage that works in pieces (a stretch of sound, a sentence) keeps each finished one here, under the digest of all
that it follows from. A run that was cut short finds them again, and so does one that shares some of its pieces
with an earlier run: after a longer clip or one edited sentence only the rest is made.

One file holds a task's units. It is only ever appended to, and each record carries its own checks: what a kill
or a bad disk leaves behind is cut off or made again, and the longest good part is kept. It is derived, and may be
deleted at any time. Once a stage completes, units that it did not use may stay, up to the size of those it did.

A record: the key (32 bytes), the result's length and the seconds it took (8 each), a check of this head (8), the
result, a digest of it (32). Numbers are little-endian, digests SHA-256: any stage's interpreter has it.

Not here: what a stage's pieces are (the stages), and earlier outputs as a whole (`generations`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

HEAD = struct.Struct("<32sQd")
CHECK_BYTES = 8
DIGEST_BYTES = 32
FRAME_BYTES = HEAD.size + CHECK_BYTES + DIGEST_BYTES  # what a record takes beside its result
SPARE = 1.0  # how much of what a run did not use may stay, compared with what it did


class Units:
    """The units of one task; used by one process at a time, by several of its threads.

    Args:
        file: where they are kept; None keeps none.
        scope: what all results of this run follow from (code, params, models), as JSON can hold it; or what tells
            it, asked once when the first unit is looked for. None: nobody can tell, and nothing is kept.
        reuse: False finds none, and keeps what is made all the same.
        keep: False only finds.
        holds: asked before a result is kept: is what it was made from still what it was?
        part: what the name of a temporary file begins with, on the same file system; None: units are never dropped.

    Attributes:
        made, reused: how many there were. spared_s: how long the reused ones took when they were made, in seconds.
    """

    def __init__(
        self,
        file: Path | None = None,
        scope: Any = None,
        *,
        reuse: bool = True,
        keep: bool = True,
        holds: Callable[[], bool] = lambda: True,
        part: Path | None = None,
    ) -> None:
        self.file = file
        self.scope = scope
        self.reuse = reuse
        self.may_keep = keep
        self.holds = holds
        self.part = part
        self.made = self.reused = 0
        self.spared_s = 0.0
        self._places: dict[bytes, tuple[int, int, float]] = {}  # key → where its result begins, its length, seconds
        self._used: dict[bytes, None] = {}
        self._descriptor: int | None = None
        self._lock = threading.Lock()

    def has(self, facts: Any) -> bool:
        """Whether a result was kept for these facts; whether it is whole shows when it is taken."""
        with self._lock:
            return self.reuse and self._opened() is not None and self._key(facts) in self._places

    def take(self, facts: Any) -> bytes | None:
        """The result that was kept for these facts, if it is whole; counts as reused."""
        with self._lock:
            result = self._found(facts)
            if result is not None:
                key = self._key(facts)
                self._used[key] = None
                self.reused += 1
                self.spared_s += self._places[key][2]
        return result

    def keep(self, facts: Any, result: bytes, seconds: float) -> None:
        """Keep a result; a disk that is full is no reason to fail, and what was kept before can still be found."""
        with self._lock:
            self._keep(facts, result, seconds)

    def complete(self) -> None:
        """The stage did all its work: drop the oldest units that it didn't use, where they are too many."""
        if self._descriptor is not None and self.file is not None and self.may_keep:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)  # when they were used last
                if self.part is not None:
                    self._shrink(self._descriptor, self.file, self.part)
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _keep(self, facts: Any, result: bytes, seconds: float) -> None:
        self.made += 1
        descriptor = self._opened()
        if descriptor is None or not self.may_keep:
            return
        if not self.holds():
            self.may_keep = False
            return
        key = self._key(facts)
        head = HEAD.pack(key, len(result), seconds)
        end = os.fstat(descriptor).st_size
        try:
            _write(descriptor, b"".join((head, _check(head), result, _digest(key, result))), end)
        except OSError:
            self.may_keep = False
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, end)
            return
        self._used[key] = None
        self._places.pop(key, None)
        self._places[key] = (end + HEAD.size + CHECK_BYTES, len(result), seconds)

    def _key(self, facts: Any) -> bytes:
        text = json.dumps([self.scope, facts], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()

    def _found(self, facts: Any) -> bytes | None:
        descriptor = self._opened() if self.reuse else None
        place = self._places.get(self._key(facts)) if descriptor is not None else None
        if descriptor is None or place is None:
            return None
        start, length, _ = place
        try:
            content = os.pread(descriptor, length + DIGEST_BYTES, start)
        except OSError:
            return None
        result, digest = content[:length], content[length:]
        return result if _digest(self._key(facts), result) == digest else None

    def _opened(self) -> int | None:
        if self._descriptor is None and self.file is not None:
            self.scope = self.scope() if callable(self.scope) else self.scope
            try:
                if self.scope is None:
                    raise OSError("nobody knows what they follow from")
                self.file.parent.mkdir(parents=True, exist_ok=True)
                if self.file.parent.is_symlink():
                    raise OSError(f"{self.file.parent}: is a link")
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                self._descriptor = os.open(self.file, flags, 0o666)
                if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                    raise OSError(f"{self.file}: is no regular file")
                self._read(self._descriptor)
            except OSError:  # a read-only or full disk, a directory in its place
                self.close()
                self.file = None
        return self._descriptor

    def _read(self, descriptor: int) -> None:
        """Find the records; what comes behind the last whole one is cut off."""
        size, place = os.fstat(descriptor).st_size, 0
        while place < size:
            content = os.pread(descriptor, HEAD.size + CHECK_BYTES, place)
            head, check = content[: HEAD.size], content[HEAD.size :]
            if len(head) < HEAD.size or _check(head) != check:
                break
            key, length, seconds = HEAD.unpack(head)
            if place + length + FRAME_BYTES > size:
                break
            self._places.pop(key, None)  # the later one counts, as the newer
            self._places[key] = (place + HEAD.size + CHECK_BYTES, length, seconds)
            place += length + FRAME_BYTES
        if place < size:
            os.ftruncate(descriptor, place)

    def _shrink(self, descriptor: int, file: Path, part: Path) -> None:
        used_bytes = sum(self._places[key][1] for key in self._used)
        room = (1 + SPARE) * used_bytes
        if os.fstat(descriptor).st_size <= room + len(self._places) * FRAME_BYTES:
            return
        staying = set(self._used)
        room -= used_bytes
        for key in reversed(self._places):
            if key not in staying and self._places[key][1] <= room:
                room -= self._places[key][1]
                staying.add(key)
        name = part.with_name(f"{part.name}.{secrets.token_hex(4)}.part")
        number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            with open(number, "wb") as new:
                for key in (key for key in self._places if key in staying):
                    start, length, _ = self._places[key]
                    new.write(os.pread(descriptor, length + FRAME_BYTES, start - HEAD.size - CHECK_BYTES))
            os.replace(name, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def _write(descriptor: int, content: bytes, place: int) -> None:
    rest = memoryview(content)
    while rest:
        count = os.pwrite(descriptor, rest, place)
        rest, place = rest[count:], place + count


def _check(head: bytes) -> bytes:
    return hashlib.sha256(head).digest()[:CHECK_BYTES]


def _digest(key: bytes, result: bytes) -> bytes:
    digest = hashlib.sha256(key)
    digest.update(result)
    return digest.digest()
