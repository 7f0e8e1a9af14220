"""A track of sound, decoded onto the source's clock, a second at a time.

A recording's sound may change its rate, its channels or its sample format in the middle (a broadcast, two
recordings joined): a piece has one format, and where the format changes, or time is missing, a new piece begins.

Not here: the clock (`clock`), mixing channels (`channels`), and laying pieces down one after the other (`tape`).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediabuild.media.recordings.channels import names_of
from mediabuild.media.recordings.clock import BrokenClock, has_clock, packets
from mediabuild.media.recordings.recording import opened

if TYPE_CHECKING:
    import numpy as np

PIECE_S = 1.0
# How numpy calls the samples of ffmpeg's formats.
SAMPLES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
# Frames follow one another unless their stamps are further apart than rounding makes them (Matroska: to milliseconds).
ROUNDING_S = 0.005
# One frame that is this far ahead of those before and behind it has a damaged stamp.
SLIP_S = 1.0
# Numbers of FLAC's frames that go back by more than this begin anew.
BACK_S = 0.5


@dataclass(frozen=True)
class Piece:
    """Frames that follow one another.

    Args:
        start_s: on the source's clock; None where nothing says, which is: right after the one before.
        rate_hz: frames a second. names: of the channels, as ffmpeg calls them.
        sound: [frames, channels]; int16, or float32 of −1…1 and possibly beyond.
        seam: the format, or the clock, is another one from here on: what differs from the time before is no jitter.
    """

    start_s: float | None
    rate_hz: int
    names: tuple[str, ...]
    sound: np.ndarray
    seam: bool = False


@dataclass
class Damage:
    """What couldn't be decoded: how many packets, and what ffmpeg said of the first."""

    packets: int = 0
    first: str = ""

    def add(self, what: str) -> None:
        """Count one packet."""
        self.packets += 1
        self.first = self.first or what


def pieces(media: Path, index: int, hint: str, damage: Damage) -> Iterator[Piece]:
    """A track's sound from its beginning on, whatever part of it is wanted: a decoder that starts in the middle adds
    other noise (AAC), and then a part of the recording wouldn't be a part of the whole.

    Args:
        index: among the recording's audio tracks, from 0.
        hint: for the error where the recording can't be opened.
        damage: counts what can't be decoded.

    Raises:
        BrokenClock: FLACs of two formats were joined, whose seam ffmpeg takes apart wrongly.
    """
    with opened(media, hint) as container:
        jumps: list[str] = []
        run, closed, stamped = _Run(), 0, has_clock(container)
        flac = container.format.name == "flac"
        moved_s = 0.0
        for frame, given_s in _without_slips(_frames(container, container.streams.audio[index], damage, jumps)):
            start_s = given_s if stamped or not run.kind else None
            if flac and run.kind and start_s is not None:
                moved_s = _joined(run, frame, start_s, moved_s)
                start_s += moved_s
            if run.kind and not run.goes_on(frame, start_s):
                if run.frames:
                    yield run.piece()
                run = _Run(kind=run.kind, seam=_kind(frame) != run.kind or len(jumps) > closed)
                closed = len(jumps)
            run.add(frame, start_s)
            if run.length_s >= PIECE_S:
                yield run.piece()
                run = _Run(start_s=run.end_s, kind=run.kind)
        if run.frames:
            yield run.piece()


def _joined(run: _Run, frame: Any, start_s: float, moved_s: float) -> float:
    """How far a FLAC's clock is to be moved: where the numbers of its frames begin anew, another one was joined to it.

    Raises:
        BrokenClock: it has another format.
    """
    end_s = run.end_s or 0.0
    if _kind(frame) != run.kind:
        raise BrokenClock(f"another FLAC with another format begins at {end_s:.1f} s", end_s)
    return end_s - start_s if start_s + moved_s < end_s - BACK_S else moved_s


def _frames(container: Any, stream: Any, damage: Damage, jumps: list[str]) -> Iterator[Any]:
    """What can be decoded of a stream, up to where the container can't be read on."""
    import av

    for packet in _readable(packets(container, stream, jumps=jumps)):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            damage.add(str(error.strerror))
            continue
        for frame in frames:
            if frame.is_corrupt:  # the decoder made something up for what it couldn't read
                damage.add("a packet is incomplete")
            yield frame


