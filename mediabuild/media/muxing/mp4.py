"""Which tracks of an MP4 file a player turns on by itself.

ffmpeg turns the first subtitle track on whatever it is told, and players show it then: over text
that is painted into the picture, for one.

Not here: making MP4 files, which ffmpeg does.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

TRACK_ENABLED = 1  # the lowest bit of a track header's flags: ISO/IEC 14496-12, 8.3.2
SUBTITLES = b"sbtl"  # as ffmpeg and Apple write them; `text` is what holds chapters
LONG_BOX, TO_THE_END = 1, 0  # sizes that mean: 64 bits follow, and: as far as what is around it


def enable_subtitles(path: Path, wanted: Sequence[bool]) -> None:
    """Turn subtitle tracks on or off in place, so that nothing moves; in the order of the file."""
    with path.open("r+b") as file:
        whole = (0, os.path.getsize(path))
        tracks = [box for moov in _boxes(file, b"moov", whole) for box in _boxes(file, b"trak", moov)]
        subtitles = [track for track in tracks if _handler(file, track) == SUBTITLES]
        for track, enabled in zip(subtitles, wanted, strict=True):
            flags_at = next(_boxes(file, b"tkhd", track))[0] + 3  # after one byte of version and two of other flags
            file.seek(flags_at)
            flags = file.read(1)[0]
            file.seek(flags_at)
            file.write(bytes([flags | TRACK_ENABLED if enabled else flags & ~TRACK_ENABLED]))


def _handler(file: BinaryIO, track: tuple[int, int]) -> bytes:
    """What a track is, in four letters: ISO/IEC 14496-12, 8.4.3."""
    for media in _boxes(file, b"mdia", track):
        for handler in _boxes(file, b"hdlr", media):
            file.seek(handler[0] + 8)  # after version, flags and a word that is always zero
            return file.read(4)
    return b""


def _boxes(file: BinaryIO, kind: bytes, around: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Where the content of each box of a kind begins and ends, directly inside a part of the file, in bytes.

    ISO/IEC 14496-12, 4.2.
    """
    at, end = around
    while at + 8 <= end:
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == LONG_BOX:
            (size,) = struct.unpack(">Q", file.read(8))
            header = 16
        elif size == TO_THE_END:
            size = end - at
        if name == kind:
            yield at + header, at + size
        at += max(size, header)
