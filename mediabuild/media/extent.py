"""How long a recording is, and whether all of it is there: where its packets end, against what it promises.

A container that knows its length in advance promises it in its header. Others show that they were
cut off in other ways: the last packet is only half there, or the mark of the last page is missing.
A recording that was cut off exactly between two packets of such a container can't be told from a whole one.

Not here: what becomes of a recording that was cut off (the `demux` stage).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediabuild.media.clock import jumps_are_closed, packets, zero_s
from mediabuild.media.recording import is_cover, opened

# Containers round durations, and tracks that a player ignores end a little later than the rest.
CLOSE_S = 1.0
# Without a picture there is one track, and its duration is given to the sample or to the millisecond.
CLOSE_SOUND_S = 0.25
# The tail that is read to find where the packets end: longer than any usual keyframe interval.
TAIL_S = 10.0
# What ffmpeg says while it reads a broken end, and where it knows no duration but guesses one.
BROKEN = ("Packet corrupt", "partial file", "ended prematurely")
GUESSED = "Estimating duration"
MIDDLE = "in the middle of a packet"
# A message about the end comes while one of the last packets is read.
LAST_PACKETS = 16
# Larger sizes stand for "not known": a WAV that was written into a pipe.
PLACEHOLDER_BYTES = 0x7FFF_0000
TS_PACKETS = (188, 192, 204)  # bytes: plain, with a time (Blu-ray), with error correction
TAIL_BYTES = 1 << 16  # an Ogg page is shorter
# ISO 11172-3 and 13818-3: kbit/s by index, of MPEG-1 in layers I, II and III, of MPEG-2 in I and the others.
KBITS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MPEG_HZ = (44_100, 48_000, 32_000)


@dataclass(frozen=True)
class Extent:
    """How long a recording is.

    Args:
        duration_s: on the source's clock: as its header promises, where the packets bear it out, or where they end;
            0 where there are none.
        cut_off: how it is known that the file ends before its time, in words; None where nothing tells.
        is_short: a header with a picture promised more.
        jumps: what became of its clock, in words.
    """

    duration_s: float
    cut_off: str | None = None
    is_short: bool = False
    jumps: tuple[str, ...] = ()


def extent(media: Path, hint: str) -> Extent:
    """How long a recording is; the whole file is read, but only its tail where there is a picture and a promise.

    Raises:
        StageError: ffmpeg can't read it, with the hint.
    """
    with _listening() as said, opened(media, hint) as container:
        header_s = _header_s(container, said)
        picture = any(not is_cover(stream) for stream in container.streams.video)
        if header_s is not None and picture:
            end_s = _read(container, said, from_s=header_s - TAIL_S).end_s
            if end_s is not None and _is_kept(header_s, end_s, container, CLOSE_S):
                return Extent(round(header_s if abs(header_s - end_s) < CLOSE_S else end_s, 6))
    with _listening() as said, opened(media, hint) as container:
        found = _read(container, said)
        end_s = found.end_s or 0.0
        if header_s is not None and not _is_kept(header_s, end_s, container, CLOSE_S if picture else CLOSE_SOUND_S):
            says = f"its header says {header_s:.1f} s, but it ends at {end_s:.1f} s"
            return Extent(end_s, says, picture, found.jumps)
        broken = _unfinished(media, container.format.name, found)
    return Extent(end_s, f"it ends at {end_s:.1f} s, {broken}" if broken else None, False, found.jumps)


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


def _header_s(container: Any, said: list[tuple[int, str, str]]) -> float | None:
    """The duration that a header promises; None where it was guessed or found by looking at the end."""
    import av

    guessed = jumps_are_closed(container) or any(GUESSED in what for _, _, what in said)
    return None if guessed or not container.duration else float(container.duration / av.time_base)


def _is_kept(header_s: float, end_s: float, container: Any, close_s: float) -> bool:
    """Whether packets end where the header says; some Matroska headers count the time before the start, too."""
    return max(end_s, end_s + zero_s(container)) >= header_s - close_s


@dataclass(frozen=True)
class _Read:
    """What reading a recording gave: where its packets end, its last sound, and how that is broken."""

    end_s: float | None
    last: bytes
    broken: str | None
    jumps: tuple[str, ...]


def _read(container: Any, said: list[tuple[int, str, str]], from_s: float = 0.0) -> _Read:
    """Read a just opened container's packets from a time on."""
    import av

    end_s, jumps, closed = None, list[str](), jumps_are_closed(container)
    latest: deque[tuple[Any, int]] = deque(maxlen=LAST_PACKETS)
    broken = None
    try:
        for packet in packets(container, *container.streams, from_s=from_s, jumps=jumps):
            stamp = packet.pts if packet.pts is not None else packet.dts
            latest.append((packet, len(said)))
            if closed and packet.dts is None:  # it may lie behind a jump that only the next one shows
                continue
            if stamp is not None and not packet.is_discard:
                packet_end_s = float((stamp + (packet.duration or 0)) * packet.time_base)
                end_s = packet_end_s if end_s is None else max(end_s, packet_end_s)
    except av.FFmpegError as error:  # the file breaks off: what was found so far is the answer
        broken = f"where ffmpeg can't read on: {error.strerror}"
    late = said[latest[0][1] :] if latest else []
    if any(word in what for _, _, what in late for word in BROKEN):
        broken = broken or MIDDLE
    last = [packet for packet, _ in latest if packet.size and packet.stream.type == "audio"]
    if last and not closed and not _plays(last):
        broken = broken or MIDDLE
    end_s = end_s if end_s is None else round(end_s, 6)
    return _Read(end_s, bytes(last[-1]) if last else b"", broken, tuple(jumps))


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


