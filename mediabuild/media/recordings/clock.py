"""The source's clock: when each packet of a recording is played, in seconds from where a player starts it.

A container's own zero may lie elsewhere (an MPEG-TS starts at any time), and in a container whose
clock may jump (MPEG-TS and -PS, Ogg: two recordings joined, a receiver that lost its signal) ffmpeg
closes jumps while it reads. The same rule is here, packet by packet and over all sound and picture,
so that what `demux` hears and what `mux` lets ffmpeg copy or encode from the file's beginning lie on
one clock. ffmpeg does so only while it reads on from the beginning, and never under `-copyts`.

Not here: what a recording is (`recording`), and decoding it (`decoding`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mediabuild.errors import StageError

# ffmpeg's `-dts_delta_threshold`: a longer step is a jump, a shorter one forward is a hole.
JUMP_US = 10_000_000
# A step back by more than this is a jump: a clock that runs doesn't go back (ffmpeg's ffmpeg_demux.c).
BACK_US = 100_000
UNREAD = 48  # AVDISCARD_ALL
# A recording explains at most this much: twice what its packets last, and a minute.
EXPLAINED_FACTOR, EXPLAINED_S = 2, 60.0
# A packet explains no more, as a slide does: in an MP4 the one before a jump lasts until the jump's end.
PACKET_S = 60.0


class BrokenClock(StageError):
    """A recording's clock says what its packets can't bear out; `at_s` is where that begins."""

    def __init__(self, message: str, at_s: float) -> None:
        super().__init__(message)
        self.at_s = at_s


def zero_s(container: Any) -> float:
    """The source's zero on the container's clock, in seconds: ffmpeg's.

    Where the clock may jump, ffmpeg counts from the first sound or picture that it reads, and otherwise from
    where the container says that it starts.
    """
    import av

    starts = [s.start_time * s.time_base for s in _media(container) if s.start_time is not None]
    if starts and jumps_are_closed(container):
        return float(min(starts))
    return float((container.start_time or 0) / av.time_base)


def _media(container: Any) -> list[Any]:
    """A container's sounds and pictures, covers included."""
    return [stream for stream in container.streams if stream.type in ("audio", "video")]


def jumps_are_closed(container: Any) -> bool:
    """Whether the container's clock may jump, so that times in it are known only when read from its beginning."""
    from av.format import Flags

    return bool(container.format.flags & Flags.ts_discont.value)


def has_clock(container: Any) -> bool:
    """Whether sound carries stamps; those of AVI and of bare sound are reckoned, but FLAC's frames have numbers."""
    return container.format.name == "flac" or not (container.format.name == "avi" or is_bare(container))


def is_bare(container: Any) -> bool:
    """Whether a file is sound and nothing else (MP3, AAC, AC-3, FLAC, WAV): only its decoder knows its length."""
    from av.format import Flags

    return bool(container.format.flags & Flags.generic_index.value) and not jumps_are_closed(container)


def seek(container: Any, time_s: float) -> None:
    """Go to a keyframe before a time on the source's clock; where there is none, or no index, somewhere near it."""
    import av

    for any_frame in (False, True):  # an MP4 without a keyframe at its start refuses to go there
        with contextlib.suppress(av.FFmpegError):
            container.seek(int((time_s + zero_s(container)) * av.time_base), backward=True, any_frame=any_frame)
            return


def packets(container: Any, *streams: Any, from_s: float = 0.0, jumps: list[str] | None = None) -> Iterator[Any]:
    """A container's packets in the order of the file, their stamps moved to the source's clock.

    Args:
        container: just opened.
        streams: which ones to yield; all sound and pictures where none is named. Where the clock may jump the
            others are read too, since a jump shows in all of them.
        from_s: where to begin. Without an index, or where the clock may jump, it is the beginning all the same.
        jumps: is told of each jump that was closed, in words.

    Yields:
        Packets, and at the end an empty one of each stream, which makes its decoder give what it still holds.
    """
    media = _media(container)
    wanted = {stream.index for stream in streams or media}
    closed = jumps_are_closed(container)
    if from_s > 0 and not closed:
        seek(container, from_s)
    if not closed:
        for stream in container.streams:
            if stream.index not in wanted:
                stream.discard = UNREAD  # an MP4's other tracks needn't be read from the disk
    clock = _Clock(container, jumps if jumps is not None else [])
    for packet in read(container, media if closed else (list(streams) or media)):
        if closed:
            clock.close(packet)
        clock.move(packet)
        if packet.stream_index in wanted:
            yield packet


