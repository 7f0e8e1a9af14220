"""A recording in stretches that a separator hears one by one, on the source's clock, as if it heard all at once.

Not here: what is separated, and how (the `separate` stage).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediabuild.media.recordings.sound import Sound

if TYPE_CHECKING:
    import numpy as np

MARGIN_S = 0.1  # sound around a stretch that resampling hears; soxr's filters reach less far


@dataclass(frozen=True)
class Stretch:
    """What a unit hears and what it gives, in samples at the model's rate, counted from the source's zero.

    Args:
        start, stop: what is heard. first, last: what is given; the rest is there so that this comes out whole.
    """

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Grid:
    """A recording at the model's rate, on the source's clock: sample 0 of both rates is the source's zero.

    Args:
        rate_hz, frames: of the recording. model_hz: the model's rate.
        first_frame: how many frames the source has before the recording.
    """

    rate_hz: int
    model_hz: int
    first_frame: int
    frames: int

    @property
    def steps(self) -> tuple[int, int]:
        """How many samples at the model's rate take exactly as long as how many frames."""
        common = math.gcd(self.rate_hz, self.model_hz)
        return self.model_hz // common, self.rate_hz // common

    def stretches(self, stride: int, strides: int, after: int) -> list[Stretch]:
        """Cut into stretches of whole strides, so that separating them one by one equals doing all at once.

        demucs cuts its input into segments that start at every stride and overlap. A stretch hears one stride
        before it and `after` samples behind it, so that every segment that touches it is whole; at the clip's
        ends it hears what demucs would. Measured: bit-equal.

        Args:
            stride, after: in samples; `after` is the model's segment less one stride.
            strides: how many of them a stretch has.
        """
        up, down = self.steps
        length = strides * stride
        begin, end = self.first_frame * up // down, -(-(self.first_frame + self.frames) * up // down)
        origin = begin // stride * stride
        found = []
        for number in range(begin // length, -(-end // length) if self.frames else 0):
            first, last = max(number * length, origin), min((number + 1) * length, end)
            start, stop = first - stride * (first > origin), min(last + after, end)
            if origin < start and stop - start < stride + after:
                start -= stride  # demucs fills up a segment that the end cuts short with what is before it
            found.append(Stretch(start, stop, first, last))
        return found

    def heard(self, sound: Sound, stretch: Stretch) -> tuple[np.ndarray, int]:
        """The frames of a stretch, with a margin where they are to be resampled, and how long that is before it.

        What the clip doesn't hold is silence. Equal frames are resampled to equal samples, wherever the clip starts.

        Args:
            sound: the recording's.

        Returns:
            float32 [frames, channels], and samples at the model's rate.
        """
        up, down = self.steps
        margin = int(MARGIN_S * self.model_hz) if self.rate_hz != self.model_hz else 0
        low, high = (stretch.start - margin) // up, -(-(stretch.stop + margin) // up)
        frames = sound.read(low * down - self.first_frame, high * down - self.first_frame)
        return frames, stretch.start - low * up

    def at_recording_rate(self, voices: Iterable[tuple[int, np.ndarray]], channels: int) -> Iterator[np.ndarray]:
        """The voice at the recording's rate, from its first frame on; float32 [frames, channels], a piece at a time.

        Args:
            voices: at the model's rate, in order: (where it begins on the grid, float32 [samples, channels]).
        """
        import numpy as np
        import soxr

        up, down = self.steps
        stream = soxr.ResampleStream(self.model_hz, self.rate_hz, channels, dtype="float32") if up != down else None
        skip: int | None = None
        for first, voice in voices:
            sound = voice
            if skip is None:
                skip = self.first_frame - first // up * down
                sound = np.pad(voice, ((first % up, 0), (0, 0)))
            sound = stream.resample_chunk(sound) if stream else sound
            yield sound[skip:]
            skip = max(0, skip - len(sound))
        if stream:
            yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)[skip or 0 :]