def _unfinished(media: Path, kind: str, found: _Read) -> str | None:
    """How a file shows that its end is missing, in words; None where it doesn't."""
    size = media.stat().st_size
    with media.open("rb") as file:
        head = file.read(TAIL_BYTES)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
    if kind == "ogg":
        page = tail.rfind(b"OggS")
        return None if page >= 0 and tail[page + 5] & 4 else "without the mark of a last page"
    if kind == "mpegts":  # a receiver that was switched off leaves packets of pictures and sound unfinished
        length = next((n for n in TS_PACKETS if _is_ts(head, n)), None)
        return MIDDLE if length and size % length else None
    if kind in ("mp3", "mp2") and _mpeg_audio_bytes(found.last) > len(found.last):
        return MIDDLE
    if _promised_bytes(head) > size:
        return "before its header says"
    return None if kind == "wav" else found.broken  # reading a WAV of unknown length ends like reading a broken one


def _is_ts(head: bytes, length: int) -> bool:
    """Whether MPEG-TS packets of this length begin a file: each begins with 0x47, after a time in the longer ones."""
    return all(byte == 0x47 for byte in head[length - 188 if length == 192 else 0 :: length][:8])


def _promised_bytes(head: bytes) -> int:
    """How long a RIFF (WAV, AVI) or FORM (AIFF) file says that it is; 0 where it doesn't.

    https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html and EBU Tech 3306 for RF64
    """
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        return int.from_bytes(head[20:28], "little") + 8
    order = {b"RIFF": "<", b"FORM": ">"}.get(head[:4])
    promised = struct.unpack(f"{order}I", head[4:8])[0] if order and len(head) >= 8 else 0
    return promised + 8 if 0 < promised < PLACEHOLDER_BYTES else 0


def _mpeg_audio_bytes(packet: bytes) -> int:
    """How long a frame of MPEG audio is by its header (ISO 11172-3, 2.4.2.3); 0 where there is none."""
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] & 0xE0 != 0xE0:
        return 0
    version = {3: 1, 2: 2, 0: 2.5}.get(packet[1] >> 3 & 3)
    layer = 4 - (packet[1] >> 1 & 3)
    rate, bits, padding = packet[2] >> 2 & 3, packet[2] >> 4, packet[2] >> 1 & 1
    if version is None or layer > 3 or rate == 3 or bits == 15:
        return 0
    kbits = KBITS[1 if version == 1 else 2, layer if version == 1 else min(layer, 2)][bits]
    rate_hz = MPEG_HZ[rate] / {1: 1, 2: 2, 2.5: 4}[version]
    slot = 4 if layer == 1 else 1
    samples = {1: 384, 2: 1152, 3: 1152 if version == 1 else 576}[layer]
    return (int(samples / 8 / slot * kbits * 1000 / rate_hz) + padding) * slot
