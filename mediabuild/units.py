"""Units: pieces of one stage's work that are kept one by one, so that work resumes in the middle.

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
import struct
import tempfile
from pathlib import Path
from typing import IO, Any

FOLDER = "units"
HEAD = struct.Struct("<32sQd")
CHECK_BYTES = 8
DIGEST_BYTES = 32
SPARE = 1.0  # how much of what a run did not use may stay, compared with what it did


class Units:
    """The units of one task; used by one process at a time.

    Args:
        file: where they are kept; None keeps none.
        scope: what all results of this run follow from (code, params, models), as JSON can hold it.
        reuse: False finds none, and keeps what is made all the same.

    Attributes:
        made, reused: how many there were. spared_s: how long the reused ones took when they were made, in seconds.
    """

    def __init__(self, file: Path | None = None, scope: Any = None, *, reuse: bool = True) -> None:
        self.file = file
        self.scope = scope
        self.reuse = reuse
        self.made = self.reused = 0
        self.spared_s = 0.0
        self._places: dict[bytes, tuple[int, int, float]] = {}  # key → where its result begins, its length, seconds
        self._used: dict[bytes, None] = {}
        self._stream: IO[bytes] | None = None

    def has(self, facts: Any) -> bool:
        """Whether a whole result was kept for these facts."""
        return self._found(self._key(facts)) is not None

    def take(self, facts: Any) -> bytes | None:
        """The result that was kept for these facts, if it is whole; counts as reused."""
        key = self._key(facts)
        result = self._found(key)
        if result is not None:
            self._used[key] = None
            self.reused += 1
            self.spared_s += self._places[key][2]
        return result

    def keep(self, facts: Any, result: bytes, seconds: float) -> None:
        """Keep a result; a disk that is full is no reason to fail."""
        self.made += 1
        stream = self._opened()
        if stream is None:
            return
        key = self._key(facts)
        self._used[key] = None
        end = stream.seek(0, os.SEEK_END)
        try:
            head = HEAD.pack(key, len(result), seconds)
            for part in (head, _check(head), result, _digest(key, result)):
                stream.write(part)
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                stream.truncate(end)
            self.close()
            self.file = None
            return
        self._places[key] = (end + HEAD.size + CHECK_BYTES, len(result), seconds)

    def complete(self) -> None:
        """The stage did all its work: drop the oldest units that it didn't use, where they are too many."""
        if self._stream is not None and self.file is not None:
            with contextlib.suppress(OSError):
                os.utime(self.file)  # when they were used last
                self._shrink(self._stream, self.file)
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None

    def _key(self, facts: Any) -> bytes:
        text = json.dumps([self.scope, facts], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()

    def _found(self, key: bytes) -> bytes | None:
        stream = self._opened() if self.reuse else None
        if stream is None or key not in self._places:
            return None
        start, length, _ = self._places[key]
        try:
            stream.seek(start)
            result, digest = stream.read(length), stream.read(DIGEST_BYTES)
        except OSError:
            return None
        return result if _digest(key, result) == digest else None

    def _opened(self) -> IO[bytes] | None:
        if self._stream is None and self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                if self.file.parent.is_symlink():
                    raise OSError(f"{self.file.parent}: is a link")
                descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
                self._stream = os.fdopen(descriptor, "r+b")
                self._read(self._stream)
            except OSError:  # a read-only or full disk, a directory in its place
                self.close()
                self.file = None
        return self._stream

    def _read(self, stream: IO[bytes]) -> None:
        """Find the records; what comes behind the last whole one is cut off."""
        size, place = os.fstat(stream.fileno()).st_size, 0
        while place < size:
            stream.seek(place)
            head, check = stream.read(HEAD.size), stream.read(CHECK_BYTES)
            if len(head) < HEAD.size or _check(head) != check:
                break
            key, length, seconds = HEAD.unpack(head)
            start = place + HEAD.size + CHECK_BYTES
            if start + length + DIGEST_BYTES > size:
                break
            self._places.pop(key, None)  # the later one counts, as the newer
            self._places[key] = (start, length, seconds)
            place = start + length + DIGEST_BYTES
        if place < size:
            stream.truncate(place)

    def _shrink(self, stream: IO[bytes], file: Path) -> None:
        used_bytes = sum(self._places[key][1] for key in self._used)
        room = (1 + SPARE) * used_bytes
        if os.fstat(stream.fileno()).st_size <= room + len(self._places) * (HEAD.size + CHECK_BYTES + DIGEST_BYTES):
            return
        staying = set(self._used)
        room -= used_bytes
        for key in reversed(self._places):
            if key not in staying and self._places[key][1] <= room:
                room -= self._places[key][1]
                staying.add(key)
        number, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".part", dir=file.parents[1] / "tmp")
        try:
            with open(number, "wb") as new:
                for key in (key for key in self._places if key in staying):
                    start, length, _ = self._places[key]
                    stream.seek(start - HEAD.size - CHECK_BYTES)
                    new.write(stream.read(HEAD.size + CHECK_BYTES + length + DIGEST_BYTES))
            os.chmod(name, 0o644)
            os.replace(name, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def _check(head: bytes) -> bytes:
    return hashlib.sha256(head).digest()[:CHECK_BYTES]


def _digest(key: bytes, result: bytes) -> bytes:
    digest = hashlib.sha256(key)
    digest.update(result)
    return digest.digest()