def _without_slips(frames: Iterator[Any]) -> Iterator[tuple[Any, float | None]]:
    """Frames and when they start; None for one whose stamp alone is far ahead, in a damaged file, or that has none."""
    ahead = None  # a frame of which the next one has to tell
    end_s: float | None = None
    for frame in frames:
        start_s: float | None = frame.time
        if ahead is not None:
            slipped = start_s is not None and start_s < ahead.time
            yield ahead, None if slipped else ahead.time
            end_s = (end_s if slipped and end_s is not None else ahead.time) + ahead.samples / ahead.sample_rate
            ahead = None
        if start_s is not None and end_s is not None and start_s > end_s + SLIP_S:
            ahead = frame
            continue
        yield frame, start_s
        at_s = start_s if start_s is not None else end_s
        end_s = None if at_s is None else at_s + frame.samples / frame.sample_rate
    if ahead is not None:
        yield ahead, ahead.time


def _readable(read: Iterator[Any]) -> Iterator[Any]:
    """Packets until the file breaks off, which `extent` tells of."""
    import av

    with contextlib.suppress(av.FFmpegError):
        yield from read


@dataclass
class _Run:
    """Frames of one format, each right after the one before."""

    start_s: float | None = None
    frames: list[Any] = field(default_factory=list)
    samples: int = 0
    kind: tuple[Any, ...] = ()
    seam: bool = False

    @property
    def length_s(self) -> float:
        return float(self.samples / self.frames[0].sample_rate) if self.frames else 0.0

    @property
    def end_s(self) -> float | None:
        return None if self.start_s is None else self.start_s + self.length_s

    def goes_on(self, frame: Any, start_s: float | None) -> bool:
        """Whether a frame follows on what is there."""
        near = start_s is None or self.end_s is None or abs(start_s - self.end_s) <= ROUNDING_S
        return near and _kind(frame) == self.kind

    def add(self, frame: Any, start_s: float | None) -> None:
        """Add a frame, the first with its time."""
        if not self.frames:
            self.kind = _kind(frame)
            self.start_s = self.start_s if start_s is None else start_s
        self.frames.append(frame)
        self.samples += frame.samples

    def piece(self) -> Piece:
        """All of it as an array."""
        import numpy as np

        first = self.frames[0]
        channels = first.layout.nb_channels
        joined = np.concatenate([_array(frame) for frame in self.frames], axis=1)
        sound = joined.T if first.format.is_planar else joined.reshape(-1, channels)
        names = names_of([channel.name for channel in first.layout.channels])
        return Piece(self.start_s, first.sample_rate, names, _scaled(sound), self.seam)


def _array(frame: Any) -> np.ndarray:
    """A frame's samples, [channels, samples] where each has a plane, else [1, samples × channels].

    Not `to_ndarray`: of eight planes and more it reads one too many, which ends the process (PyAV 18.1), and of
    short frames (TrueHD has 40 samples) it takes twice the time.
    """
    import numpy as np

    kind, channels = SAMPLES[frame.format.name.removesuffix("p")], frame.layout.nb_channels
    if not frame.format.is_planar:
        packed: np.ndarray = np.frombuffer(frame.planes[0], kind, count=frame.samples * channels)[np.newaxis]
        return packed
    planes = itertools.islice(frame.planes, channels)
    planar: np.ndarray = np.stack([np.frombuffer(plane, kind, count=frame.samples) for plane in planes])
    return planar


def _kind(frame: Any) -> tuple[Any, ...]:
    """A frame's format."""
    return frame.sample_rate, frame.format.name, frame.layout.name


def _scaled(sound: np.ndarray) -> np.ndarray:
    """Samples of any format as int16, if that is what they are, or as float32 whose full scale is 1."""
    import numpy as np

    if sound.dtype == np.int16:
        return sound
    whole = 2.0 ** (8 * sound.dtype.itemsize - 1)
    plain = sound - whole if sound.dtype.kind == "u" else sound
    scaled: np.ndarray = (plain / whole if sound.dtype.kind in "ui" else plain).astype(np.float32)
    return scaled
