"""How long a recording is, and whether all of it is there: where its packets end, against what it promises.

A container that knows its duration in advance promises it in its header. Others show that they were cut off by
their bytes (`endings`), or by a last packet that is only half there.

Not here: what becomes of a recording that was cut off (the `demux` stage).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediabuild.media.recordings.clock import jumps_are_closed, packets, ticks_of, zero_s
from mediabuild.media.recordings.endings import MIDDLE, cut_short, is_followed, outgrows_header
from mediabuild.media.recordings.recording import is_cover, opened

# Containers round durations, and tracks that a player ignores end a little later than the rest.
CLOSE_S = 1.0
# Without a picture there is one track, and its duration is given to the sample or to the millisecond.
CLOSE_SOUND_S = 0.25
# The tail that is read to find where the packets end: longer than any usual keyframe interval.
TAIL_S = 10.0
# What ffmpeg says while it reads a broken end, and where it knows no duration but guesses one.
BROKEN = ("Packet corrupt", "partial file", "ended prematurely")
GUESSED = "Estimating duration"
# A message about the end comes while one of the last packets is read.
LAST_PACKETS = 16
# Their bytes tell more than their packets: a WAV that was written into a pipe ends like one that breaks off, and a
# receiver that is switched off leaves the last pictures and sounds of a whole MPEG-TS unfinished.
SHOWN_BY_BYTES = ("wav", "mpegts", "ogg")
# What ffmpeg says of an MP4 of two recordings, of which it reads the first.
TWICE = "duplicated MOOV"


@dataclass(frozen=True)
class Extent:
    """How long a recording is.

    Args:
        duration_s: on the source's clock: as its header promises, where the packets bear it out, or where they end;
            0 where there are none.
        missing: what isn't there or isn't read, and how that is known, in words; None where nothing tells.
        is_short: it surely goes on: a header with a picture promised more, or ffmpeg stopped in the middle.
        jumps: what became of its clock, in words.
        complaints: what ffmpeg called an error while it read all of it.
    """

    duration_s: float
    missing: str | None = None
    is_short: bool = False
    jumps: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()


def extent(media: Path, hint: str) -> Extent:
    """How long a recording is; the whole file is read, but only its tail where there is a picture and a promise.

    Raises:
        StageError: ffmpeg can't read it, with the hint.
    """
    with _listening() as said, opened(media, hint) as container:
        header_s = _header_s(container, said)
        picture = any(not is_cover(stream) for stream in container.streams.video)
        if header_s is not None and picture:
            found = _read(container, said, from_s=header_s - TAIL_S)
            if found.end_s is not None and _is_kept(header_s, found.end_s, container, CLOSE_S):
                end_s = header_s if abs(header_s - found.end_s) < CLOSE_S else found.end_s
                return Extent(round(end_s, 6), _unread(media, found, said))
    with _listening() as said, opened(media, hint) as container:
        found = _read(container, said)
        end_s = found.end_s or 0.0
        if header_s is not None and not _is_kept(header_s, end_s, container, CLOSE_S if picture else CLOSE_SOUND_S):
            says = f"truncated: its header says {header_s:.1f} s, but it ends at {end_s:.1f} s"
            return Extent(end_s, says, picture, found.jumps, _complaints(said))
        kind = container.format.name
    broken = found.broken if found.stopped or kind not in SHOWN_BY_BYTES else None
    broken = broken or cut_short(media, kind, found.last)
    missing = f"truncated: it ends at {end_s:.1f} s, {broken}" if broken else _unread(media, found, said)
    return Extent(end_s, missing, found.stopped, found.jumps, _complaints(said))


@contextmanager
def _listening() -> Iterator[list[tuple[int, str, str]]]:
    """What ffmpeg's libraries say meanwhile: level, who, what."""
    from av import logging

    repeated, level = logging.get_skip_repeated(), logging.get_level()
    logging.set_skip_repeated(False)
    logging.set_level(logging.WARNING)
    try:
        with logging.Capture() as said:
            yield said
    finally:
        logging.set_level(level)
        logging.set_skip_repeated(repeated)