def read(container: Any, streams: list[Any]) -> Iterator[Any]:
    """A container's packets of some streams, as they are, and an empty one of each at the end.

    PyAV's own `demux` fails there where a stream began in the middle of the file, of which it doesn't know.
    """
    import av

    try:
        yield from container.demux(streams)
    except IndexError:
        for stream in streams:
            last = av.Packet()
            last.stream = stream
            yield last


@dataclass
class _Line:
    """Where one stream's clock is, in microseconds: its last stamp, and the one that should follow."""

    last_us: float
    next_us: float


@dataclass
class _Clock:
    """How far a container's clock has to be moved, and what was seen on the way."""

    container: Any
    jumps: list[str]
    offset_us: float = field(init=False)
    tick_us: dict[int, float] = field(init=False)
    lines: dict[int, _Line] = field(default_factory=dict)
    latest_us: float | None = None

    def __post_init__(self) -> None:
        self.offset_us = -zero_s(self.container) * 1e6
        bases = {stream.index: stream.time_base for stream in self.container.streams}
        self.tick_us = {i: base.numerator * 1e6 / base.denominator for i, base in bases.items() if base}

    def move(self, packet: Any) -> None:
        """Move a packet's stamps."""
        ticks = round(self.offset_us / self.tick_us[packet.stream_index])
        pts, dts = packet.pts, packet.dts
        if pts is not None:
            packet.pts = pts + ticks
        if dts is not None:
            packet.dts = dts + ticks

    def close(self, packet: Any) -> None:
        """Close the jump that a packet shows, if it shows one: it then follows on its stream's last one."""
        if packet.dts is None:
            return
        tick_us = self.tick_us[packet.stream_index]
        stamp_us = packet.dts * tick_us + self.offset_us
        line = self.lines.get(packet.stream_index)
        if line is not None:
            step_us = stamp_us - line.next_us
            jumped = abs(step_us) > JUMP_US or stamp_us + BACK_US < line.last_us
        else:
            step_us = stamp_us - self.latest_us if self.latest_us is not None else 0.0
            jumped = abs(step_us) > JUMP_US
        if jumped:
            self.jumps.append(f"its clock jumps by {step_us / 1e6:+.1f} s at {(stamp_us - step_us) / 1e6:.1f} s")
            self.offset_us -= step_us
            stamp_us -= step_us
        if packet.pts is not None and abs(packet.pts - packet.dts) * tick_us > JUMP_US:
            packet.pts = packet.dts  # a picture on the seam, whose second stamp was guessed from those before
        self.latest_us = stamp_us
        self.lines[packet.stream_index] = _Line(stamp_us, stamp_us + _length_us(packet, tick_us))


def ticks_of(packet: Any) -> int:
    """How long a packet lasts by its container, in ticks of its stamps; 0 where nothing says.

    The last packet of an Ogg may last less than nothing, and then ffmpeg gives a number of 32 bits without a sign.
    """
    ticks = int(packet.duration or 0)
    return ticks - (1 << 32) if 1 << 31 <= ticks < 1 << 32 else ticks


def _length_us(packet: Any, tick_us: float) -> float:
    """How long a packet should last, in microseconds, as ffmpeg reckons it: sound by its codec's frame."""
    stream = packet.stream
    known = stream.codec_context
    if stream.type == "audio" and known is not None and known.sample_rate:
        return float(known.frame_size * 1_000_000 / known.sample_rate)
    if packet.duration:
        return float(ticks_of(packet) * tick_us)
    rate = stream.type == "video" and known is not None and known.framerate
    return float(1_000_000 / rate) if rate else 0.0


def explained_s(container: Any) -> float:
    """How long a thing made of a recording can be at most: twice what its packets last, and a minute.

    A clock that is wrong makes hours out of seconds; no stage writes more than this. Reads the whole file.

    Args:
        container: just opened.
    """
    import av

    lasted_s: dict[int, float] = {}
    try:
        for packet in packets(container):
            tick_us = 1e6 * float(packet.time_base)
            length_us = _length_us(packet, tick_us) or ticks_of(packet) * tick_us
            lasted_s[packet.stream_index] = lasted_s.get(packet.stream_index, 0.0) + min(length_us / 1e6, PACKET_S)
    except av.FFmpegError:
        pass
    return EXPLAINED_FACTOR * max(lasted_s.values(), default=0.0) + EXPLAINED_S