def _complaints(said: list[tuple[int, str, str]]) -> tuple[str, ...]:
    """What was an error, as ffmpeg said it."""
    from av import logging

    return tuple(what.strip() for level, _, what in said if level <= logging.ERROR)


def _header_s(container: Any, said: list[tuple[int, str, str]]) -> float | None:
    """The duration that a header promises; None where it was guessed or found by looking at the end."""
    import av

    guessed = jumps_are_closed(container) or any(GUESSED in what for _, _, what in said)
    guessed = guessed or container.format.name == "avi"  # which counts sound that starts late twice
    return None if guessed or not container.duration else float(container.duration / av.time_base)


def _is_kept(header_s: float, end_s: float, container: Any, close_s: float) -> bool:
    """Whether packets end where the header says; some Matroska headers count the time before the start, too."""
    return max(end_s, end_s + zero_s(container)) >= header_s - close_s


@dataclass(frozen=True)
class _Read:
    """What reading a recording gave: where its packets end, in time and in the file, its last sound, and how that is
    broken; `stopped`: ffmpeg couldn't read to the file's end."""

    end_s: float | None
    read_bytes: int
    last: bytes
    broken: str | None
    stopped: bool
    jumps: tuple[str, ...]


def _read(container: Any, said: list[tuple[int, str, str]], from_s: float = 0.0) -> _Read:
    """Read a just opened container's packets from a time on."""
    import av

    read_bytes, ends_s, jumps, closed = 0, dict[int, float](), list[str](), jumps_are_closed(container)
    latest: deque[tuple[Any, int]] = deque(maxlen=LAST_PACKETS)
    broken = stopped = None
    try:
        for packet in packets(container, *container.streams, from_s=from_s, jumps=jumps):
            stamp = packet.pts if packet.pts is not None else packet.dts
            latest.append((packet, len(said)))
            read_bytes = max(read_bytes, (packet.pos or 0) + packet.size)
            if packet.is_discard or not packet.size:
                continue
            known, length_s = ends_s.get(packet.stream_index, 0.0), float(ticks_of(packet) * packet.time_base)
            if stamp is None or (closed and packet.dts is None):  # a jump before it is shown only by the next one
                ends_s[packet.stream_index] = known + length_s
            else:
                ends_s[packet.stream_index] = max(known, float(stamp * packet.time_base) + length_s)
    except av.FFmpegError as error:  # the file breaks off: what was found so far is the answer
        stopped = broken = f"where ffmpeg can't read on: {error.strerror}"
    late = said[latest[0][1] :] if latest else []
    if any(word in what for _, _, what in late for word in BROKEN):
        broken = broken or MIDDLE
    last = [packet for packet, _ in latest if packet.size and packet.stream.type == "audio"]
    if last and not closed and not _plays(last):
        broken = broken or MIDDLE
    end_s = round(max(ends_s.values()), 6) if ends_s else None
    return _Read(end_s, read_bytes, bytes(last[-1]) if last else b"", broken, stopped is not None, tuple(jumps))


def _plays(last: list[Any]) -> bool:
    """Whether the last of some packets of sound can be decoded; those before it may miss what came before them."""
    import av

    frames: list[Any] = []
    for packet in last:
        if packet.stream_index == last[-1].stream_index and packet.stream.codec_context:
            try:
                frames = packet.decode()
            except av.FFmpegError:
                frames = []
                broken = True
            else:
                broken = any(frame.is_corrupt for frame in frames)
    return not broken


def _unread(media: Path, found: _Read, said: list[tuple[int, str, str]]) -> str | None:
    """What ffmpeg leaves unread, in words: another recording, joined byte by byte, or what a header doesn't count."""
    if is_followed(media, found.read_bytes) or any(TWICE in what for _, _, what in said):
        return f"joined with another recording, which begins at {found.end_s or 0:.1f} s and isn't read"
    if outgrows_header(media):
        return f"longer than its header says: what lies behind {found.end_s or 0:.1f} s isn't read"
    return None
